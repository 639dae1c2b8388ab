#include "cli/reports/output_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "bntrain/error.hpp"
#include "core/write_file.hpp"

namespace bntrain::cli {
namespace fs = std::filesystem;
namespace {

// What other programs would take a file of that name for.
constexpr std::array<std::string_view, 18> other_formats = {
    ".onnx", ".pt",     ".pth", ".ckpt", ".bin", ".h5",  ".hdf5", ".keras", ".pb",
    ".pkl",  ".pickle", ".npz", ".npy",  ".zip", ".csv", ".json", ".jsonl", ".tflite"};

[[noreturn]] void refuse(const OutputFile& file, const std::string& reason) {
  throw Error(ErrorKind::data, file.flag, file.path + " cannot be written: " + reason);
}

void expect_safetensors_name(const OutputFile& file) {
  const std::string extension = CLI::detail::to_lower(fs::path(file.path).extension().string());
  if (std::ranges::find(other_formats, extension) == other_formats.end()) return;
  const std::string name = fs::path(file.path).replace_extension(".safetensors").string();
  throw Error(ErrorKind::usage, file.flag,
              file.path + " has the name of another format, and safetensors is written; name it " + name +
                  (extension == ".onnx" && file.flag == "save"
                       ? ", of which bntrain export " + name + " -o " + file.path + " makes ONNX"
                       : ""));
}

/// Really makes the file, because access() says yes to root and knows nothing of names and file systems.
void try_to_make(const OutputFile& file, const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) refuse(file, std::strerror(errno));
  ::close(descriptor);
  ::unlink(path.c_str());
}

void expect_writable(const OutputFile& file) {
  const fs::path path = followed(file.path);
  std::error_code error;
  const fs::file_type type = fs::status(file.path, error).type();
  if (type == fs::file_type::none) refuse(file, error.message());
  if (type == fs::file_type::directory) refuse(file, "it is a folder; name a file");
  const bool exists = type != fs::file_type::not_found;
  if (exists && ::access(file.path.c_str(), W_OK) != 0) refuse(file, std::strerror(errno));
  if (exists && type != fs::file_type::regular) {
    if (file.kind != OutputKind::appended) refuse(file, "it is a device; name a file");
    return;
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error))
    refuse(file, "the folder " + folder.string() + " does not exist; create it first");
  if (!exists) try_to_make(file, path);
  if (file.kind == OutputKind::appended) return;
  try {
    const FileWriter writer(path);
  } catch (const Error& failure) {
    throw Error(failure.kind(), file.flag, failure.message());
  }
}

void expect_own_file(const OutputFile& file, const std::vector<OutputFile>& outputs,
                     const std::vector<TakenFile>& taken) {
  const auto refuse_shared = [&](const std::string& whose) {
    throw Error(ErrorKind::usage, file.flag, file.path + " is also " + whose + "; name another file");
  };
  for (const OutputFile& other : outputs) {
    if (&other == &file) break;  // the later ones are compared with this one
    if (!other.path.empty() && same_file(file.path, other.path))
      refuse_shared("what --" + other.flag + " writes");
  }
  for (const TakenFile& other : taken) {
    if (!other.path.empty() && file.flag != other.but_for && same_file(file.path, other.path))
      refuse_shared(other.whose);
  }
  std::error_code error;
  if (!fs::is_regular_file(file.path, error)) return;
  for (const std::string stream : {"stdout", "stderr"}) {
    if (fs::equivalent(file.path, "/dev/" + stream, error)) refuse_shared("where " + stream + " goes");
  }
}

}  // namespace

void expect_outputs(const std::vector<OutputFile>& outputs, const std::vector<TakenFile>& taken) {
  for (const OutputFile& file : outputs) {
    if (file.path.empty()) continue;
    if (file.kind == OutputKind::safetensors) expect_safetensors_name(file);
    expect_own_file(file, outputs, taken);
    expect_writable(file);
  }
}

MissingFolder::MissingFolder(const std::string& flag, const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> missing;
  for (fs::path path = folder; !path.empty() && !fs::exists(path, error); path = path.parent_path())
    missing.push_back(path);
  for (; !missing.empty(); missing.pop_back()) {
    if (fs::create_directory(missing.back(), error)) made_.push_back(missing.back());
    if (!error) continue;
    remove();
    throw Error(ErrorKind::data, flag,
                "the folder " + folder.string() + " cannot be made: " + error.message());
  }
}

MissingFolder::~MissingFolder() {
  remove();
}

void MissingFolder::remove() {
  for (; !made_.empty(); made_.pop_back()) ::rmdir(made_.back().c_str());
}

}  // namespace bntrain::cli
