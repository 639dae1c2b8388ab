// What the program must know of one kind of layer, in one place a layer. The text, the network, the plan and
// all that judges networks ask a LayerType; only a plan's ops, a backend's ops and ONNX know more of a layer.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/network.hpp"

namespace bntrain {

class ItemReader;

/// A trainable tensor of a layer.
struct ParameterSpec {
  TensorRole role = TensorRole::weight;
  std::vector<std::int64_t> shape;
  std::int64_t fan_in = 1, fan_out = 1;
};

/// What a constant that is added to a channel of all images becomes on the layer's way.
enum class Shift {
  passes,   ///< another constant a channel
  removed,  ///< nothing: the layer subtracts the mean
  changes   ///< something that depends on the images
};

/// Throws Error(usage) that points at the layer in the text.
using Complain = std::function<void(const std::string& problem)>;

struct LayerType {
  LayerKind kind = LayerKind::activation;
  std::string_view help;  ///< in the list of what a text may hold
  /// Reads one item; false where the item is of another type. Fills the layer's attributes and its text.
  bool (*parse)(ItemReader& reader, Layer& layer) = nullptr;
  /// Of layer.input. `complain` never returns.
  Shape (*output_shape)(const Layer& layer, const Complain& complain) = nullptr;
  /// Null: it has none.
  std::vector<ParameterSpec> (*parameters)(const Layer& layer) = nullptr;
  bool weighted = false;    ///< has a weight, and counts among those that random numbers are keyed by
  bool normalizes = false;  ///< has running statistics, and goes with Norm::none
  Shift (*shift)(const Layer& layer) = nullptr;
};

extern const LayerType conv_type, linear_type, batch_norm_type, activation_type_of_layers, max_pool_type,
    average_pool_type, flatten_type, add_type;

/// Every kind of layer, in the order in which help lists them. The one list: a new layer is entered here.
std::span<const LayerType* const> layer_types();

const LayerType& type_of(const Layer& layer);

/// The product of positive factors, or a number beyond max_elements where it is beyond that.
std::int64_t bounded_product(const std::vector<std::int64_t>& factors);

/// More elements than any machine trains on, yet far from overflowing int64 when multiplied by a batch size.
inline constexpr std::int64_t max_elements = std::int64_t{1} << 40;

// Shared helpers of layers.
Shape same_shape(const Layer& layer, const Complain& complain);
/// Of a window of layer.kernel that moves by layer.stride, with `channels` channels.
Shape window_shape(const Layer& layer, std::int64_t channels, const Complain& complain);
Shift passes_shift(const Layer& layer);

}  // namespace bntrain
