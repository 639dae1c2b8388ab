#include "formats/foreign_file.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <fstream>
#include <string_view>

namespace bntrain {
namespace {

using std::string_view_literals::operator""sv;

constexpr const char* layouts =
    "; give the tensors PyTorch's names and layouts (fully connected weights [out, in], convolutions [out, "
    "in, "
    "height, width]) and save them with safetensors.numpy.save_file";

/// A line for the shell. `make` is an expression for the tensors by name, with FILE for the file's name.
std::string python(const std::filesystem::path& path, const std::string& imports, std::string make) {
  std::string name = path.filename().string();
  std::string target = path.stem().string() + ".safetensors";
  const bool plain = std::ranges::all_of(name, [](unsigned char letter) {
    return std::isalnum(letter) != 0 ||
           std::string_view("._-+=,").find(static_cast<char>(letter)) != std::string_view::npos;
  });
  if (!plain) name = "FILE", target = "FILE.safetensors";
  for (std::size_t at = 0; (at = make.find("FILE", at)) != std::string::npos; at += name.size())
    make.replace(at, 4, name);
  return "; convert it: python3 -c \"import " + imports + " as s; s.save_file(" + make + ", '" + target +
         "')\"";
}

std::string torch(const std::filesystem::path& path, const std::string& what) {
  return "is a PyTorch file (" + what + "), not safetensors" +
         python(path, "torch, safetensors.torch",
                "{k: v.contiguous() for k, v in (lambda d: d.get('state_dict', d))(torch.load('FILE', "
                "map_location='cpu', weights_only=True)).items()}");
}

std::string unpack(const std::string& what, const std::string& command) {
  return "is " + what + ", not safetensors; unpack it first, with " + command;
}

/// What a zip holds, by the names of its members at its end.
std::string describe_zip(const std::filesystem::path& path, std::ifstream& stream) {
  constexpr std::int64_t most = 1 << 16;
  stream.clear();
  stream.seekg(0, std::ios::end);
  const std::int64_t size = std::min<std::int64_t>(stream.tellg(), most);
  stream.seekg(-size, std::ios::end);
  std::string tail(static_cast<std::size_t>(size), '\0');
  stream.read(tail.data(), size);
  const auto has = [&](const char* member) { return tail.find(member) != std::string::npos; };
  if (has("/code/") && has("/data.pkl")) {
    return "is a TorchScript module, not safetensors" +
           python(path, "torch, safetensors.torch", "dict(torch.jit.load('FILE').state_dict())");
  }
  if (has("/data.pkl")) return torch(path, "torch.save");
  if (has(".npy")) {
    return "is a NumPy archive (.npz), not safetensors" +
           python(path, "numpy, safetensors.numpy", "dict(numpy.load('FILE'))");
  }
  if (has("model.weights.h5")) return "is a Keras model, not safetensors" + std::string(layouts);
  return unpack("a zip archive", "unzip");
}

struct Magic {
  std::string_view bytes;
  std::size_t at;
  std::string (*describe)(const std::filesystem::path&);
};

// Longer and more certain ones first.
const Magic magics[] = {
    {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19."sv, 0,
     [](const auto& path) { return torch(path, "torch.save of the old format"); }},
    {"version https://git-lfs.github.com"sv, 0,
     [](const auto&) {
       return std::string("is a pointer of Git LFS, not the file itself; get it with: git lfs pull");
     }},
    {"\x89HDF\r\n\x1a\n"sv, 0,
     [](const auto&) { return "is an HDF5 file (Keras, h5py), not safetensors" + std::string(layouts); }},
    {"\x93NUMPY"sv, 0,
     [](const auto& path) {
       return "is one NumPy array (.npy), not safetensors, which names every tensor" +
              python(path, "numpy, safetensors.numpy", "{'0.weight': numpy.load('FILE')}");
     }},
    {"GGUF"sv, 0,
     [](const auto&) {
       return std::string(
           "is a GGUF file (llama.cpp), not safetensors; convert the model that it was made from");
     }},
    {"TFL3"sv, 4,
     [](const auto&) {
       return std::string(
           "is a TensorFlow Lite model, not safetensors; convert the model that it was made from");
     }},
    {"\x12\x01\0\0\0\0\0\0"sv, 0,
     [](const auto& path) {
       return "is a file of MXNet parameters, not safetensors" +
              python(path, "mxnet, safetensors.numpy",
                     "{k: v.asnumpy() for k, v in mxnet.nd.load('FILE').items()}");
     }},
    {"\x89PNG"sv, 0, [](const auto&) { return std::string("is a PNG picture, not a model"); }},
    {"\xff\xd8\xff"sv, 0, [](const auto&) { return std::string("is a JPEG picture, not a model"); }},
    {"\xfd"
     "7zXZ\0"sv,
     0, [](const auto&) { return unpack("compressed by xz", "unxz or tar xf"); }},
    {"7z\xbc\xaf"sv, 0, [](const auto&) { return unpack("a 7z archive", "7z x"); }},
    {"\x28\xb5\x2f\xfd"sv, 0, [](const auto&) { return unpack("compressed by zstd", "unzstd"); }},
    {"BZh"sv, 0, [](const auto&) { return unpack("compressed by bzip2", "bunzip2 or tar xf"); }},
    {"\x1f\x8b"sv, 0, [](const auto&) { return unpack("compressed by gzip", "gunzip or tar xf"); }},
    {"ustar"sv, 257, [](const auto&) { return unpack("a tar archive", "tar xf"); }},
    {"PK\5\6"sv, 0, [](const auto&) { return std::string("is an empty zip archive, not safetensors"); }}};

/// Protocol buffers have no magic bytes: the first field of an ONNX model is its version of the format, the
/// second the producer's name, a text or the graph; that of a SavedModel of TensorFlow is always 1.
std::string describe_protobuf(const std::filesystem::path& path, std::string_view head) {
  if (head.size() < 3 || head[0] != 0x08 || head[1] < 1 || head[1] > 0x20) return "";
  const bool field = head[2] == 0x12 || head[2] == 0x1a || head[2] == 0x3a || head[2] == 0x42;
  if (!field) return "";
  if (head[1] == 1 && path.extension() == ".pb")
    return "is a SavedModel of TensorFlow, not safetensors" + std::string(layouts);
  return "is an ONNX model, not safetensors" + python(path, "onnx, onnx.numpy_helper, safetensors.numpy",
                                                      "{t.name: onnx.numpy_helper.to_array(t) for t in "
                                                      "onnx.load('FILE').graph.initializer if t.dims}");
}

std::string describe_text(std::string_view head) {
  const bool text = std::ranges::all_of(head, [](unsigned char letter) {
    const bool in_utf8 = letter != 0x7f && letter < 0xf8;
    return (letter >= 0x20 && in_utf8) || letter == '\n' || letter == '\r' || letter == '\t';
  });
  constexpr std::size_t shortest = 16;  // of which "text" says more than its length
  if (!text || head.size() < shortest) return "";
  const std::size_t first = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  const char opening = first == head.npos ? '\0' : head[first];
  if (opening == '<')
    return "is a web page (HTML or XML), not safetensors: the download gave a page instead of the file";
  if (opening == '{' || opening == '[')
    return "is JSON (an index, a configuration or an error message), not safetensors";
  return "is a text file, not safetensors";
}

/// The table of a TensorFlow checkpoint ends with LevelDB's number; its shards are bare bytes.
bool is_tensorflow_checkpoint(const std::filesystem::path& path, std::ifstream& stream) {
  if (path.filename().string().find(".data-0") != std::string::npos) return true;
  std::string tail(8, '\0');
  stream.clear();
  stream.seekg(-8, std::ios::end);
  return stream.read(tail.data(), 8) && tail == "\x57\xfb\x80\x8b\x24\x75\x47\xdb";
}

}  // namespace

std::string describe_foreign_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string head(512, '\0');
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(stream.gcount()));
  if (head.empty()) return "is empty; copy or download it again";
  for (const Magic& magic : magics)
    if (std::string_view(head).substr(std::min(magic.at, head.size())).starts_with(magic.bytes))
      return magic.describe(path);
  if (head.starts_with("PK\3\4")) return describe_zip(path, stream);
  if (head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5)
    return "is a Python pickle, not safetensors; it may be PyTorch's (torch.load) or hold NumPy arrays" +
           std::string(layouts);
  if (std::string what = describe_protobuf(path, head); !what.empty()) return what;
  if (is_tensorflow_checkpoint(path, stream))
    return "is part of a TensorFlow checkpoint, not safetensors; read it with tf.train.load_checkpoint" +
           std::string(layouts);
  return describe_text(head);
}

}  // namespace bntrain
