// The network: its text form, its layers with shapes, its parameters, their initial values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/activation.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

/// `add` sums what the two branches of a residual block compute.
enum class LayerKind { conv, linear, batch_norm, activation, max_pool, average_pool, flatten, add };

/// In Layer::inputs: the images.
inline constexpr int network_input = -1;

/// One layer with its place in the graph.
struct Layer {
  LayerKind kind = LayerKind::activation;
  std::string text =
      {};  ///< "conv20x5", "bn", "sigmoid", "maxpool2", "flatten", "fc128", "conv64x3p1nobias", "add"
  /// Of its module in the equivalent torch.nn.Sequential, which has an explicit Flatten: "0", in the branches
  /// of a residual block at place 3 "3.body.0" and "3.shortcut.1", of its addition "3".
  std::string name = {};
  std::vector<int> inputs =
      {};        ///< positions in Network::layers(), always smaller than its own; or network_input
  int item = 0;  ///< which item of the text, counted from 0 as they are read; a flatten that is not
                 ///< written has that of its fc
  std::int64_t outputs = 0;  ///< conv, fc: output channels
  std::int64_t kernel = 1;   ///< convolution and pooling window (square)
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  bool bias = true;  ///< conv and fc: false with "nobias"
  Activation activation = {};
  Shape input = {};  ///< of every input
  Shape output = {};
};

enum class TensorRole { weight, bias, gamma, beta, running_mean, running_var, batches_tracked };

/// The name of a layer's tensor in PyTorch's state_dict(): "3.body.0.weight", gamma being a batch norm's
/// weight and beta its bias.
std::string tensor_name(const Layer& layer, TensorRole role);

/// One trainable tensor and its place in the flat parameter buffer that the update runs over.
struct Parameter {
  std::string name;  ///< as tensor_name() gives it
  std::vector<std::int64_t> shape;
  TensorRole role = TensorRole::weight;
  int layer = 0;    ///< position in Network::layers()
  int ordinal = 0;  ///< among the conv and fc layers, or among the batch norms: keys the random numbers
  std::int64_t fan_in = 1;   ///< inputs per output of its layer (1 for batch norm)
  std::int64_t fan_out = 1;  ///< outputs that an input reaches: kernel^2 * channels of a convolution
  std::int64_t size = 0;
  std::int64_t offset = 0;  ///< in floats; a multiple of 16, so that every tensor starts on a cache line
};

/// Running statistics of one batch norm: offsets into a buffer of their own, multiples of 16.
struct RunningStatistics {
  int layer = 0;  ///< position in Network::layers()
  std::int64_t channels = 0;
  std::int64_t mean_offset = 0;
  std::int64_t var_offset = 0;
};

/// Conventions of all batch norms of a network.
struct BatchNormOptions {
  double eps = 1e-5;      ///< added to the variance, inside the root
  double momentum = 0.9;  ///< weight of the OLD value in the running statistics (PyTorch's is 1 minus this)
  bool unbiased = false;  ///< running_var gets M2 / (n - 1) instead of M2 / n (no effect at n = 1)
};

/// What becomes of pixels before the first layer: (pixel / 255 - mean) / std in float32, channel by channel,
/// as torchvision's ToTensor and Normalize compute it. Without values, pixel / 255.
struct Normalization {
  std::vector<double> mean = {}, std = {};  ///< equally many: of every channel, or one for all

  bool any() const { return !mean.empty(); }
  /// "0.1307/0.3081", "0.5,0.4,0.5/0.2,0.2,0.2"; "" without values.
  std::string text() const;
  /// Reads text(). Throws Error(usage) unless all are finite and each std is above 0.
  static Normalization parse(std::string_view text);
  /// A value for each channel. Throws Error(usage) where there are others than one or `channels`.
  Normalization for_channels(std::int64_t channels) const;
  bool operator==(const Normalization&) const = default;
};

/// `batch` keeps the batch norms of the text; `none` removes them and changes nothing else.
enum class Norm { batch, none };

/// "lenet-bn, mlp-bn, ...", for help and messages.
std::string preset_names();

/// A network with all shapes inferred: a sequence of layers, some of which may be residual blocks. Immutable
/// once parsed.
class Network {
 public:
  /// Parses a preset's name (preset_names()) or a text such as
  ///   conv20x5,bn,relu,maxpool2,res(conv20x3p1,bn,relu,conv20x3p1,bn),relu,fc128,relu,fc10
  /// conv OUTxK with optional sSTRIDE and pPAD, fcOUT (both with nobias at the end when they have none),
  /// maxpoolK and avgpoolK (stride K, floor), bn, the activations (activation.hpp), flatten (put before the
  /// first fc when it is not written), res(BODY) for BODY(x) + x and res(BODY|SHORTCUT) for BODY(x) +
  /// SHORTCUT(x), where both are such texts. A preset's last layer takes `classes` outputs; a text must have
  /// them. Throws Error(usage) that points at the layer: its number, text, input shape, and what would be
  /// allowed.
  static Network parse(std::string_view text, const Shape& input, std::int64_t classes,
                       Norm norm = Norm::batch, const Normalization& normalization = {});

  const std::string& text() const { return text_; }  ///< canonical text, presets expanded, norms removed
  const Shape& input() const { return input_; }
  std::int64_t classes() const { return classes_; }
  /// With a value for each channel, or none.
  const Normalization& normalization() const { return normalization_; }
  /// In an order in which they can be computed; the last one gives the logits.
  const std::vector<Layer>& layers() const { return layers_; }
  const Layer& layer(int position) const { return layers_[static_cast<std::size_t>(position)]; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<RunningStatistics>& running() const { return running_; }
  std::int64_t parameter_count() const;                                ///< trainable elements
  std::int64_t parameter_floats() const { return parameter_floats_; }  ///< length of the flat buffer
  std::int64_t weight_floats() const {
    return weight_floats_;
  }  ///< it begins with the weights of conv and fc
  std::int64_t running_floats() const { return running_floats_; }

 private:
  friend class NetworkBuilder;

  std::string text_;
  Shape input_;
  std::int64_t classes_ = 0;
  Normalization normalization_;
  std::vector<Layer> layers_;
  std::vector<Parameter> parameters_;
  std::vector<RunningStatistics> running_;
  std::int64_t parameter_floats_ = 0;
  std::int64_t weight_floats_ = 0;
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

/// Checks that `state` has exactly the tensors of `network`; throws Error(data) that names the unknown,
/// missing and misshapen tensors, prefixed by `where` (a file's name): the first few of each, and how many
/// more there are.
void check_state(const Network& network, const ModelState& state, const std::string& where);

/// What running statistics are read for: training goes on from them, `none` does without them.
enum class StatisticsUse { inference, training, none };

/// Checks the values of a state that check_state() took. Throws Error(data), prefixed by `where`, that names
/// the tensors with NaN or infinity, their layers and how many values it is, likewise negative variances.
/// Returns what is allowed and yet worth a word: a running_var of infinity, whose channel is constant in
/// inference; for inference one of zeros alone, which no step has written; and what would be errors in
/// running statistics that are not used.
std::vector<Remark> check_values(const Network& network, const ModelState& state, const std::string& where,
                                 StatisticsUse use);

}  // namespace bntrain
