#include "data/picture_search.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "data/picture.hpp"
#include "support/error_message.hpp"
#include "support/picture_files.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PictureSearch : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.file(name); }
  void folder(const std::string& name) const { std::filesystem::create_directories(path(name)); }
  void picture(const std::string& name) const { test::write_png(path(name), 1, 1, {1, 2, 3}); }
  void file(const std::string& name, const std::string& contents) const {
    std::ofstream(path(name), std::ios::binary) << contents;
  }

  TemporaryFolder folder_;
};

TEST_F(PictureSearch, FoldersBelowAreSearchedByName) {
  folder("f/b/c");
  folder("f/empty");
  for (const char* name : {"f/c.png", "f/b/2.png", "f/b/10.png", "f/b/c/1", "f/a.png"}) picture(name);
  file("f/b/labels.txt", "no picture");
  const FoundPictures found = find_pictures({path("f/c.png"), path("f")});
  EXPECT_THAT(found.pictures, ElementsAre(path("f/c.png"), path("f/a.png"), path("f/b/10.png"),
                                          path("f/b/2.png"), path("f/b/c/1"), path("f/c.png")));
  EXPECT_THAT(found.left_out, ElementsAre(path("f/b/labels.txt")));
  EXPECT_THAT(found.problems, IsEmpty());
}

TEST_F(PictureSearch, LinksMayGoInCircles) {
  folder("f/a");
  picture("f/a/1.png");
  picture("above.png");
  std::filesystem::create_directory_symlink(path("f"), path("f/a/up"));
  std::filesystem::create_directory_symlink(path(""), path("f/a/top"));
  std::filesystem::create_directory_symlink(path("f/a"), path("f/b"));
  std::filesystem::create_symlink(path("f/a/1.png"), path("f/c.png"));
  EXPECT_THAT(find_pictures({path("f")}).pictures, ElementsAre(path("f/a/1.png"), path("f/c.png")));
}

TEST_F(PictureSearch, WhatIsMeantAsAPictureIsOne) {
  folder("f");
  file("f/empty.JPG", "");
  file("f/photo", "RIFF....WEBPVP8 ");
  file("f/words.txt", "words");
  std::filesystem::create_symlink(path("nowhere"), path("f/broken.png"));
  const FoundPictures found = find_pictures({path("f")});
  EXPECT_THAT(found.pictures, ElementsAre(path("f/broken.png"), path("f/empty.JPG"), path("f/photo")));
  EXPECT_THAT(found.left_out, ElementsAre(path("f/words.txt")));
  const auto refusal = [](const std::string& name) {
    return error_message(ErrorKind::data, [&] { read_picture(name); });
  };
  EXPECT_THAT(refusal(path("f/empty.JPG")), HasSubstr("is empty"));
  EXPECT_THAT(refusal(path("f/photo")),
              AllOf(HasSubstr("a WebP picture"), HasSubstr("save it as PNG or JPEG")));
}

TEST_F(PictureSearch, ProblemsDoNotEndIt) {
  folder("none");
  picture("a.png");
  const FoundPictures found = find_pictures({path("missing"), path("none"), path("a.png")});
  EXPECT_THAT(found.pictures, ElementsAre(path("a.png")));
  EXPECT_THAT(found.problems, ElementsAre(HasSubstr("missing: there is no such file"),
                                          HasSubstr("none: there is no PNG or JPEG in this folder")));
}

TEST_F(PictureSearch, OtherFormatsAreCalledByTheirNames) {
  for (const auto& [contents, name] :
       std::vector<std::pair<std::string, std::string>>{{"GIF89a", "a GIF"},
                                                        {"BM....", "a BMP"},
                                                        {std::string("\0\0\0\x18"
                                                                     "ftypheic",
                                                                     12),
                                                         "a HEIC"},
                                                        {std::string("\0\0\0\x18"
                                                                     "ftypavif",
                                                                     12),
                                                         "an AVIF"},
                                                        {std::string("II*\0", 4), "a TIFF"},
                                                        {"<svg xmlns", "an SVG"},
                                                        {"%PDF-1.7", "a PDF"}}) {
    file("x", contents);
    EXPECT_THAT(
        error_message(ErrorKind::data, [&] { read_picture(path("x")); }),
        AllOf(HasSubstr("neither a PNG nor a JPEG: this is " + name), HasSubstr("save it as PNG or JPEG")));
  }
}

}  // namespace
}  // namespace bntrain
