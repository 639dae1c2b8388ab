#include "data/idx_location.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <regex>
#include <vector>

#include "bntrain/error.hpp"
#include "data/file_kind.hpp"
#include "data/foreign_data.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;

constexpr int max_depth = 2;               // of the folders below the one that is named
constexpr std::size_t max_folders = 1000;  // a home folder may be named by mistake

/// One of several files that could be the same part of a data set; the smallest rank is taken.
struct Candidate {
  int rank = 0;
  fs::path path;
  auto operator<=>(const Candidate&) const = default;
};

/// Of one split.
using Parts = std::array<std::optional<Candidate>, 4>;
using Splits = std::map<std::string, Parts>;  // by what the names begin with, "" first

struct Name {
  std::string split;
  std::size_t part;
  int rank;
};

std::optional<Name> parse_name(std::string file) {
  // Several spellings are in use: LeCun's, that of common tools, QMNIST's "labels-idx2-int".
  static const std::regex pattern(
      R"((?:(.+)[-_.])?(train|t10k|test)[-_.](images|labels)([-_.])idx[1-4][-_.](?:ubyte|byte|short|int|float|double)(\.gz)?)");
  std::ranges::transform(file, file.begin(), [](unsigned char c) { return std::tolower(c); });
  std::smatch match;
  if (!std::regex_match(file, match, pattern)) return std::nullopt;
  const std::size_t part = (match[2] == "train" ? 0 : 2) + (match[3] == "images" ? 0u : 1u);
  return Name{match[1], part,
              (match[2] == "test" ? 4 : 0) + (match[4] == "-" ? 0 : 2) + (match[5].matched ? 1 : 0)};
}

[[noreturn]] void throw_unreadable(const fs::path& path, const std::error_code& error) {
  throw Error(ErrorKind::data, path.string() + ": cannot be examined: " + error.message());
}

fs::file_type type_of(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (error && type != fs::file_type::not_found) throw_unreadable(path, error);
  return type;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::end(entry); entry.increment(error)) paths.push_back(entry->path());
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
    throw_unreadable(folder, error);
  std::ranges::sort(paths);
  return paths;
}

void take(std::optional<Candidate>& best, const Candidate& candidate) {
  if (!best || candidate < *best) best = candidate;
}

/// The data sets in that folder itself.
Splits splits_in(const fs::path& folder) {
  constexpr int in_folder = 100;  // after every file
  Splits splits;
  for (const fs::path& path : entries_of(folder)) {
    const std::optional<Name> name = parse_name(path.filename().string());
    if (!name) continue;
    if (type_of(path) != fs::file_type::directory) {
      take(splits[name->split][name->part], {name->rank, path});
      continue;
    }
    for (const fs::path& inner : entries_of(path))
      if (const std::optional<Name> same = parse_name(inner.filename().string());
          same && same->part == name->part && type_of(inner) != fs::file_type::directory)
        take(splits[name->split][name->part], {in_folder + same->rank, inner});
  }
  return splits;
}

void find_below(const fs::path& folder, int depth, std::vector<fs::path>& found, std::size_t& looked_at) {
  std::error_code ignored;
  for (const fs::path& path : entries_of(folder)) {
    if (!fs::is_directory(path, ignored) || fs::is_symlink(path, ignored) || ++looked_at > max_folders)
      continue;
    try {
      if (!splits_in(path).empty())
        found.push_back(path);
      else if (depth < max_depth)
        find_below(path, depth + 1, found, looked_at);
    } catch (const Error&) {  // a folder that nobody named and that cannot be read
    }
  }
}

/// An absolute path without links and without a last "/", so that its last part is the folder's name.
fs::path resolve(const fs::path& folder) {
  std::error_code error;
  fs::path resolved = fs::canonical(folder, error);
  return error ? folder : resolved;
}

std::string name_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  // torchvision's and EMNIST's folders in the folder that has the name
  return name == "raw" || name == "gzip" ? folder.parent_path().filename().string() : name;
}

std::string list(const Splits& splits) {
  std::string text;
  for (const auto& [split, parts] : splits) text += (text.empty() ? "" : ", ") + split;
  return text;
}

