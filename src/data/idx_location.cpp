#include "data/idx_location.hpp"

#include <optional>
#include <set>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

/// The names without their prefix, in order of preference.
Names names_of(std::size_t file) {
  const Names parts = file < 2 ? Names{"train"} : Names{"t10k", "test"};
  const bool images = idx_kinds[file] == IdxKind::images;
  Names names;
  for (const std::string& part : parts)
    // Both spellings are in use: LeCun's and that of common tools.
    for (const char* joint : {"-", "."})
      for (const char* packing : {"", ".gz"})
        names.push_back(part + (images ? "-images" : "-labels") + joint +
                        (images ? "idx3-ubyte" : "idx1-ubyte") + packing);
  return names;
}

fs::file_type type_of(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (error && type != fs::file_type::not_found) {
    throw Error(ErrorKind::data, path.string() + ": cannot be examined: " + error.message());
  }
  return type;
}

std::optional<fs::path> find_file(const fs::path& folder, const std::string& prefix, std::size_t file) {
  for (const std::string& name : names_of(file)) {
    fs::path path = folder / (prefix + name);
    if (type_of(path) != fs::file_type::not_found) return path;
  }
  return std::nullopt;
}

/// The prefixes of "-train-images..." in that folder.
std::set<std::string> splits_in(const fs::path& folder) {
  std::set<std::string> splits;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    for (const std::string& name : names_of(0))
      if (file.size() > name.size() + 1 && file.ends_with("-" + name))
        splits.insert(file.substr(0, file.size() - name.size() - 1));
  }
  return splits;
}

std::string list(const std::set<std::string>& splits) {
  std::string text;
  for (const std::string& split : splits) text += (text.empty() ? "" : ", ") + split;
  return text;
}

/// An absolute path without links and without a last "/", so that its last part is the folder's name.
fs::path resolve(const fs::path& folder) {
  std::error_code error;
  fs::path resolved = fs::canonical(folder, error);
  return error ? folder : resolved;
}

[[noreturn]] void throw_missing(const fs::path& folder, const std::string& prefix, const Names& names) {
  throw Error(ErrorKind::data, folder.string() + ": there is no " + prefix + names[0] + " (nor " + prefix +
                                   names[2] + ", nor either with .gz); " + how_to_get_fashion_mnist);
}

IdxFiles find_in(const fs::path& folder, const std::string& split) {
  IdxFiles files;
  files.source = split.empty() ? resolve(folder) : resolve(folder) / split;
  files.name = files.source.filename().string();
  const std::string prefix = split.empty() ? "" : split + "-";
  for (std::size_t i = 0; i < files.paths.size(); ++i) {
    const std::optional<fs::path> path = find_file(folder, prefix, i);
    if (!path) throw_missing(folder, prefix, names_of(i));
    files.paths[i] = *path;
  }
  return files;
}

}  // namespace

bool has_idx_files(const fs::path& folder) {
  for (std::size_t i = 0; i < idx_kinds.size(); ++i)
    if (find_file(folder, "", i)) return true;
  return false;
}

IdxFiles find_idx_files(const fs::path& place) {
  const fs::file_type type = type_of(place);
  if (type == fs::file_type::directory) {
    if (has_idx_files(place)) return find_in(place, "");
    const std::set<std::string> splits = splits_in(place);
    if (splits.size() < 2) return find_in(place, splits.empty() ? "" : *splits.begin());
    throw Error(ErrorKind::data, place.string() +
                                     ": there are several data sets in this folder: " + list(splits) +
                                     "; name one, as in " + (place / *splits.begin()).string());
  }
  if (type != fs::file_type::not_found) {
    throw Error(ErrorKind::data,
                place.string() + ": this is not a folder; name the folder that holds the IDX files");
  }
  const fs::path named = place.has_filename() ? place : place.parent_path();
  const fs::path folder = named.has_parent_path() ? named.parent_path() : ".";
  const std::set<std::string> splits = splits_in(folder);
  const std::string split = named.filename().string();
  if (splits.contains(split)) return find_in(folder, split);
  throw Error(ErrorKind::data, place.string() + ": there is no such folder" +
                                   (splits.empty() ? "" : ", nor such a data set beside " + list(splits)) +
                                   "; " + how_to_get_fashion_mnist);
}

}  // namespace bntrain
