#include "cli/commands/inputs.hpp"

#include <spdlog/fmt/fmt.h>

#include <cstdlib>
#include <filesystem>

#include "bntrain/error.hpp"

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

void expect_fit(const std::string& model, const Network& network, const Dataset& dataset) {
  if (network.input() == dataset.train.shape && network.classes() == dataset.classes) return;
  throw Error(
      ErrorKind::data,
      fmt::format("{} takes images {} of {} classes, and the data set {} holds images {} of {} classes; "
                  "name the right one with --data",
                  model, to_string(network.input()), network.classes(), dataset.name,
                  to_string(dataset.train.shape), dataset.classes));
}

}  // namespace bntrain::cli
