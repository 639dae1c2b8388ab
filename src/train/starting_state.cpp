#include "train/starting_state.hpp"

#include <charconv>
#include <utility>

#include "bntrain/batch_norm_convention.hpp"
#include "formats/safetensors.hpp"

namespace bntrain {
namespace {

std::string name_of(bool unbiased) {
  return unbiased ? "unbiased" : "biased";
}

/// The inference of a network with another eps is another one.
void note_eps(const TrainConfig& config, const TensorFile& file, std::vector<std::string>& notes) {
  const auto text = file.metadata.find("bn-eps");
  if (text == file.metadata.end()) return;
  double eps = 0;
  std::from_chars(text->second.data(), text->second.data() + text->second.size(), eps);
  if (eps == config.batch_norm.eps) return;
  notes.push_back(config.init_from + " was trained with --bn-eps " + text->second +
                  ", and this run has another; its first logits differ from what the file's were");
}

void adopt_variance(const TrainConfig& config, const Network& network, TensorFile& file,
                    std::vector<std::string>& notes) {
  const bool wanted = config.batch_norm.unbiased;
  const auto recorded = recorded_variance(network, file.metadata, config.init_from);
  if (!recorded) {
    notes.push_back(config.init_from + " does not say which variance running_var holds; it is taken as " +
                    name_of(wanted) +
                    ", which this run stores (a file of PyTorch holds the unbiased one, which " +
                    "--bn-convention torch continues)");
  } else if (recorded->unbiased != wanted) {
    file.state = convert_running_variance(network, std::move(file.state), *recorded, wanted);
    notes.push_back("running_var of " + config.init_from + " converted from " + name_of(recorded->unbiased) +
                    " to " + name_of(wanted) + ", with the values per channel that the file names: " +
                    metadata_of(*recorded).at("bn-values"));
  }
}

}  // namespace

ModelState starting_state(const TrainConfig& config, const Network& network,
                          std::vector<std::string>& notes) {
  if (config.init_from.empty()) return initial_state(network, config.init, config.seed);
  TensorFile file = read_safetensors(config.init_from);
  // A checkpoint holds the model and, under this prefix, what only a resumed run needs.
  std::erase_if(file.state.tensors, [](const Tensor& tensor) { return tensor.name.starts_with("bntrain."); });
  check_state(network, file.state, config.init_from);
  if (!network.running().empty()) {
    note_eps(config, file, notes);
    adopt_variance(config, network, file, notes);
  }
  return std::move(file.state);
}

}  // namespace bntrain