std::string usual_name(std::size_t part, const char* joint) {
  return std::string(part < 2 ? "train" : "t10k") + (part % 2 == 0 ? "-images" : "-labels") + joint +
         (part % 2 == 0 ? "idx3-ubyte" : "idx1-ubyte");
}

[[noreturn]] void throw_missing(const fs::path& folder, const std::string& prefix, std::size_t part,
                                const std::string& advice) {
  throw Error(ErrorKind::data, folder.string() + ": there is no " + prefix + usual_name(part, "-") +
                                   " (nor " + prefix + usual_name(part, ".") + ", nor either with .gz); " +
                                   advice);
}

IdxFiles take_files(const fs::path& folder, const std::string& split, const Parts& parts,
                    bool needs_test_set) {
  IdxFiles files;
  files.source = split.empty() ? resolve(folder) : resolve(folder) / split;
  files.name = name_of(files.source);
  const std::string prefix = split.empty() ? "" : split + "-";
  const bool tests = needs_test_set || parts[2] || parts[3];
  for (std::size_t part = 0; part < (tests ? 4U : 2U); ++part) {
    if (!parts[part]) {
      throw_missing(folder, prefix, part,
                    part < 2 || parts[2] || parts[3]
                        ? how_to_get_fashion_mnist
                        : "a test set is needed here, and train goes without one with --valid; " +
                              std::string(how_to_get_fashion_mnist));
    }
    files.paths[part] = parts[part]->path;
  }
  return files;
}

IdxFiles find_in_folder(const fs::path& place, bool needs_test_set) {
  const Splits splits = splits_in(place);
  if (splits.contains("") || splits.size() == 1)
    return take_files(place, splits.begin()->first, splits.begin()->second, needs_test_set);
  if (!splits.empty()) {
    throw Error(ErrorKind::data, place.string() +
                                     ": there are several data sets in this folder: " + list(splits) +
                                     "; name one, as in " + (place / splits.begin()->first).string());
  }
  std::vector<fs::path> below;
  std::size_t looked_at = 0;
  find_below(place, 1, below, looked_at);
  if (below.size() == 1) return find_in_folder(below.front(), needs_test_set);
  if (!below.empty()) {
    std::string paths;
    for (const fs::path& path : below) paths += (paths.empty() ? "" : ", ") + path.string();
    throw Error(ErrorKind::data,
                place.string() + ": several folders in it hold data sets: " + paths + "; name one");
  }
  const std::string instead = describe_foreign_data(place);
  throw_missing(place, "", 0, instead.empty() ? how_to_get_fashion_mnist : instead);
}

[[noreturn]] void refuse_file(const fs::path& file) {
  const FileKind* kind = file_kind(file);
  std::string advice = "name the folder that holds the IDX files";
  if (parse_name(file.filename().string())) {
    const fs::path folder = file.parent_path();
    advice += ", " + (folder.empty() ? "." : folder.string());
  } else if (kind != nullptr) {
    advice = kind->sentence();
  }
  throw Error(ErrorKind::data, file.string() + ": this is not a folder; " + advice);
}

}  // namespace

bool has_idx_files(const fs::path& folder) {
  return splits_in(folder).contains("");
}

IdxFiles find_idx_files(const fs::path& place, bool needs_test_set) {
  const fs::file_type type = type_of(place);
  if (type == fs::file_type::directory) return find_in_folder(place, needs_test_set);
  if (type != fs::file_type::not_found) refuse_file(place);
  const fs::path named = place.has_filename() ? place : place.parent_path();
  const fs::path folder = named.has_parent_path() ? named.parent_path() : ".";
  Splits splits = splits_in(folder);
  splits.erase("");
  std::string split = named.filename().string();
  std::ranges::transform(split, split.begin(), [](unsigned char c) { return std::tolower(c); });
  if (const auto found = splits.find(split); found != splits.end())
    return take_files(folder, found->first, found->second, needs_test_set);
  throw Error(ErrorKind::data, place.string() + ": there is no such folder" +
                                   (splits.empty() ? "" : ", nor such a data set beside " + list(splits)) +
                                   "; " + how_to_get_fashion_mnist);
}

}  // namespace bntrain
