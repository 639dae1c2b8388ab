#include "core/rescue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "core/write_file.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

const auto write_text = [](const fs::path& path) { write_file(path, "text"); };

TEST(Rescue, WhatCanBeWrittenIsWrittenWhereItBelongs) {
  const TemporaryFolder folder;
  write_or_rescue(folder.path() / "file", write_text);
  EXPECT_TRUE(fs::exists(folder.path() / "file"));
}

TEST(Rescue, AnotherNameBesideTheTargetComesFirst) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "file.txt";
  fs::create_directory(target);
  const std::string rescued = folder.file("file.rescued-" + std::to_string(::getpid()) + ".txt");
  EXPECT_THAT(error_message(ErrorKind::runtime, [&] { write_or_rescue(target, write_text); }),
              AllOf(HasSubstr("is a folder"), EndsWith("it was written to " + rescued + " instead")));
  EXPECT_TRUE(fs::is_regular_file(rescued));
}

TEST(Rescue, ThenItsNameInTheTemporaryFolder) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "gone" / "file.txt";
  const std::string message = error_message(ErrorKind::runtime, [&] { write_or_rescue(target, write_text); });
  EXPECT_THAT(message, HasSubstr(target.string() + ": cannot be written: No such file or directory"));
  const std::string before = "it was written to ";
  const std::size_t at = message.rfind(before) + before.size();
  const fs::path rescued = message.substr(at, message.rfind(" instead") - at);
  EXPECT_EQ(rescued.filename(), "file.txt");
  EXPECT_TRUE(fs::is_regular_file(rescued));
  fs::remove_all(rescued.parent_path());
}

}  // namespace
}  // namespace bntrain
