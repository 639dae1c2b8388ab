#include "bntrain/dataset.hpp"

#include <array>

#include "data/idx_files.hpp"
#include "data/idx_folder.hpp"

namespace bntrain::test {
namespace {

const std::array<std::string, 4> dashed = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
const std::array<std::string, 4> dotted = {"train-images.idx3-ubyte", "train-labels.idx1-ubyte",
                                           "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"};

/// 6 training and 4 test images of 2 x 3 pixels in 3 classes, in the order of the names.
std::array<Bytes, 4> small_set() {
  return {idx_images(6, 2, 3), idx_labels({0, 1, 2, 2, 1, 0}), idx_images(4, 2, 3), idx_labels({2, 1, 0, 2})};
}

void write_set(const TempFolder& folder, const std::array<Bytes, 4>& files,
               const std::array<std::string, 4>& names = dashed) {
  for (std::size_t i = 0; i < files.size(); ++i) folder.write(names[i], files[i]);
}

void expect_small_set(const Dataset& dataset) {
  EXPECT_EQ(dataset.classes, 3);
  EXPECT_FALSE(dataset.known_digests);
  EXPECT_EQ(dataset.train.shape, (Shape{1, 2, 3, false}));
  EXPECT_EQ(dataset.test.shape, dataset.train.shape);
  EXPECT_EQ(dataset.train.count, 6);
  EXPECT_EQ(dataset.test.count, 4);
  EXPECT_EQ(dataset.train.pixels.size(), 36u);
  EXPECT_EQ(dataset.train.pixels[35], 35);
  EXPECT_EQ(dataset.test.pixels.size(), 24u);
  EXPECT_EQ(dataset.train.labels, (Bytes{0, 1, 2, 2, 1, 0}));
  EXPECT_EQ(dataset.test.labels, (Bytes{2, 1, 0, 2}));
}

TEST(IdxDataset, ReadsBothSpellingsRawAndPacked) {
  for (const auto& spelling : {dashed, dotted}) {
    for (const bool pack : {false, true}) {
      for (const bool ending : {false, true}) {
        const TempFolder folder;
        std::array<Bytes, 4> files = small_set();
        std::array<std::string, 4> names = spelling;
        for (std::size_t i = 0; i < files.size(); ++i) {
          if (pack) files[i] = gzip(files[i]);
          if (ending) names[i] += ".gz";
        }
        write_set(folder, files, names);
        SCOPED_TRACE(names[0] + (pack ? " packed" : " raw"));
        expect_small_set(load_idx_dataset(folder.path()));
      }
    }
  }
}

TEST(IdxDataset, IsNamedAfterItsFolder) {
  const TempFolder folder;
  write_set(folder, small_set());
  const Dataset dataset = load_dataset(folder.path().string() + "/", {});
  expect_small_set(dataset);
  EXPECT_EQ(dataset.source, std::filesystem::canonical(folder.path()).string());
  EXPECT_EQ(dataset.name, folder.path().filename().string());
}

TEST(IdxDataset, NamesEachMissingFileAndWhatGetsIt) {
  for (std::size_t missing = 0; missing < dashed.size(); ++missing) {
    const TempFolder folder;
    write_set(folder, small_set());
    std::filesystem::remove(folder.path() / dashed[missing]);
    const Error error = error_of([&] { load_idx_dataset(folder.path()); });
    EXPECT_THAT(error, IsDataError(folder.path().string() + ": there is no " + dashed[missing]));
    EXPECT_THAT(error, IsDataError("nor " + dotted[missing]));
    EXPECT_THAT(error, IsDataError("scripts/train.sh"));
    EXPECT_THAT(error, IsDataError("apt-get install dataset-fashion-mnist"));
  }
}

/// The names in EMNIST's archive.
std::array<std::string, 4> emnist(const std::string& split) {
  return {split + "-train-images-idx3-ubyte.gz", split + "-train-labels-idx1-ubyte.gz",
          split + "-test-images-idx3-ubyte.gz", split + "-test-labels-idx1-ubyte.gz"};
}

TEST(IdxDataset, TheOnlySplitOfAFolderNeedsNoName) {
  const TempFolder folder;
  write_set(folder, small_set(), emnist("emnist-letters"));
  const Dataset dataset = load_dataset(folder.path().string(), {});
  expect_small_set(dataset);
  EXPECT_EQ(dataset.name, "emnist-letters");
}

TEST(IdxDataset, OneOfSeveralSplitsIsNamed) {
  const TempFolder folder;
  write_set(folder, small_set(), emnist("emnist-letters"));
  std::array<Bytes, 4> other = small_set();
  other[1] = idx_labels({0, 1, 2, 3, 4, 5});
  write_set(folder, other, emnist("emnist-digits"));
  const std::string letters = (folder.path() / "emnist-letters").string();
  for (const std::string& place : {letters, letters + "/"}) {
    const Dataset dataset = load_dataset(place, {});
    expect_small_set(dataset);
    EXPECT_EQ(dataset.name, "emnist-letters");
    EXPECT_EQ(dataset.source, (std::filesystem::canonical(folder.path()) / "emnist-letters").string());
  }
  EXPECT_EQ(load_dataset((folder.path() / "emnist-digits").string(), {}).classes, 6);

  EXPECT_THAT(error_of([&] { load_dataset(folder.path().string(), {}); }),
              IsDataError("there are several data sets in this folder: emnist-digits, emnist-letters; name "
                          "one, as in " +
                          (folder.path() / "emnist-digits").string()));
  EXPECT_THAT(error_of([&] { load_dataset((folder.path() / "emnist-mnist").string(), {}); }),
              IsDataError("emnist-mnist: there is no such folder, nor such a data set beside emnist-digits, "
                          "emnist-letters"));
  write_set(folder, small_set());  // under the usual names it comes first
  EXPECT_EQ(load_dataset(folder.path().string(), {}).name, folder.path().filename().string());
}

TEST(IdxDataset, AFileThatASplitLacksIsNamed) {
  const TempFolder folder;
  write_set(folder, small_set(), emnist("emnist-letters"));
  std::filesystem::remove(folder.path() / emnist("emnist-letters")[2]);
  EXPECT_THAT(error_of([&] { load_dataset(folder.path().string(), {}); }),
              IsDataError("there is no emnist-letters-t10k-images-idx3-ubyte (nor "));
}

TEST(IdxDataset, RefusesWhatIsNotAFolder) {
  const TempFolder folder;
  const std::string absent = (folder.path() / "absent").string();
  EXPECT_THAT(error_of([&] { load_dataset(absent, {}); }), IsDataError(absent + ": there is no such folder"));
  const std::string file = folder.write("file", {}).string();
  EXPECT_THAT(error_of([&] { load_dataset(file, {}); }), IsDataError(file + ": this is not a folder"));
  EXPECT_THAT(error_of([&] { load_idx_dataset(""); }), IsDataError("there is no such folder"));
}

struct Misfit {
  std::string name;
  std::size_t file;  ///< that is replaced
  Bytes contents;
  std::size_t blamed;  ///< the file that the message names
  std::string byte;
  std::string problem;
};

class IdxDatasetRefuses : public testing::TestWithParam<Misfit> {};

TEST_P(IdxDatasetRefuses, FilesThatDoNotFitTogether) {
  const Misfit& misfit = GetParam();
  const TempFolder folder;
  std::array<Bytes, 4> files = small_set();
  files[misfit.file] = misfit.contents;
  write_set(folder, files);
  const Error error = error_of([&] { load_idx_dataset(folder.path()); });
  EXPECT_THAT(error,
              IsDataError((folder.path() / dashed[misfit.blamed]).string() + ": byte " + misfit.byte + ": "));
  EXPECT_THAT(error, IsDataError(misfit.problem));
}

INSTANTIATE_TEST_SUITE_P(
    Folder, IdxDatasetRefuses,
    testing::Values(
        Misfit{"FewerTrainingLabels", 1, idx_labels({0, 1, 2, 2, 1}), 1, "4", "5 labels, but "},
        Misfit{"FewerTrainingImages", 0, idx_images(5, 2, 3), 1, "4", "train-images-idx3-ubyte has 5 images"},
        Misfit{"MoreTestLabels", 3, idx_labels({0, 1, 2, 2, 1}), 3, "4",
               "t10k-images-idx3-ubyte has 4 images"},
        Misfit{"OtherHeight", 2, idx_images(4, 3, 3), 2, "8", "the test images are 3x3, but "},
        Misfit{"OtherWidth", 2, idx_images(4, 2, 2), 2, "12",
               "train-images-idx3-ubyte has training images of 2x3"},
        Misfit{"SameSizeOtherShape", 2, idx_images(4, 3, 2), 2, "8", "the test images are 3x2"},
        Misfit{"TestLabelOutOfRange", 3, idx_labels({0, 1, 3, 2}), 3, "10",
               "the label is 3; allowed is 0 to 2"},
        Misfit{"LastTestLabelOutOfRange", 3, idx_labels({0, 1, 2, 255}), 3, "11", "the label is 255"},
        Misfit{
            "AHoleBetweenClasses", 1, idx_labels({0, 1, 0, 5, 1, 0}), 1, "11",
            "the label is 5, but classes 2 to 4 have no training image (images by class: 0: 3, 1: 2, 5: 1); "
            "if that is right, name the number of classes, 6 or more"},
        Misfit{"AHoleOfOneClass", 1, idx_labels({2, 0, 0, 2, 2, 0}), 1, "8", "class 1 has no training image"},
        Misfit{"OneClass", 1, idx_labels(Bytes(6)), 1, "8", "every training label is 0"},
        Misfit{"EmptyTestSet", 2, words({0x803, 0, 2, 3}), 2, "4", "the set is empty"},
        Misfit{"WebPage", 1, text("<html></html>"), 1, "0", "web page"},
        Misfit{"TruncatedTestImages", 2, words({0x803, 4, 2, 3}) + Bytes(23), 2, "4", "has only 39 bytes"}),
    [](const auto& test) { return test.param.name; });

TEST(IdxDataset, LabelsMayBeginWithOne) {
  const TempFolder folder;
  std::array<Bytes, 4> files = small_set();
  files[1] = idx_labels({1, 2, 3, 3, 2, 1});
  files[3] = idx_labels({3, 1, 2, 0});
  write_set(folder, files);
  EXPECT_EQ(load_idx_dataset(folder.path()).classes, 4);
}

TEST(IdxDataset, ANumberOfClassesThatIsNamedLeavesSomeWithoutImages) {
  const TempFolder folder;
  std::array<Bytes, 4> files = small_set();
  files[1] = idx_labels({0, 0, 0, 255, 0, 0});
  files[3] = idx_labels({2, 1, 0, 255});
  write_set(folder, files);
  EXPECT_EQ(load_idx_dataset(folder.path(), {.classes = 256}).classes, 256);
  EXPECT_THAT(
      error_of([&] { load_idx_dataset(folder.path(), {.classes = 255}); }),
      IsDataError(
          "byte 11: the label is 255; allowed is 0 to 254, for 255 classes (1 of 6 labels are larger)"));
  files[1] = idx_labels(Bytes(6));
  write_set(folder, files);
  EXPECT_EQ(load_idx_dataset(folder.path(), {.classes = 256}).train.labels, Bytes(6));
}

TEST(IdxDataset, ATestSetThatNobodyNeedsMayBeMissing) {
  const TempFolder folder;
  write_set(folder, small_set());
  std::filesystem::remove(folder.path() / dashed[2]);
  EXPECT_THAT(error_of([&] { load_idx_dataset(folder.path(), {.test_set = false}); }),
              IsDataError("there is no t10k-images"));  // its labels are there
  std::filesystem::remove(folder.path() / dashed[3]);
  EXPECT_THAT(error_of([&] { load_idx_dataset(folder.path()); }), IsDataError("--valid"));
  const Dataset dataset = load_idx_dataset(folder.path(), {.test_set = false});
  EXPECT_EQ(dataset.train.count, 6);
  EXPECT_EQ(dataset.test.count, 0);
  EXPECT_EQ(dataset.test.shape, dataset.train.shape);
  EXPECT_EQ(content_digest(dataset).size(), 64U);
}

// The Debian package dataset-fashion-mnist, which the test set-up installs.
const std::filesystem::path real_folder = "/usr/share/datasets/fashion-mnist";

TEST(FashionMnist, IsWhatWasPublished) {
  const Dataset dataset = load_dataset("", {{"", "/nonexistent", real_folder}});
  EXPECT_EQ(dataset.name, "fashion-mnist");
  EXPECT_EQ(dataset.source, real_folder.string());
  EXPECT_TRUE(dataset.known_digests);
  EXPECT_EQ(dataset.classes, 10);
  EXPECT_EQ(dataset.train.count, 60000);
  EXPECT_EQ(dataset.test.count, 10000);
  EXPECT_EQ(dataset.train.shape, (Shape{1, 28, 28, false}));
  EXPECT_EQ(dataset.test.shape, dataset.train.shape);
  EXPECT_EQ(dataset.train.pixels.size(), 60000u * 784);
  EXPECT_EQ(dataset.test.pixels.size(), 10000u * 784);
  ASSERT_EQ(dataset.train.labels.size(), 60000u);
  ASSERT_EQ(dataset.test.labels.size(), 10000u);
  const auto first = [](const Bytes& labels) { return Bytes(labels.begin(), labels.begin() + 10); };
  EXPECT_EQ(first(dataset.train.labels), (Bytes{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}));
  EXPECT_EQ(first(dataset.test.labels), (Bytes{9, 2, 1, 1, 6, 1, 4, 6, 5, 7}));
}

TEST(FashionMnist, IsRecognisedInAnyFolder) {
  const Dataset dataset = load_dataset(real_folder.string(), {});
  EXPECT_TRUE(dataset.known_digests);
  EXPECT_EQ(dataset.name, "fashion-mnist");
}

TEST(FashionMnist, OneChangedLabelIsNoticed) {
  Dataset real = load_idx_dataset(real_folder);
  const TempFolder folder;
  for (std::size_t i = 0; i < 3; ++i) {
    std::filesystem::create_symlink(real_folder / (dashed[i] + ".gz"), folder.path() / (dashed[i] + ".gz"));
  }
  real.test.labels.back() ^= 1;
  const auto path = folder.write(dashed[3], idx_labels(real.test.labels));
  const Error error = error_of([&] { load_dataset("", {{folder.path()}}); });
  EXPECT_THAT(error, IsDataError(path.string() + ": this is not Fashion-MNIST: the SHA-256"));
  EXPECT_THAT(error, IsDataError(std::string(fashion_mnist_digests[3])));
  EXPECT_FALSE(load_dataset(folder.path().string(), {}).known_digests);
}

TEST(DataSearch, RefusesAnUnknownSetThatWasNotAskedFor) {
  const TempFolder folder;
  write_set(folder, small_set());
  const Error error = error_of([&] { load_dataset("", {{folder.path(), real_folder}}); });
  EXPECT_THAT(error, IsDataError((folder.path() / dashed[0]).string() + ": this is not Fashion-MNIST"));
  EXPECT_THAT(error, IsDataError("name its folder: " + folder.path().string()));
}

TEST(DataSearch, StopsAtTheFirstFolderWithAnyOfTheFiles) {
  for (const std::string& name : {dashed[3], dotted[0] + ".gz"}) {
    const TempFolder folder;
    folder.write(name, {});
    EXPECT_THAT(error_of([&] {
                  load_dataset("", {{folder.path(), real_folder}});
                }),
                IsDataError(folder.path().string() + ": there is no "));
  }
  const TempFolder empty;
  EXPECT_TRUE(load_dataset("", {{empty.path(), real_folder}}).known_digests);
}

TEST(DataSearch, SaysWhereItLookedAndWhatGetsTheData) {
  const TempFolder first, second;
  const Error error = error_of([&] { load_dataset("", {{first.path(), "", second.path()}}); });
  EXPECT_THAT(error, IsDataError("\n  " + first.path().string() + "\n  " + second.path().string() + "\n"));
  EXPECT_THAT(error, IsDataError("train-images-idx3-ubyte"));
  EXPECT_THAT(error, IsDataError("scripts/train.sh"));
  EXPECT_THAT(error, IsDataError("apt-get install dataset-fashion-mnist"));
  EXPECT_THAT(error_of([] { load_dataset("", {}); }), IsDataError("none to search"));
}

TEST(LoadDataset, MakesSyntheticSets) {
  EXPECT_EQ(load_dataset("synthetic", {}).train.count, 2048);
  EXPECT_EQ(load_dataset("synthetic:", {}).train.count, 2048);
  EXPECT_EQ(load_dataset("synthetic:train=7,test=3", {}).train.count, 7);
  EXPECT_THAT(error_of([] { load_dataset("synthetic:train=x", {}); }), IsUsageError("train=x"));
  EXPECT_THAT(error_of([] { load_dataset("synthetics", {}); }),
              IsDataError("synthetics: there is no such folder"));
}

}  // namespace
}  // namespace bntrain::test
