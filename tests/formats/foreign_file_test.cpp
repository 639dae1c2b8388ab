// Files of other formats are named for what they are.
#include "formats/foreign_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "formats/safetensors.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using namespace std::string_literals;

struct ForeignFile {
  const char* name;
  std::string bytes;
  std::vector<const char*> words;
};

/// The beginning and the end of a zip, which names its members.
std::string zip_with(const std::string& member) {
  return "PK\3\4"s + std::string(100'000, '\1') + "PK\1\2"s + std::string(42, '\0') + member + "PK\5\6"s +
         std::string(18, '\0');
}

class ForeignFiles : public testing::TestWithParam<ForeignFile> {
 protected:
  TemporaryFolder folder_;
};

TEST_P(ForeignFiles, AreNamedByTheReaderOfSafetensors) {
  const std::string path = folder_.file(GetParam().name);
  std::ofstream(path, std::ios::binary) << GetParam().bytes;
  const std::string message = error_message(ErrorKind::data, [&] { read_safetensors(path); });
  EXPECT_THAT(message, HasSubstr(path));
  for (const char* word : GetParam().words) EXPECT_THAT(message, HasSubstr(word));
}

const std::string kRest = std::string(300, '\7');

INSTANTIATE_TEST_SUITE_P(
    Formats, ForeignFiles,
    testing::Values(
        ForeignFile{"empty.safetensors", "", {"is empty"}},
        ForeignFile{"m.pt", zip_with("m/data.pkl"), {"PyTorch", "torch.load('m.pt'", "'m.safetensors')"}},
        ForeignFile{
            "s.pt", zip_with("s/data.pkl") + "s/code/m.py", {"TorchScript", "torch.jit.load('s.pt')"}},
        ForeignFile{"m'$(x).pt", zip_with("archive/data.pkl"), {"PyTorch", "torch.load('FILE'"}},
        ForeignFile{
            "old.pt", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19." + kRest, {"PyTorch", "old format"}},
        ForeignFile{"m.pkl", "\x80\x04\x95" + kRest, {"pickle"}},
        ForeignFile{"m.npz", zip_with("0.weight.npy"), {"NumPy archive", "numpy.load('m.npz')"}},
        ForeignFile{"m.keras", zip_with("model.weights.h5"), {"Keras"}},
        ForeignFile{"m.zip", zip_with("readme.txt"), {"zip archive", "unzip"}},
        ForeignFile{"m.npy", "\x93NUMPY\1\0"s + kRest, {"one NumPy array"}},
        ForeignFile{"m.h5", "\x89HDF\r\n\x1a\n" + kRest, {"HDF5"}},
        ForeignFile{"m.onnx",
                    "\x08\x08\x12\x07"
                    "bntrain" +
                        kRest,
                    {"ONNX", "onnx.load('m.onnx')"}},
        ForeignFile{"saved_model.pb", "\x08\x01\x12\x07" + kRest, {"SavedModel of TensorFlow"}},
        ForeignFile{"m.ckpt.index", kRest + "\x57\xfb\x80\x8b\x24\x75\x47\xdb", {"TensorFlow checkpoint"}},
        ForeignFile{"m.data-00000-of-00001", kRest, {"TensorFlow checkpoint"}},
        ForeignFile{"m.gguf", "GGUF\3\0\0\0"s + kRest, {"GGUF"}},
        ForeignFile{"m.tflite", "\x1c\0\0\0TFL3"s + kRest, {"TensorFlow Lite"}},
        ForeignFile{"m.params", "\x12\1\0\0\0\0\0\0"s + kRest, {"MXNet"}},
        ForeignFile{"m.gz", "\x1f\x8b\x08" + kRest, {"gzip"}},
        ForeignFile{"m.tar", std::string(257, 'n') + "ustar\0"s + kRest, {"tar archive"}},
        ForeignFile{"page", "\n<!DOCTYPE html><html><body>404 Not Found</body></html>", {"web page"}},
        ForeignFile{"pointer",
                    "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n",
                    {"git lfs pull"}},
        ForeignFile{"index.json", "{\"metadata\": {\"total_size\": 12}}", {"JSON"}},
        ForeignFile{"a.png", "\x89PNG\r\n\x1a\n" + kRest, {"PNG picture"}},
        ForeignFile{"a.txt", "0.weight 0.1 0.2 0.3\n", {"text file"}}),
    [](const testing::TestParamInfo<ForeignFile>& file) { return "File" + std::to_string(file.index); });

TEST(ForeignFile, WhatIsNotKnownIsCalledWhatItLacks) {
  const TemporaryFolder folder;
  const std::string path = folder.file("m.safetensors");
  std::ofstream(path, std::ios::binary) << std::string(40, '\xfe');
  EXPECT_EQ(describe_foreign_file(path), "");
  EXPECT_THAT(error_message(ErrorKind::data, [&] { read_safetensors(path); }),
              AllOf(HasSubstr("not a safetensors file"), HasSubstr("bytes 0 to 7")));
}

}  // namespace
}  // namespace bntrain
