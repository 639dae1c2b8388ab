// Where data sets are found: names, folders, archives as they unpack, and what is there instead.
#include "data/idx_location.hpp"

#include "data/idx_files.hpp"

namespace bntrain::test {
namespace {

namespace fs = std::filesystem;
using testing::Not;

class IdxLocation : public testing::Test {
 protected:
  void make(const std::string& folder, const std::vector<std::string>& names) const {
    fs::create_directories(folder_.path() / folder);
    for (const std::string& name : names) folder_.write(folder + "/" + name, {});
  }
  fs::path path(const std::string& name) const { return folder_.path() / name; }
  std::string found(std::size_t part, const std::string& place = "") const {
    return find_idx_files(path(place)).paths[part].lexically_relative(folder_.path()).string();
  }
  Error refusal(const std::string& place = "") const {
    return error_of([&] { find_idx_files(path(place)); });
  }

  TempFolder folder_;
  const std::vector<std::string> usual_ = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
};

TEST_F(IdxLocation, ManySpellingsAreKnown) {
  make("a", {"Train-Images.IDX3-UBYTE", "train_labels_idx1_ubyte.GZ", "qmnist-x", "test-images-idx4-ubyte",
             "TEST-labels-idx2-int.gz", "train-images-idx3-ubyte.txt", "my-notes"});
  EXPECT_EQ(found(0, "a"), "a/Train-Images.IDX3-UBYTE");
  EXPECT_EQ(found(1, "a"), "a/train_labels_idx1_ubyte.GZ");
  EXPECT_EQ(found(2, "a"), "a/test-images-idx4-ubyte");
  EXPECT_EQ(found(3, "a"), "a/TEST-labels-idx2-int.gz");
  make("q", {"qmnist-train-images-idx3-ubyte.gz", "qmnist-train-labels-idx2-int.gz",
             "qmnist-test-images-idx3-ubyte.gz", "qmnist-test-labels-idx2-int.gz"});
  EXPECT_EQ(find_idx_files(path("q")).name, "qmnist");
}

TEST_F(IdxLocation, RawComesBeforePackedAndFilesBeforeFolders) {
  make("a", usual_);
  make("a", {"train-images-idx3-ubyte.gz", "train-images.idx3-ubyte"});
  EXPECT_EQ(found(0, "a"), "a/train-images-idx3-ubyte");
  make("k/train-images-idx3-ubyte", {"train-images-idx3-ubyte"});
  make("k", {"train-images.idx3-ubyte", "train-labels-idx1-ubyte.gz", usual_[2], usual_[3]});
  EXPECT_EQ(found(0, "k"), "k/train-images.idx3-ubyte");
}

TEST_F(IdxLocation, AFolderOfTheNameIsLookedInto) {
  for (const std::string& name : usual_) make("k/" + name, {name});
  EXPECT_EQ(found(3, "k"), "k/t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte");
  fs::remove(path("k/train-labels-idx1-ubyte/train-labels-idx1-ubyte"));
  EXPECT_THAT(refusal("k"), IsDataError("there is no train-labels-idx1-ubyte"));
}

TEST_F(IdxLocation, TheOnlySetInFoldersBelowIsTaken) {
  make("MNIST/raw", usual_);
  for (const std::string place : {"", "MNIST", "MNIST/raw"}) {
    EXPECT_EQ(found(0, place), "MNIST/raw/train-images-idx3-ubyte");
    EXPECT_EQ(find_idx_files(path(place)).name, "MNIST");
  }
  make("FashionMNIST/raw", usual_);
  EXPECT_THAT(refusal(),
              IsDataError("several folders in it hold data sets: " + path("FashionMNIST/raw").string() +
                          ", " + path("MNIST/raw").string() + "; name one"));
}

TEST_F(IdxLocation, LinksAreFollowedAndBrokenOnesNamed) {
  make("real", usual_);
  fs::create_directory(path("a"));
  for (const std::string& name : usual_) fs::create_symlink(path("real/" + name), path("a/" + name));
  EXPECT_EQ(found(1, "a"), "a/train-labels-idx1-ubyte");
  fs::create_directory_symlink(path("a"), path("a/loop"));
  EXPECT_EQ(found(1, "a"), "a/train-labels-idx1-ubyte");
  fs::remove(path("real/train-labels-idx1-ubyte"));
  EXPECT_THAT(error_of([&] { read_idx(find_idx_files(path("a")).paths[1], IdxKind::labels); }),
              IsDataError("a/train-labels-idx1-ubyte: No such file"));
}

TEST_F(IdxLocation, OtherFormatsAreCalledByTheirNames) {
  make("n", {"readme.txt"});
  folder_.write("n/mnist.npz", text("PK\x03\x04") + Bytes(26) + text("x_train.npy") + Bytes(50));
  EXPECT_THAT(refusal("n"),
              IsDataError("it holds mnist.npz: this is a NumPy archive (.npz); write it as IDX"));
  make("c", {"fashion-mnist_train.csv"});
  EXPECT_THAT(refusal("c"), IsDataError("it holds fashion-mnist_train.csv: this is a table (CSV)"));
  make("p/0", {});
  folder_.write("p/0/1.png", {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'});
  EXPECT_THAT(refusal("p"),
              IsDataError("it holds pictures (0/1.png), which predict takes; to train on them"));
  make("cifar/cifar-10-batches-py", {"data_batch_1"});
  EXPECT_THAT(refusal("cifar"), IsDataError("this is a part of CIFAR-10"));
  make("empty", {});
  EXPECT_THAT(refusal("empty"), Not(IsDataError("it holds")));
}

TEST_F(IdxLocation, AFileIsRefusedByWhatItIs) {
  make("a", usual_);
  EXPECT_THAT(
      refusal("a/train-images-idx3-ubyte"),
      IsDataError("this is not a folder; name the folder that holds the IDX files, " + path("a").string()));
  folder_.write("archive.zip", text("PK\x03\x04") + Bytes(60));
  EXPECT_THAT(refusal("archive.zip"), IsDataError("this is not a folder; this is a ZIP archive; unpack it"));
}

}  // namespace
}  // namespace bntrain::test
