// The network: its text form, its layers with shapes, its parameters, their initial values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/shape.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

enum class LayerKind { conv, batch_norm, relu, sigmoid, max_pool, average_pool, flatten, linear };

/// One layer. `index` is its place in the equivalent torch.nn.Sequential, which has an explicit Flatten.
struct Layer {
  LayerKind kind = LayerKind::relu;
  std::string text;  ///< "conv20x5", "bn", "sigmoid", "maxpool2", "flatten", "fc128", "conv64x3p1nobias"
  int index = 0;
  std::int64_t kernel = 1;  ///< convolution and pooling window (square)
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  bool bias = true;  ///< conv and fc: false behind "nobias"
  Shape input;
  Shape output;
};

enum class ParameterRole { weight, bias, gamma, beta };

/// One trainable tensor and its place in the flat parameter buffer that SGD runs over.
struct Parameter {
  std::string name;  ///< PyTorch's: "0.weight", "1.bias"
  std::vector<std::int64_t> shape;
  ParameterRole role = ParameterRole::weight;
  int layer = 0;    ///< position in Network::layers()
  int ordinal = 0;  ///< among the conv and fc layers, or among the batch norms: keys the random numbers
  std::int64_t fan_in = 1;   ///< inputs per output of its layer (1 for batch norm)
  std::int64_t fan_out = 1;  ///< outputs that an input reaches: kernel^2 * channels of a convolution
  std::int64_t size = 0;
  std::int64_t offset = 0;  ///< in floats; a multiple of 16, so that every tensor starts on a cache line
};

/// Running statistics of one batch norm: mean at `offset`, variance at `offset + channels` rounded up to 16.
struct RunningStatistics {
  std::string name;  ///< prefix, "1" for "1.running_mean"
  int layer = 0;
  std::int64_t channels = 0;
  std::int64_t mean_offset = 0;
  std::int64_t var_offset = 0;
};

/// `batch` keeps the batch norms of the text; `none` removes them and changes nothing else.
enum class Norm { batch, none };

/// "lenet-bn, mlp-bn, ...", for help and messages.
std::string preset_names();

/// A sequential network with all shapes inferred. Immutable once parsed.
class Network {
 public:
  /// Parses a preset's name (preset_names()) or a text such as
  ///   conv20x5,bn,relu,maxpool2,conv50x3,bn,relu,maxpool2,fc128,relu,fc10
  /// conv OUTxK with optional sSTRIDE and pPAD, fcOUT (both with nobias at the end when they have none),
  /// maxpoolK and avgpoolK (stride K, floor), bn, relu, sigmoid, flatten (put in front of the first fc when
  /// it is not written). A preset's last layer takes `classes` outputs; a text must have them. Throws
  /// Error(usage) that points at the layer: its number, text, input shape, and what would be allowed.
  static Network parse(std::string_view text, const Shape& input, std::int64_t classes,
                       Norm norm = Norm::batch);

  const std::string& text() const { return text_; }  ///< canonical text, presets expanded, norms removed
  const Shape& input() const { return input_; }
  std::int64_t classes() const { return classes_; }
  const std::vector<Layer>& layers() const { return layers_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<RunningStatistics>& running() const { return running_; }
  std::int64_t parameter_count() const;                                ///< trainable numbers
  std::int64_t parameter_floats() const { return parameter_floats_; }  ///< length of the flat buffer
  std::int64_t running_floats() const { return running_floats_; }

 private:
  std::string text_;
  Shape input_;
  std::int64_t classes_ = 0;
  std::vector<Layer> layers_;
  std::vector<Parameter> parameters_;
  std::vector<RunningStatistics> running_;
  std::int64_t parameter_floats_ = 0;
  std::int64_t running_floats_ = 0;
};

/// `tutorial`: weights, gamma, beta ~ N(0, 0.01^2), biases 0, running mean and variance 0.
/// `gluon`:    weights ~ N(0, 0.01^2), biases 0, gamma 1, beta 0, running mean 0, variance 1.
/// `torch`:    weights and biases uniform within 1/sqrt(fan_in); gamma 1, beta 0; 0 and 1.
/// `he`:       weights ~ N(0, 2/fan_in), the last layer N(0, 1/fan_in); biases 0; gamma 1, beta 0; 0 and 1.
///             (He et al. 2015, arXiv 1502.01852)
/// `xavier`:   weights uniform within sqrt(6 / (fan_in + fan_out)); biases 0; gamma 1, beta 0; 0 and 1.
///             (Glorot and Bengio 2010, equation 16)
enum class Init { tutorial, gluon, torch, he, xavier };

/// Initial parameters and running statistics. Random numbers are keyed by (seed, role, ordinal), so the conv
/// and fc weights are the same with Norm::none.
ModelState initial_state(const Network& network, Init init, std::uint64_t seed);

/// Checks that `state` has exactly the tensors of `network`; throws Error(data) that names every unknown,
/// missing or misshapen tensor, prefixed by `where` (a file's name).
void check_state(const Network& network, const ModelState& state, const std::string& where);

}  // namespace bntrain
