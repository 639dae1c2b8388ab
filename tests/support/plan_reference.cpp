#include "support/plan_reference.hpp"

#include <cstddef>
#include <utility>

namespace bntrain::reference {
namespace {

/// What one layer needs again in its backward pass.
struct Trace {
  Values input;
  Values gradient;  ///< of the loss by the input, once backward() was here
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

Values rounded(const Values& values, Rounding rounding) {
  return rounding == Rounding::none ? values : widen(narrow(values));
}

Values inference(const Network& network, const BatchNormOptions& options, const Batch& batch,
                 const State& state) {
  Values x = batch.images;
  for (const Layer& l : network.layers()) {
    const auto tensor = [&](const char* which) -> const Values& { return state.at(name(l, which)); };
    const auto bias = [&] {
      return l.bias ? tensor("bias") : Values(static_cast<std::size_t>(l.output.channels), 0.0);
    };
    switch (l.kind) {
      case LayerKind::conv:
        x = conv_forward(x, tensor("weight"), bias(), conv_shape(l, count(batch)));
        break;
      case LayerKind::linear:
        x = linear_forward(x, tensor("weight"), bias(), linear_shape(l, count(batch)));
        break;
      case LayerKind::batch_norm:
        x = norm_inference(x, tensor("weight"), tensor("bias"), tensor("running_mean"), tensor("running_var"),
                           norm_shape(l, count(batch)), options.eps);
        break;
      case LayerKind::relu:
        x = relu_forward(x);
        break;
      case LayerKind::sigmoid:
        x = sigmoid_forward(x);
        break;
      case LayerKind::average_pool:
        x = avgpool_forward(x, pool_shape(l, count(batch)));
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
                           const State& state, Rounding rounding) {
  std::vector<Trace> traces{{batch.images, {}, {}, {}}};
  for (const Layer& l : network.layers()) {
    const auto tensor = [&](const char* which) -> const Values& { return state.at(name(l, which)); };
    const auto bias = [&] {
      return l.bias ? tensor("bias") : Values(static_cast<std::size_t>(l.output.channels), 0.0);
    };
    Trace& t = traces.back();
    const Values& x = t.input;
    Trace next;
    switch (l.kind) {
      case LayerKind::conv:
        next.input = conv_forward(x, tensor("weight"), bias(), conv_shape(l, count(batch)));
        break;
      case LayerKind::linear:
        next.input = linear_forward(x, tensor("weight"), bias(), linear_shape(l, count(batch)));
        break;
      case LayerKind::batch_norm:
        t.norm = norm_forward(x, tensor("weight"), tensor("bias"), norm_shape(l, count(batch)), options.eps);
        next.input = t.norm.y;
        break;
      case LayerKind::relu:
        next.input = relu_forward(x);
        break;
      case LayerKind::sigmoid:
        next.input = sigmoid_forward(x);
        break;
      case LayerKind::average_pool:
        next.input = avgpool_forward(x, pool_shape(l, count(batch)));
        break;
      case LayerKind::max_pool:
        t.pool = maxpool_forward(x, pool_shape(l, count(batch)));
        next.input = t.pool.y;
        break;
      case LayerKind::flatten:
        next.input = x;
        break;
    }
    next.input = rounded(next.input, rounding);
    traces.push_back(std::move(next));
  }
  return traces;
}

/// Fills step.gradients, and the traces' gradients, from the gradient of the logits.
void backward(const Network& network, const BatchNormOptions& options, std::int64_t batch, const State& state,
              std::vector<Trace>& traces, Values dy, Rounding rounding, Step& step) {
  const auto keep = [&](const Layer& l, Values weight, Values bias) {
    step.gradients[name(l, "weight")] = std::move(weight);
    if (l.bias) step.gradients[name(l, "bias")] = std::move(bias);
  };
  for (std::size_t i = network.layers().size(); i-- > 0;) {
    const Layer& l = network.layers()[i];
    const Values& x = traces[i].input;
    dy = rounded(dy, rounding);
    traces[i + 1].gradient = dy;
    switch (l.kind) {
      case LayerKind::conv: {
        Gradients g = conv_backward(x, state.at(name(l, "weight")), dy, conv_shape(l, batch));
        keep(l, std::move(g.weight), std::move(g.bias));
        dy = std::move(g.x);
        break;
      }
      case LayerKind::linear: {
        Gradients g = linear_backward(x, state.at(name(l, "weight")), dy, linear_shape(l, batch));
        keep(l, std::move(g.weight), std::move(g.bias));
        dy = std::move(g.x);
        break;
      }
      case LayerKind::batch_norm: {
        NormGradients g =
            norm_backward(x, dy, state.at(name(l, "weight")), norm_shape(l, batch), options.eps);
        keep(l, std::move(g.gamma), std::move(g.beta));
        dy = std::move(g.x);
        break;
      }
      case LayerKind::relu:
        dy = relu_backward(x, dy);
        break;
      case LayerKind::sigmoid:
        dy = sigmoid_backward(x, dy);
        break;
      case LayerKind::average_pool:
        dy = avgpool_backward(dy, pool_shape(l, batch));
        break;
      case LayerKind::max_pool:
        dy = maxpool_backward(traces[i].pool, dy, pool_shape(l, batch));
        break;
      case LayerKind::flatten:
        break;
    }
  }
  traces[0].gradient = std::move(dy);
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
                const Batch& batch, State& state, State& momentum, Rounding rounding) {
  std::vector<Trace> traces = forward(network, norm, batch, state, rounding);
  Loss loss = softmax_cross_entropy(traces.back().input, batch.labels, network.classes());
  Step step{loss.sum, loss.correct, {}};
  for (double& value : loss.gradient) value *= sgd.gradient_scale;
  backward(network, norm, count(batch), state, traces, std::move(loss.gradient), rounding, step);

  SgdOptions scaled = sgd;
  scaled.gradient_scale = 1;
  for (const auto& [parameter, gradient] : step.gradients)
    sgd_step(state.at(parameter), gradient, momentum[parameter], scaled);
  for (std::size_t i = 0; i < network.layers().size(); ++i) {
    const Layer& l = network.layers()[i];
    if (l.kind != LayerKind::batch_norm) continue;
    update_running(state.at(name(l, "running_mean")), state.at(name(l, "running_var")), traces[i].norm,
                   norm_shape(l, count(batch)), norm.momentum, norm.unbiased);
  }
  return step;
}

std::vector<LayerInput> layer_inputs(const Network& network, const BatchNormOptions& norm,
                                     double gradient_scale, const Batch& batch, const State& state,
                                     Rounding rounding) {
  std::vector<Trace> traces = forward(network, norm, batch, state, rounding);
  Loss loss = softmax_cross_entropy(traces.back().input, batch.labels, network.classes());
  for (double& value : loss.gradient) value *= gradient_scale;
  Step step;
  backward(network, norm, count(batch), state, traces, std::move(loss.gradient), rounding, step);
  std::vector<LayerInput> inputs;
  for (Trace& t : traces) inputs.push_back({std::move(t.input), std::move(t.gradient)});
  return inputs;
}

double training_loss(const Network& network, const BatchNormOptions& norm, const Batch& batch,
                     const State& state) {
  const std::vector<Trace> traces = forward(network, norm, batch, state, Rounding::none);
  return softmax_cross_entropy(traces.back().input, batch.labels, network.classes()).sum;
}

Loss evaluate(const Network& network, const BatchNormOptions& norm, const Batch& batch, const State& state) {
  return softmax_cross_entropy(inference(network, norm, batch, state), batch.labels, network.classes());
}

}  // namespace bntrain::reference
