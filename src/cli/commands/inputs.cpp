#include "cli/commands/inputs.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>

#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"

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

Dataset load_data(const std::string& data, const DataNeeds& needs) {
  const auto load = [&] { return load_dataset(data, default_data_search(), needs); };
  return data.empty() ? load() : with_setting("data", load);
}

DataNeeds needs_of_model(const std::string& model, std::optional<std::int64_t> known, bool test_set) {
  if (!known) known = stored_classes(model);
  if (known && *known < 1) known.reset();  // load_model() refuses it
  return {.classes = known, .test_set = test_set};
}

std::unique_ptr<Backend> open_backend(const BackendOptions& options) {
  std::string note;
  auto backend = make_backend(options, note);
  if (!note.empty()) spdlog::info("{}", note);
  return backend;
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

std::string model_file(const std::string& given) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::is_directory(given, ignored)) return given;
  for (const char* name : {"best.safetensors", "last.safetensors"}) {
    const std::string file = (fs::path(given) / name).string();
    if (!fs::is_regular_file(file, ignored)) continue;
    spdlog::info("{} is a folder; its model {} is taken", given, file);
    return file;
  }
  throw Error(ErrorKind::data, given +
                                   ": this folder holds no run, which has best.safetensors or "
                                   "last.safetensors; name a file");
}

void log_remarks(const std::vector<Remark>& remarks) {
  for (const Remark& remark : remarks)
    spdlog::log(remark.warning ? spdlog::level::warn : spdlog::level::info, "{}", remark.text);
}

Model open_model(const std::string& path, const ModelDescription& known) {
  Model model = load_model(path, known);
  log_remarks(model.remarks);
  return model;
}

}  // namespace bntrain::cli
