#include "data/foreign_data.hpp"

#include <optional>

#include "data/file_kind.hpp"
#include "data/picture.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;

constexpr int max_depth = 2;
constexpr int max_entries = 1000;  // a home folder may be named by mistake

std::string describe_picture(const std::string& name) {
  return "it holds pictures (" + name +
         "), which predict takes; to train on them, write them as IDX files: docs/data.md has the lines";
}

}  // namespace

std::string describe_foreign_data(const fs::path& folder) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
  // Of several kinds the one that sorts first by name, whatever order the file system has.
  std::optional<fs::path> first;
  const auto is_known = [](const fs::path& path) {
    return file_kind(path) != nullptr || looks_like_picture(path);
  };
  for (int count = 0; !error && entry != fs::end(entry) && count < max_entries;
       entry.increment(error), ++count) {
    if (entry.depth() == max_depth) entry.disable_recursion_pending();
    if (!entry->is_regular_file(error) || (first && *first <= entry->path())) continue;
    if (is_known(entry->path())) first = entry->path();
  }
  if (!first) return "";
  const std::string name = first->lexically_relative(folder).string();
  const FileKind* kind = file_kind(*first);
  if (kind == nullptr || kind->picture) return describe_picture(name);
  return "it holds " + name + ": " + kind->sentence();
}

}  // namespace bntrain
