#include "cli/commands/inputs.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"
#include "formats/safetensors.hpp"
#include "network/batch_norm_convention.hpp"

namespace bntrain::cli {
namespace {

std::string name_of(bool unbiased) {
  return unbiased ? "unbiased" : "biased";
}

/// With another eps the same weights are another function.
void note_eps(const std::string& path, const TensorFile& file, double eps, std::vector<std::string>& notes) {
  const auto text = file.metadata.find("bn-eps");
  if (text == file.metadata.end() || std::strtod(text->second.c_str(), nullptr) == eps) return;
  notes.push_back(path + " was trained with --bn-eps " + text->second +
                  ", and this run has another; its first logits differ from the file's");
}

/// On other inputs the same weights are another function.
void note_normalization(const std::string& path, const TensorFile& file, const Network& network,
                        std::vector<std::string>& notes) {
  const auto text = file.metadata.find("normalize");
  const std::string stored = text == file.metadata.end() ? "" : text->second,
                    now = network.normalization().text();
  if (stored == now || (stored.empty() && !file.metadata.contains("format"))) return;
  notes.push_back(path + " was trained " +
                  (stored.empty() ? "without --normalize" : "with --normalize " + stored) +
                  ", and this run " + (now.empty() ? "has none" : "has " + now) +
                  "; its first logits differ from the file's");
}

void adopt_variance(const std::string& path, const Network& network, bool unbiased, TensorFile& file,
                    std::vector<std::string>& notes) {
  const auto recorded = recorded_variance(network, file.metadata, path);
  if (!recorded) {
    notes.push_back(path + " does not say which variance running_var holds; it is taken as " +
                    name_of(unbiased) +
                    ", which this run stores (a file of PyTorch holds the unbiased one, which "
                    "--bn-convention torch continues)");
  } else if (recorded->unbiased != unbiased) {
    file.state = convert_running_variance(network, std::move(file.state), *recorded, unbiased);
    notes.push_back("running_var of " + path + " converted from " + name_of(recorded->unbiased) + " to " +
                    name_of(unbiased) + ", with the values per channel that the file names: " +
                    metadata_of(*recorded).at("bn-values"));
  }
}

}  // namespace

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
  return load_dataset(data, default_data_search(), needs);
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

ModelState read_initial_values(const std::string& path, const Network& network,
                               const BatchNormOptions& batch_norm, std::vector<std::string>& notes) {
  TensorFile file = read_model_tensors(path);
  check_state(network, file.state, path);
  note_normalization(path, file, network, notes);
  if (!network.running().empty()) {
    note_eps(path, file, batch_norm.eps, notes);
    adopt_variance(path, network, batch_norm.unbiased, file, notes);
  }
  return std::move(file.state);
}

}  // namespace bntrain::cli
