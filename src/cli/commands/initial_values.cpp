#include "cli/commands/initial_values.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "bntrain/error.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/flags/values.hpp"
#include "formats/adapt_state.hpp"
#include "formats/safetensors.hpp"
#include "network/batch_norm_convention.hpp"

namespace bntrain::cli {
namespace {

/// Whether the tensor, "3.body.0.weight", is that one or belongs to that layer or block, "3.body".
bool belongs_to(const std::string& tensor, const std::string& part) {
  return tensor == part || tensor.starts_with(part + ".");
}

/// Reads one file for one network.
class Reader {
 public:
  Reader(const TrainOptions& options, const Network& network)
      : options_(options),
        config_(options.config),
        network_(network),
        path_(model_file(options.init_from)),
        fresh_(initial_state(network, config_.init, config_.seed)) {
    TensorFile file = read_model_tensors(path_);
    values_.remarks = std::move(file.remarks);
    values_.state = adapt_state(network, std::move(file.state), path_, values_.remarks);
    metadata_ = std::move(file.metadata);
    for (const std::string& part : options.init_skip) skip(part);
    skip_other_head();
  }

  InitialValues read() {
    put_fresh();
    check_state(network_, values_.state, path_);
    note_normalization();
    if (!network_.running().empty()) {
      note_eps();
      adopt_variance();
    }
    put_fresh();  // what begins anew is not converted
    for (Remark& remark : check_values(network_, values_.state, path_, StatisticsUse::training))
      values_.remarks.push_back(std::move(remark));
    note_fresh();
    return std::move(values_);
  }

 private:
  void note(const std::string& text, bool warning = false) {
    values_.remarks.push_back({path_ + " " + text, warning});
  }

  void skip(const std::string& part) {
    bool found = false;
    for (const Tensor& tensor : fresh_.tensors) {
      if (!belongs_to(tensor.name, part)) continue;
      found = true;
      anew_.insert(tensor.name);
    }
    if (!found) {
      std::vector<std::string> layers;
      for (const Layer& layer : network_.layers()) layers.push_back(layer.name + " (" + layer.text + ")");
      throw Error(
          ErrorKind::usage, "init_skip",
          "'" + part + "' is no layer with weights; the network has the layers " + list_names(layers, "and"));
    }
    std::erase_if(values_.state.tensors, [&](const Tensor& tensor) { return belongs_to(tensor.name, part); });
  }

  /// The last layer, where only its number of outputs differs.
  void skip_other_head() {
    const Layer& last = network_.layers().back();
    for (const Parameter& parameter : network_.parameters()) {
      const Tensor* held = values_.state.find(parameter.name);
      if (network_.layer(parameter.layer).name != last.name || held == nullptr) continue;
      if (parameter.role != TensorRole::weight) continue;
      if (held->shape.size() != parameter.shape.size() || held->shape.empty()) continue;
      const bool same_inputs =
          std::equal(held->shape.begin() + 1, held->shape.end(), parameter.shape.begin() + 1);
      if (!same_inputs || held->shape.front() == parameter.shape.front()) continue;
      values_.remarks.push_back(
          {fmt::format("{} has {} outputs in its last layer, {} {}, and this network has {}{}", path_,
                       held->shape.front(), last.name, last.text, parameter.shape.front(),
                       held->shape.front() > parameter.shape.front()
                           ? fmt::format("; --classes {} keeps them", held->shape.front())
                           : ""),
           true});
      skip(last.name);
      return;
    }
  }

  void put_fresh() {
    for (const Tensor& tensor : fresh_.tensors) {
      if (!anew_.contains(tensor.name)) continue;
      const auto place = std::ranges::find(values_.state.tensors, tensor.name, &Tensor::name);
      if (place == values_.state.tensors.end())
        values_.state.tensors.push_back(tensor);
      else
        *place = tensor;
    }
  }

  void note_fresh() {
    values_.anew.assign(anew_.begin(), anew_.end());
    if (anew_.empty()) return;
    note("does not give these tensors, which begin anew with --init " + to_string(config_.init) +
             " and --seed " + std::to_string(config_.seed) + ": " + list_names(values_.anew, "and"),
         true);
  }

  /// With another eps the same weights are another function.
  void note_eps() {
    const auto text = metadata_.find("bn-eps");
    if (text == metadata_.end() || std::strtod(text->second.c_str(), nullptr) == config_.batch_norm.eps)
      return;
    note("was trained with --bn-eps " + text->second +
         ", and this run has another; its first logits differ from the file's");
  }

  /// On other inputs the same weights are another function. PyTorch's files do not tell.
  void note_normalization() {
    const auto text = metadata_.find("normalize");
    const std::string stored = text == metadata_.end() ? "" : text->second;
    const std::string now = network_.normalization().text();
    if (stored == now || (stored.empty() && !metadata_.contains("network"))) return;
    note("was trained " + (stored.empty() ? "without --normalize" : "with --normalize " + stored) +
         ", and this run " + (now.empty() ? "has none" : "has " + now) +
         "; its first logits differ from the file's");
  }

  std::optional<RecordedVariance> recorded() const {
    try {
      return recorded_variance(network_, metadata_, path_);
    } catch (const Error&) {  // of the file's network, of which parts are not taken
      if (options_.init_skip.empty()) throw;
      return std::nullopt;
    }
  }

  void adopt_variance() {
    const bool unbiased = config_.batch_norm.unbiased;
    const auto word_of = [](bool is_unbiased) { return is_unbiased ? "unbiased" : "biased"; };
    const auto found = recorded();
    if (!found) {
      note(
          fmt::format("does not say which variance running_var holds; it is taken as {}, which this run "
                      "stores (a file of PyTorch holds the unbiased one, which --bn-convention torch "
                      "continues)",
                      word_of(unbiased)));
    } else if (found->unbiased != unbiased) {
      values_.state = convert_running_variance(network_, std::move(values_.state), *found, unbiased);
      values_.remarks.push_back({fmt::format(
          "running_var of {} converted from {} to {}, with the values per channel that the file "
          "names: {}",
          path_, word_of(found->unbiased), word_of(unbiased), metadata_of(*found).at("bn-values"))});
    }
  }

  const TrainOptions& options_;
  const TrainConfig& config_;
  const Network& network_;
  std::string path_;
  ModelState fresh_;  ///< a new network
  InitialValues values_;
  std::map<std::string, std::string> metadata_;
  std::set<std::string> anew_;
};

}  // namespace

Dataset load_training_data(TrainOptions& options) {
  Dataset dataset =
      load_data(options.data, {.classes = options.classes, .test_set = options.config.valid == 0});
  if (options.init_from.empty() || options.classes || options.stored) return dataset;
  const std::int64_t stored = stored_classes(model_file(options.init_from)).value_or(0);
  const std::string head = "fc" + std::to_string(stored);
  const std::string& text = options.config.network;
  if (stored <= dataset.classes || !(text.ends_with(head) || text.ends_with(head + "nobias"))) return dataset;
  spdlog::info("the data show {} of the {} classes of {}", dataset.classes, stored, options.init_from);
  options.classes = dataset.classes = stored;
  return dataset;
}

InitialValues read_initial_values(const TrainOptions& options, const Network& network) {
  return Reader(options, network).read();
}

}  // namespace bntrain::cli
