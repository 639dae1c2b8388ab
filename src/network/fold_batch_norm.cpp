#include "network/fold_batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "bntrain/error.hpp"
#include "layers/item_reader.hpp"
#include "network/state_layout.hpp"
#include "network/text.hpp"

namespace bntrain {
namespace {

constexpr double kLargest = std::numeric_limits<float>::max();

std::vector<float>& values(ModelState& state, const Layer& layer, TensorRole role) {
  const auto found = std::ranges::find(state.tensors, tensor_name(layer, role), &Tensor::name);
  BNTRAIN_EXPECTS(found != state.tensors.end());
  return found->floats();
}

/// Rounds to float32 or refuses.
class Rounding {
 public:
  explicit Rounding(const Layer& norm) : norm_(norm) {}

  float operator()(double value, std::size_t channel) const {
    if (std::abs(value) <= kLargest) return static_cast<float>(value);
    throw Error(
        ErrorKind::runtime, "fold",
        "channel " + std::to_string(channel) + " of " + norm_.name +
            " bn cannot be folded: the layer before it would hold a number that is not a finite float32; "
            "export without it");
  }

 private:
  const Layer& norm_;
};

/// Gives a layer that has no bias one of zeros.
void add_bias(ModelState& state, const Layer& layer) {
  const std::int64_t outputs = layer.output.channels;
  state.tensors.push_back({tensor_name(layer, TensorRole::bias),
                           {outputs},
                           std::vector<float>(static_cast<std::size_t>(outputs))});
}

void fold(ModelState& state, const Layer& carrier, const Layer& norm, double eps) {
  std::vector<float>& weight = values(state, carrier, TensorRole::weight);
  std::vector<float>& bias = values(state, carrier, TensorRole::bias);
  const std::vector<float>& gamma = values(state, norm, TensorRole::gamma);
  const std::vector<float>& beta = values(state, norm, TensorRole::beta);
  const std::vector<float>& mean = values(state, norm, TensorRole::running_mean);
  const std::vector<float>& var = values(state, norm, TensorRole::running_var);
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

/// Whether one layer alone reads what layer `position` computes.
bool has_one_reader(const Network& network, int position) {
  const auto reads = [&](const Layer& layer) { return std::ranges::count(layer.inputs, position) > 0; };
  return std::ranges::count_if(network.layers(), reads) == 1;
}

/// The tensors of `network`, whose layers are `layers` of the one that `state` belongs to.
ModelState renamed(const ModelState& state, const Network& network, const std::vector<Layer>& layers) {
  BNTRAIN_EXPECTS(network.layers().size() == layers.size());
  std::map<std::string, std::string> old_names;
  for (std::size_t i = 0; i < layers.size(); ++i) old_names[network.layers()[i].name] = layers[i].name;
  ModelState result;
  for (const StateEntry& entry : state_layout(network)) {
    const std::size_t dot = entry.name.rfind('.');
    const Tensor* tensor = state.find(old_names.at(entry.name.substr(0, dot)) + entry.name.substr(dot));
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
  std::map<int, const Layer*>
      carrier_at;  // what stands in the place of a layer with weights or a folded norm
  std::set<int> folded_items, gain_bias;
  for (const Layer& layer : network.layers()) {
    const int position = static_cast<int>(&layer - network.layers().data());
    if (type_of(layer).weighted) carrier_at[position] = &layer;
    const auto carrier = carrier_at.find(layer.inputs.front());
    if (!type_of(layer).normalizes || carrier == carrier_at.end() ||
        !has_one_reader(network, layer.inputs.front())) {
      if (type_of(layer).normalizes) result.kept.push_back(layer.name + " bn");
      layers.push_back(layer);
      continue;
    }
    const Layer& into = *carrier->second;
    if (!into.bias && gain_bias.insert(into.item).second) add_bias(changed, into);
    fold(changed, into, layer, eps);
    carrier_at[position] = &into;
    folded_items.insert(layer.item);
    result.folded.push_back(layer.name + " bn");
  }

  std::vector<TextItem> items = parse_text(network.text(), network.classes());
  for_each_layer(items, [&](Layer& layer) {
    if (!gain_bias.contains(layer.item)) return;
    layer.bias = true;
    layer.text.resize(layer.text.size() - no_bias.size());
  });
  remove_items(items, [&](const Layer& layer) { return folded_items.contains(layer.item); });
  result.network = Network::parse(to_text(items), network.input(), network.classes(), Norm::batch,
                                  network.normalization());
  result.state = renamed(changed, result.network, layers);
  return result;
}

}  // namespace bntrain
