#include "data/file_kind.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <vector>

namespace bntrain {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  FileKind kind;
};

constexpr std::string_view as_picture = "save it as PNG or JPEG";
constexpr std::string_view unpack = "unpack it";
constexpr std::string_view as_idx = "write it as IDX files: docs/data.md has the lines";

// The first that fits: longer ones of the same beginning come first.
constexpr std::array signatures = {
    Signature{0, "GIF8", {"a GIF picture", as_picture, true}},
    Signature{8, "WEBP", {"a WebP picture", as_picture, true}},
    Signature{4, "ftypavif", {"an AVIF picture", as_picture, true}},
    Signature{4, "ftyphe", {"a HEIC picture", as_picture, true}},
    Signature{4, "ftypmif1", {"a HEIF picture", as_picture, true}},
    Signature{4, "ftyp", {"a film", "name pictures, as PNG or JPEG"}},
    Signature{0, "II*\0"sv, {"a TIFF picture or a camera's raw file", as_picture, true}},
    Signature{0, "MM\0*"sv, {"a TIFF picture or a camera's raw file", as_picture, true}},
    Signature{4, "jP  \r\n\x87\n", {"a JPEG 2000 picture", as_picture, true}},
    Signature{0, "\xff\x4f\xff\x51", {"a JPEG 2000 picture", as_picture, true}},
    Signature{0, "\xff\x0a", {"a JPEG XL picture", as_picture, true}},
    Signature{4, "JXL \r\n\x87\n", {"a JPEG XL picture", as_picture, true}},
    Signature{0, "8BPS", {"a Photoshop picture", as_picture, true}},
    Signature{0, "P4\n", {"a PBM picture", as_picture, true}},
    Signature{0, "P5\n", {"a PGM picture", as_picture, true}},
    Signature{0, "P6\n", {"a PPM picture", as_picture, true}},
    Signature{0, "<svg", {"an SVG drawing", as_picture, true}},
    Signature{0, "%PDF", {"a PDF document", as_picture, true}},
    Signature{0, "BM", {"a BMP picture", as_picture, true}},
    Signature{0, "\x93NUMPY", {"a NumPy array", as_idx}},
    Signature{0, "PAR1", {"a Parquet table", as_idx}},
    Signature{0, "\x89HDF\r\n\x1a\n", {"an HDF5 file", as_idx}},
    Signature{0, "MATLAB 5.0", {"a MATLAB file", as_idx}},
    Signature{0, "@relation", {"an ARFF table", as_idx}},
    Signature{0, "@RELATION", {"an ARFF table", as_idx}},
    Signature{0, "\x1f\x8b", {"a gzip file", unpack}},
    Signature{0, "PK\x03\x04", {"a ZIP archive", unpack}},
    Signature{0,
              "\xfd"
              "7zXZ",
              {"an xz file", unpack}},
    Signature{0, "BZh", {"a bzip2 file", unpack}},
    Signature{0, "\x28\xb5\x2f\xfd", {"a zstd file", unpack}},
    Signature{0, "7z\xbc\xaf", {"a 7-Zip archive", unpack}},
    Signature{0, "Rar!", {"a RAR archive", unpack}},
    Signature{257, "ustar", {"a tar archive", unpack}},
    Signature{0, "version https://git-lfs", {"a pointer of Git LFS", "git lfs pull fetches the file itself"}},
};

// NumPy's archives are ZIP files whose first entry is an array: its name begins at byte 30.
constexpr FileKind numpy_archive{"a NumPy archive (.npz)", as_idx};

constexpr FileKind cifar{"a part of CIFAR-10", as_idx};

struct Ending {
  std::string_view text;
  FileKind kind;
};

constexpr std::array endings = {
    Ending{".csv", {"a table (CSV)", as_idx}},      Ending{".pkl", {"a Python pickle", as_idx}},
    Ending{".pickle", {"a Python pickle", as_idx}}, Ending{".pt", {"a file of PyTorch", as_idx}},
    Ending{".pth", {"a file of PyTorch", as_idx}},  Ending{".mat", {"a MATLAB file", as_idx}},
    Ending{".h5", {"an HDF5 file", as_idx}},        Ending{".tfrecord", {"a file of TensorFlow", as_idx}},
};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

std::string FileKind::sentence() const {
  return "this is " + std::string(name) + "; " + std::string(remedy);
}

const FileKind* file_kind(std::span<const std::uint8_t> start) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (text.starts_with("PK\x03\x04") &&
      text.substr(std::min<std::size_t>(30, text.size())).find(".npy") <= 64)
    return &numpy_archive;
  const auto found = std::ranges::find_if(signatures, [&](const Signature& signature) {
    return text.size() >= signature.offset && text.substr(signature.offset).starts_with(signature.bytes);
  });
  return found == signatures.end() ? nullptr : &found->kind;
}

const FileKind* file_kind(const std::filesystem::path& path) {
  std::vector<std::uint8_t> start(300);
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return nullptr;
  std::ifstream stream(path, std::ios::binary);
  stream.read(reinterpret_cast<char*>(start.data()), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(stream.gcount()));
  const std::string name = lower(path.filename().string());
  const auto ending = std::ranges::find_if(endings, [&](const Ending& each) {
    return name.ends_with(each.text) || name.ends_with(std::string(each.text) + ".gz");
  });
  if (ending != endings.end()) return &ending->kind;
  if (name.starts_with("data_batch_")) return &cifar;
  return file_kind(std::span<const std::uint8_t>(start));
}

}  // namespace bntrain
