// The arithmetic of training, in double and in plain loops: what the fast code is judged by.
// It shares no code with the library. All tensors are dense and row-major, images NCHW, weights as in
// PyTorch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bntrain::reference {

using Values = std::vector<double>;

/// The same numbers in double.
Values widen(std::span<const float> values);
/// The same numbers rounded to float.
std::vector<float> narrow(const Values& values);

/// x: (batch, in_channels, height, width), square kernels, the same stride and zero padding on both axes.
struct ConvShape {
  std::int64_t batch = 1, in_channels = 1, height = 1, width = 1;
  std::int64_t out_channels = 1, kernel = 1, stride = 1, padding = 0;

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

/// y[n,o,i,j] = bias[o] + sum over c,k,l of x[n,c,i*stride+k-padding,j*stride+l-padding] * weight[o,c,k,l]
Values conv_forward(const Values& x, const Values& weight, const Values& bias, const ConvShape& shape);

struct Gradients {
  Values x, weight, bias;
};

/// Gradients of sum(dy * y).
Gradients conv_backward(const Values& x, const Values& weight, const Values& dy, const ConvShape& shape);

/// x: (batch, inputs), weight: (outputs, inputs).
struct LinearShape {
  std::int64_t batch = 1, inputs = 1, outputs = 1;
};

/// y = x * weight^T + bias
Values linear_forward(const Values& x, const Values& weight, const Values& bias, const LinearShape& shape);
Gradients linear_backward(const Values& x, const Values& weight, const Values& dy, const LinearShape& shape);

/// x: (batch, channels, spatial); spatial is height * width, 1 for (N, C).
struct NormShape {
  std::int64_t batch = 1, channels = 1, spatial = 1;
};

struct NormForward {
  Values y;
  Values mean, var;  ///< [channels], var biased; infinity where it exceeds float32; empty for an empty batch
};

/// y = (x - mean) / sqrt(var + eps) * gamma + beta with the batch's own statistics, in two passes.
/// var + eps = 0, and a variance beyond float32, give y = beta.
NormForward norm_forward(const Values& x, const Values& gamma, const Values& beta, const NormShape& shape,
                         double eps);

/// running = momentum * running + (1 - momentum) * batch statistic; `unbiased` takes M2 / (n - 1) for the
/// variance, except at one value per channel. An empty batch changes nothing.
void update_running(Values& running_mean, Values& running_var, const NormForward& batch,
                    const NormShape& shape, double momentum, bool unbiased = false);

struct NormGradients {
  Values x, gamma, beta;
};

/// dbeta = sum dy, dgamma = sum dy * xhat, dx = gamma / sqrt(var + eps) * (dy - dbeta / n - xhat * dgamma /
/// n)
NormGradients norm_backward(const Values& x, const Values& dy, const Values& gamma, const NormShape& shape,
                            double eps);

/// The formula of norm_forward() with given statistics.
Values norm_inference(const Values& x, const Values& gamma, const Values& beta, const Values& running_mean,
                      const Values& running_var, const NormShape& shape, double eps);
/// Here the statistics are constants: dx = gamma / sqrt(running_var + eps) * dy.
NormGradients norm_inference_backward(const Values& x, const Values& dy, const Values& gamma,
                                      const Values& running_mean, const Values& running_var,
                                      const NormShape& shape, double eps);

/// max(x, 0); NaN stays NaN.
Values relu_forward(const Values& x);
/// dy where x > 0 (or is NaN), else 0.
Values relu_backward(const Values& x, const Values& dy);

/// 1 / (1 + exp(-x))
Values sigmoid_forward(const Values& x);
/// dy * y * (1 - y) with y the sigmoid of x.
Values sigmoid_backward(const Values& x, const Values& dy);

/// x * Phi(x), Phi the normal distribution's integral; as torch.nn.GELU().
Values gelu_forward(const Values& x);
/// dy * (Phi(x) + x * phi(x)), phi the normal density.
Values gelu_backward(const Values& x, const Values& dy);

/// x / (1 + exp(-x))
Values silu_forward(const Values& x);
/// dy * s * (1 + x * (1 - s)) with s the sigmoid of x.
Values silu_backward(const Values& x, const Values& dy);

/// x where x > 0 (or is NaN), else slope * x.
Values leaky_relu_forward(const Values& x, double slope);
/// dy where x > 0 (or is NaN), else slope * dy.
Values leaky_relu_backward(const Values& x, const Values& dy, double slope);

/// Square windows that do not overlap; a rest of rows or columns is dropped.
struct PoolShape {
  std::int64_t batch = 1, channels = 1, height = 1, width = 1, window = 2;

  std::int64_t out_height() const { return height / window; }
  std::int64_t out_width() const { return width / window; }
};

struct PoolForward {
  Values y;
  std::vector<std::int64_t> argmax;  ///< per output: index into x
};

/// The first maximum of each window in row-major order; the first NaN beats everything.
PoolForward maxpool_forward(const Values& x, const PoolShape& shape);
/// Each dy goes to the argmax of its window; every other input gets 0.
Values maxpool_backward(const PoolForward& forward, const Values& dy, const PoolShape& shape);

/// The mean of each window.
Values avgpool_forward(const Values& x, const PoolShape& shape);
/// Each dy in equal shares to the inputs of its window; every other input gets 0.
Values avgpool_backward(const Values& dy, const PoolShape& shape);

struct Loss {
  double sum = 0;            ///< of the cross-entropies, in nats
  Values gradient;           ///< of `sum` by the logits: softmax - one-hot
  std::int64_t correct = 0;  ///< images whose first largest logit is the label's
};

/// logits: (labels.size(), classes).
Loss softmax_cross_entropy(const Values& logits, const std::vector<std::int64_t>& labels,
                           std::int64_t classes);

struct SgdOptions {
  double lr = 0.2, momentum = 0, weight_decay = 0;
  double gradient_scale = 1;  ///< 1 / 256 where gradients are summed over the batch
  bool nesterov = false;
};

/// g = gradient * scale + weight_decay * w; buffer = momentum * buffer + g (g itself when `buffer` is empty);
/// w -= lr * buffer, with `nesterov` w -= lr * (g + momentum * buffer). As torch.optim.SGD with dampening 0.
void sgd_step(Values& weight, const Values& gradient, Values& buffer, const SgdOptions& options);

struct AdamWOptions {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  double gradient_scale = 1;  ///< 1 / 256 where gradients are summed over the batch
};

struct AdamWState {
  std::int64_t steps = 0;
  Values first, second;  ///< moments of the gradient; empty before the first step
};

/// g = gradient * scale; w -= lr * weight_decay * w; first = beta1 * first + (1 - beta1) * g;
/// second = beta2 * second + (1 - beta2) * g^2; in step t, from 1,
/// w -= lr * first / (1 - beta1^t) / (sqrt(second / (1 - beta2^t)) + eps). As torch.optim.AdamW.
void adamw_step(Values& weight, const Values& gradient, AdamWState& state, const AdamWOptions& options);

/// What `--decay weights` makes of the options of one tensor: only the weights of conv and fc layers decay.
template <typename Options>
Options decay_weights(Options options, bool is_weight) {
  if (!is_weight) options.weight_decay = 0;
  return options;
}

}  // namespace bntrain::reference
