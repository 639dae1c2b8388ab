#include "bntrain/fold_batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bntrain/error.hpp"
#include "network/state_layout.hpp"
#include "network/text.hpp"

namespace bntrain {
namespace {

constexpr double kLargest = std::numeric_limits<float>::max();

std::string name_of(const Layer& layer, const char* tensor) {
  return std::to_string(layer.index) + tensor;
}

std::vector<float>& values(ModelState& state, const Layer& layer, const char* tensor) {
  const auto found = std::ranges::find(state.tensors, name_of(layer, tensor), &Tensor::name);
  BNTRAIN_EXPECTS(found != state.tensors.end());
  return found->floats();
}

/// Rounds to float32 or refuses.
class Rounding {
 public:
  explicit Rounding(const Layer& norm) : norm_(norm) {}

  float operator()(double value, std::size_t channel) const {
    if (std::abs(value) <= kLargest) return static_cast<float>(value);
    throw Error(ErrorKind::runtime, "channel " + std::to_string(channel) + " of " +
                                        std::to_string(norm_.index) +
                                        " bn cannot be folded: the layer before it would hold a number that "
                                        "is not a finite float32; export without --fold");
  }

 private:
  const Layer& norm_;
};

/// Gives a layer that has no bias one of zeros.
void add_bias(ModelState& state, Layer& layer) {
  if (layer.bias) return;
  layer.bias = true;
  layer.text.resize(layer.text.size() - no_bias.size());
  const std::int64_t outputs = layer.output.channels;
  state.tensors.push_back(
      {name_of(layer, ".bias"), {outputs}, std::vector<float>(static_cast<std::size_t>(outputs))});
}

void fold(ModelState& state, const Layer& carrier, const Layer& norm, double eps) {
  std::vector<float>& weight = values(state, carrier, ".weight");
  std::vector<float>& bias = values(state, carrier, ".bias");
  const std::vector<float>& gamma = values(state, norm, ".weight");
  const std::vector<float>& beta = values(state, norm, ".bias");
  const std::vector<float>& mean = values(state, norm, ".running_mean");
  const std::vector<float>& var = values(state, norm, ".running_var");
  const Rounding rounded(norm);
  const std::size_t inputs = weight.size() / bias.size();
  for (std::size_t c = 0; c < bias.size(); ++c) {
    const double spread = static_cast<double>(var[c]) + eps;
    const bool constant = var[c] > kLargest || spread == 0;
    const double scale = constant ? 0 : gamma[c] / std::sqrt(spread);
    const double centred = static_cast<double>(bias[c]) - mean[c];
    bias[c] = constant ? beta[c] : rounded(scale * centred + beta[c], c);
    for (std::size_t i = c * inputs; i < (c + 1) * inputs; ++i)
      weight[i] = constant ? 0.0f : rounded(scale * weight[i], c);
  }
}

bool has_weights(const Layer& layer) {
  return layer.kind == LayerKind::conv || layer.kind == LayerKind::linear;
}

std::string text_of(const std::vector<Layer>& layers) {
  std::string text;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    // In front of an fc it stands by itself.
    const bool implied = layers[i].kind == LayerKind::flatten && i + 1 < layers.size() &&
                         layers[i + 1].kind == LayerKind::linear;
    if (!implied) text += (text.empty() ? "" : ",") + layers[i].text;
  }
  return text;
}

/// The tensors of `network`, whose layers are `layers` of the one that `state` belongs to.
ModelState renumbered(const ModelState& state, const Network& network, const std::vector<Layer>& layers) {
  BNTRAIN_EXPECTS(network.layers().size() == layers.size());
  ModelState result;
  for (const StateEntry& entry : state_layout(network)) {
    const std::size_t dot = entry.name.find('.');
    const auto place = static_cast<std::size_t>(std::stoul(entry.name.substr(0, dot)));
    const Tensor* tensor = state.find(name_of(layers[place], entry.name.substr(dot).c_str()));
    BNTRAIN_EXPECTS(tensor != nullptr);
    result.tensors.push_back(*tensor);
    result.tensors.back().name = entry.name;
  }
  return result;
}

}  // namespace

FoldedNetwork fold_batch_norm(const Network& network, const ModelState& state, double eps) {
  FoldedNetwork result;
  ModelState changed = state;
  std::vector<Layer> layers;  // those that stay
  for (const Layer& layer : network.layers()) {
    if (layer.kind == LayerKind::batch_norm) {
      const bool foldable = !layers.empty() && has_weights(layers.back());
      (foldable ? result.folded : result.kept).push_back(name_of(layer, " bn"));
      if (foldable) {
        add_bias(changed, layers.back());
        fold(changed, layers.back(), layer, eps);
        continue;
      }
    }
    layers.push_back(layer);
  }
  result.network = Network::parse(text_of(layers), network.input(), network.classes());
  result.state = renumbered(changed, result.network, layers);
  return result;
}

}  // namespace bntrain
