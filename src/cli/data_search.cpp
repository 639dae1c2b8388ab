#include "cli/data_search.hpp"

#include <cstdlib>
#include <filesystem>

namespace bntrain::cli {

DataSearch default_data_search() {
  DataSearch search;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  // The XDG base directory specification: empty means unset, a relative path is to be ignored.
  if (cache != nullptr && std::filesystem::path(cache).is_absolute()) {
    search.folders.push_back(std::filesystem::path(cache) / "bntrain");
  } else if (home != nullptr && *home != '\0') {
    search.folders.push_back(std::filesystem::path(home) / ".cache" / "bntrain");
  }
  search.folders.emplace_back("/usr/share/datasets/fashion-mnist");
  return search;
}

}  // namespace bntrain::cli
