#include "support/plan_reference.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace bntrain::reference {
namespace {

/// What one layer needs again in its backward pass.
struct Trace {
  Values input;
  /// For every input the sum of the absolute values of what was added up on the way from the pixels to it.
  Values size;
  NormForward norm;
  PoolForward pool;
};

std::int64_t count(const Batch& batch) {
  return static_cast<std::int64_t>(batch.labels.size());
}
ConvShape conv_shape(const Layer& l, std::int64_t batch) {
  return {batch,    l.input.channels, l.input.height, l.input.width, l.output.channels,
          l.kernel, l.stride,         l.padding};
}
LinearShape linear_shape(const Layer& l, std::int64_t batch) {
  return {batch, l.input.size(), l.output.size()};
}
NormShape norm_shape(const Layer& l, std::int64_t batch) {
  return {batch, l.input.channels, l.input.spatial()};
}
PoolShape pool_shape(const Layer& l, std::int64_t batch) {
  return {batch, l.input.channels, l.input.height, l.input.width, l.kernel};
}
std::string name(const Layer& l, const char* tensor) {
  return std::to_string(l.index) + "." + tensor;
}

Values absolute(Values values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

std::size_t channel(std::size_t i, const NormShape& shape) {
  return i / static_cast<std::size_t>(shape.spatial) % static_cast<std::size_t>(shape.channels);
}

/// The mean of each channel.
Values channel_means(const Values& x, const NormShape& shape) {
  Values means(static_cast<std::size_t>(shape.channels));
  for (std::size_t i = 0; i < x.size(); ++i)
    means[channel(i, shape)] += x[i] / static_cast<double>(shape.batch * shape.spatial);
  return means;
}

/// How far each xhat reaches when x and the mean are as uncertain as `size` says.
Values xhat_sizes(const Values& size, const NormForward& norm, const NormShape& shape, double eps) {
  const Values means = channel_means(size, shape);
  Values result = size;
  for (std::size_t i = 0; i < size.size(); ++i) {
    const std::size_t c = channel(i, shape);
    result[i] = (size[i] + means[c]) / std::sqrt(norm.var[c] + eps);
  }
  return result;
}

Values forward_size(const Layer& l, const Trace& t, const State& state, double eps, std::int64_t batch) {
  const auto size_of = [&](const char* which) { return absolute(state.at(name(l, which))); };
  switch (l.kind) {
    case LayerKind::conv:
      return conv_forward(t.size, size_of("weight"), size_of("bias"), conv_shape(l, batch));
    case LayerKind::linear:
      return linear_forward(t.size, size_of("weight"), size_of("bias"), linear_shape(l, batch));
    case LayerKind::batch_norm: {
      const NormShape shape = norm_shape(l, batch);
      const Values gamma = size_of("weight"), beta = size_of("bias");
      Values y = xhat_sizes(t.size, t.norm, shape, eps);
      for (std::size_t i = 0; i < y.size(); ++i)
        y[i] = y[i] * gamma[channel(i, shape)] + beta[channel(i, shape)];
      return y;
    }
    case LayerKind::relu:
      return relu_backward(t.input, t.size);
    case LayerKind::max_pool: {
      Values y;
      for (const std::int64_t winner : t.pool.winner) y.push_back(t.size[static_cast<std::size_t>(winner)]);
      return y;
    }
    case LayerKind::flatten:
      break;
  }
  return t.size;
}

Values inference(const Network& network, const BatchNormOptions& options, const Batch& batch,
                 const State& state) {
  Values x = batch.images;
  for (const Layer& l : network.layers()) {
    const auto tensor = [&](const char* which) -> const Values& { return state.at(name(l, which)); };
    switch (l.kind) {
      case LayerKind::conv:
        x = conv_forward(x, tensor("weight"), tensor("bias"), conv_shape(l, count(batch)));
        break;
      case LayerKind::linear:
        x = linear_forward(x, tensor("weight"), tensor("bias"), linear_shape(l, count(batch)));
        break;
      case LayerKind::batch_norm:
        x = norm_inference(x, tensor("weight"), tensor("bias"), tensor("running_mean"), tensor("running_var"),
                           norm_shape(l, count(batch)), options.eps);
        break;
      case LayerKind::relu:
        x = relu_forward(x);
        break;
      case LayerKind::max_pool:
        x = maxpool_forward(x, pool_shape(l, count(batch))).y;
        break;
      case LayerKind::flatten:
        break;
    }
  }
  return x;
}

/// One trace a layer and a last one, whose input are the logits.
std::vector<Trace> forward(const Network& network, const BatchNormOptions& options, const Batch& batch,
                           const State& state, bool with_sizes) {
  std::vector<Trace> traces{{batch.images, absolute(batch.images), {}, {}}};
  for (const Layer& l : network.layers()) {
    const auto tensor = [&](const char* which) -> const Values& { return state.at(name(l, which)); };
    Trace& t = traces.back();
    const Values& x = t.input;
    Trace next;
    switch (l.kind) {
      case LayerKind::conv:
        next.input = conv_forward(x, tensor("weight"), tensor("bias"), conv_shape(l, count(batch)));
        break;
      case LayerKind::linear:
        next.input = linear_forward(x, tensor("weight"), tensor("bias"), linear_shape(l, count(batch)));
        break;
      case LayerKind::batch_norm:
        t.norm = norm_forward(x, tensor("weight"), tensor("bias"), norm_shape(l, count(batch)), options.eps);
        next.input = t.norm.y;
        break;
      case LayerKind::relu:
        next.input = relu_forward(x);
        break;
      case LayerKind::max_pool:
        t.pool = maxpool_forward(x, pool_shape(l, count(batch)));
        next.input = t.pool.y;
        break;
      case LayerKind::flatten:
        next.input = x;
        break;
    }
    if (with_sizes) next.size = forward_size(l, t, state, options.eps, count(batch));
    traces.push_back(std::move(next));
  }
  return traces;
}

/// norm_backward() with every difference turned into a sum.
NormGradients norm_backward_sizes(const Values& xhat, const Values& dy, const Values& gamma,
                                  const NormForward& norm, const NormShape& shape, double eps) {
  const auto n = static_cast<double>(shape.batch * shape.spatial);
  NormGradients g{Values(dy.size()), Values(gamma.size()), Values(gamma.size())};
  for (std::size_t i = 0; i < dy.size(); ++i) {
    g.beta[channel(i, shape)] += dy[i];
    g.gamma[channel(i, shape)] += dy[i] * xhat[i];
  }
  for (std::size_t i = 0; i < dy.size(); ++i) {
    const std::size_t c = channel(i, shape);
    g.x[i] = std::abs(gamma[c]) / std::sqrt(norm.var[c] + eps) *
             (dy[i] + g.beta[c] / n + xhat[i] * g.gamma[c] / n);
  }
  return g;
}

/// Fills step.gradients and step.magnitudes from the gradient of the logits.
void backward(const Network& network, const BatchNormOptions& options, std::int64_t batch, const State& state,
              const std::vector<Trace>& traces, Values dy, Values magnitude, Step& step) {
  const auto keep = [&](const Layer& l, Values weight, Values bias, Values weight_size, Values bias_size) {
    step.gradients[name(l, "weight")] = std::move(weight);
    step.gradients[name(l, "bias")] = std::move(bias);
    step.magnitudes[name(l, "weight")] = std::move(weight_size);
    step.magnitudes[name(l, "bias")] = std::move(bias_size);
  };
  for (std::size_t i = network.layers().size(); i-- > 0;) {
    const Layer& l = network.layers()[i];
    const Values &x = traces[i].input, &size = traces[i].size;
    switch (l.kind) {
      case LayerKind::conv: {
        const Values& weight = state.at(name(l, "weight"));
        Gradients g = conv_backward(x, weight, dy, conv_shape(l, batch));
        Gradients m = conv_backward(size, absolute(weight), magnitude, conv_shape(l, batch));
        keep(l, std::move(g.weight), std::move(g.bias), std::move(m.weight), std::move(m.bias));
        dy = std::move(g.x);
        magnitude = std::move(m.x);
        break;
      }
      case LayerKind::linear: {
        const Values& weight = state.at(name(l, "weight"));
        Gradients g = linear_backward(x, weight, dy, linear_shape(l, batch));
        Gradients m = linear_backward(size, absolute(weight), magnitude, linear_shape(l, batch));
        keep(l, std::move(g.weight), std::move(g.bias), std::move(m.weight), std::move(m.bias));
        dy = std::move(g.x);
        magnitude = std::move(m.x);
        break;
      }
      case LayerKind::batch_norm: {
        const Values& gamma = state.at(name(l, "weight"));
        const NormShape shape = norm_shape(l, batch);
        NormGradients g = norm_backward(x, dy, gamma, shape, options.eps);
        const Values xhat = xhat_sizes(size, traces[i].norm, shape, options.eps);
        NormGradients m = norm_backward_sizes(xhat, magnitude, gamma, traces[i].norm, shape, options.eps);
        keep(l, std::move(g.gamma), std::move(g.beta), std::move(m.gamma), std::move(m.beta));
        dy = std::move(g.x);
        magnitude = std::move(m.x);
        break;
      }
      case LayerKind::relu:
        dy = relu_backward(x, dy);
        magnitude = relu_backward(x, magnitude);
        break;
      case LayerKind::max_pool:
        dy = maxpool_backward(traces[i].pool, dy, pool_shape(l, batch));
        magnitude = maxpool_backward(traces[i].pool, magnitude, pool_shape(l, batch));
        break;
      case LayerKind::flatten:
        break;
    }
  }
}

}  // namespace

State widen(const ModelState& state) {
  State result;
  for (const Tensor& tensor : state.tensors)
    if (std::holds_alternative<std::vector<float>>(tensor.values))
      result[tensor.name] = widen(std::span<const float>(tensor.floats()));
  return result;
}

Batch read_batch(const ImageSet& set, std::span<const std::int64_t> indices) {
  Batch batch;
  for (const std::int64_t index : indices) {
    const auto first = set.pixels.begin() + index * set.shape.size();
    for (auto pixel = first; pixel != first + set.shape.size(); ++pixel)
      batch.images.push_back(static_cast<float>(*pixel) / 255.0f);
    batch.labels.push_back(set.labels[static_cast<std::size_t>(index)]);
  }
  return batch;
}

Step train_step(const Network& network, const BatchNormOptions& norm, const SgdOptions& sgd,
                const Batch& batch, State& state, State& momentum) {
  const std::vector<Trace> traces = forward(network, norm, batch, state, true);
  Loss loss = softmax_cross_entropy(traces.back().input, batch.labels, network.classes());
  Step step;
  step.loss_sum = loss.sum;
  step.correct = loss.correct;
  for (double& value : loss.gradient) value *= sgd.gradient_scale;
  // A loss and a probability move by as much as the logits do.
  const Values& logit_sizes = traces.back().size;
  const double largest = std::max(1.0, *std::max_element(logit_sizes.begin(), logit_sizes.end()));
  step.loss_magnitude = 2 * largest * static_cast<double>(count(batch));
  Values magnitude = absolute(loss.gradient);
  for (double& value : magnitude) value *= 2 * largest;
  backward(network, norm, count(batch), state, traces, loss.gradient, std::move(magnitude), step);

  SgdOptions scaled = sgd;
  scaled.gradient_scale = 1;
  for (const auto& [parameter, gradient] : step.gradients)
    sgd_step(state.at(parameter), gradient, momentum[parameter], scaled);
  for (std::size_t i = 0; i < network.layers().size(); ++i) {
    const Layer& l = network.layers()[i];
    if (l.kind != LayerKind::batch_norm) continue;
    Values& mean = state.at(name(l, "running_mean"));
    Values& var = state.at(name(l, "running_var"));
    Values& mean_size = step.magnitudes[name(l, "running_mean")] = absolute(mean);
    Values& var_size = step.magnitudes[name(l, "running_var")] = absolute(var);
    const Values means = channel_means(traces[i].size, norm_shape(l, count(batch)));
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double deviation = std::sqrt(traces[i].norm.var[c]);
      mean_size[c] += means[c];
      var_size[c] += deviation * (means[c] + deviation);
    }
    update_running(mean, var, traces[i].norm, norm_shape(l, count(batch)), norm.momentum, norm.unbiased);
  }
  return step;
}

double training_loss(const Network& network, const BatchNormOptions& norm, const Batch& batch,
                     const State& state) {
  const std::vector<Trace> traces = forward(network, norm, batch, state, false);
  return softmax_cross_entropy(traces.back().input, batch.labels, network.classes()).sum;
}

Loss evaluate(const Network& network, const BatchNormOptions& norm, const Batch& batch, const State& state) {
  return softmax_cross_entropy(inference(network, norm, batch, state), batch.labels, network.classes());
}

}  // namespace bntrain::reference
