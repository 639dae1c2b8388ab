#include "support/plan_reference.hpp"

#include <cstddef>
#include <utility>

namespace bntrain::reference {
namespace {

/// What one layer computes, and what it needs again in its backward pass.
struct Trace {
  Values output;
  Values gradient;  ///< of the loss by the output, once backward() was there
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
  return l.name + "." + tensor;
}

Values rounded(const Values& values, Rounding rounding) {
  return rounding == Rounding::none ? values : widen(narrow(values));
}

Values sum(Values a, const Values& b) {
  for (std::size_t i = 0; i < b.size(); ++i) a[i] += b[i];
  return a;
}

const Values& input_of(const std::vector<Trace>& traces, int layer) {
  return traces[static_cast<std::size_t>(layer + 1)].output;
}

/// The images, then a trace a layer: the last one's output are the logits.
std::vector<Trace> forward(const Network& network, const BatchNormOptions& options, const Batch& batch,
                           const State& state, Rounding rounding, bool training = true) {
  std::vector<Trace> traces{{batch.images, {}, {}, {}}};
  for (const Layer& l : network.layers()) {
    const auto tensor = [&](const char* which) -> const Values& { return state.at(name(l, which)); };
    const auto bias = [&] {
      return l.bias ? tensor("bias") : Values(static_cast<std::size_t>(l.output.channels), 0.0);
    };
    const Values& x = input_of(traces, l.inputs[0]);
    Trace next;
    switch (l.kind) {
      case LayerKind::conv:
        next.output = conv_forward(x, tensor("weight"), bias(), conv_shape(l, count(batch)));
        break;
      case LayerKind::linear:
        next.output = linear_forward(x, tensor("weight"), bias(), linear_shape(l, count(batch)));
        break;
      case LayerKind::batch_norm:
        if (!training) {
          next.output = norm_inference(x, tensor("weight"), tensor("bias"), tensor("running_mean"),
                                       tensor("running_var"), norm_shape(l, count(batch)), options.eps);
          break;
        }
        next.norm =
            norm_forward(x, tensor("weight"), tensor("bias"), norm_shape(l, count(batch)), options.eps);
        next.output = next.norm.y;
        break;
      case LayerKind::activation:
        next.output = activation_forward(l.activation, x);
        break;
      case LayerKind::average_pool:
        next.output = avgpool_forward(x, pool_shape(l, count(batch)));
        break;
      case LayerKind::max_pool:
        next.pool = maxpool_forward(x, pool_shape(l, count(batch)));
        next.output = next.pool.y;
        break;
      case LayerKind::flatten:
        next.output = x;
        break;
      case LayerKind::add:
        next.output = sum(x, input_of(traces, l.inputs[1]));
        break;
    }
    next.output = rounded(next.output, rounding);
    traces.push_back(std::move(next));
  }
  return traces;
}

/// Fills step.gradients, and the traces' gradients, from the gradient of the logits.
void backward(const Network& network, const BatchNormOptions& options, std::int64_t batch, const State& state,
              std::vector<Trace>& traces, Values logits_gradient, Rounding rounding, Step& step) {
  const auto keep = [&](const Layer& l, Values weight, Values bias) {
    step.gradients[name(l, "weight")] = std::move(weight);
    if (l.bias) step.gradients[name(l, "bias")] = std::move(bias);
  };
  for (Trace& trace : traces) trace.gradient = Values(trace.output.size(), 0.0);
  traces.back().gradient = rounded(logits_gradient, rounding);
  for (std::size_t i = network.layers().size(); i-- > 0;) {
    const Layer& l = network.layers()[i];
    const Trace& t = traces[i + 1];
    const Values& x = input_of(traces, l.inputs[0]);
    const Values& dy = t.gradient;
    const auto add = [&](int layer, const Values& dx) {
      Values& gradient = traces[static_cast<std::size_t>(layer + 1)].gradient;
      gradient = rounded(sum(gradient, rounded(dx, rounding)), rounding);
    };
    switch (l.kind) {
      case LayerKind::conv: {
        Gradients g = conv_backward(x, state.at(name(l, "weight")), dy, conv_shape(l, batch));
        keep(l, std::move(g.weight), std::move(g.bias));
        add(l.inputs[0], g.x);
        break;
      }
      case LayerKind::linear: {
        Gradients g = linear_backward(x, state.at(name(l, "weight")), dy, linear_shape(l, batch));
        keep(l, std::move(g.weight), std::move(g.bias));
        add(l.inputs[0], g.x);
        break;
      }
      case LayerKind::batch_norm: {
        NormGradients g =
            norm_backward(x, dy, state.at(name(l, "weight")), norm_shape(l, batch), options.eps);
        keep(l, std::move(g.gamma), std::move(g.beta));
        add(l.inputs[0], g.x);
        break;
      }
      case LayerKind::activation:
        add(l.inputs[0], activation_backward(l.activation, x, dy));
        break;
      case LayerKind::average_pool:
        add(l.inputs[0], avgpool_backward(dy, pool_shape(l, batch)));
        break;
      case LayerKind::max_pool:
        add(l.inputs[0], maxpool_backward(t.pool, dy, pool_shape(l, batch)));
        break;
      case LayerKind::flatten:
        add(l.inputs[0], dy);
        break;
      case LayerKind::add:
        for (const int input : l.inputs) add(input, dy);
        break;
    }
  }
}

}  // namespace

Values activation_forward(const Activation& a, const Values& x) {
  switch (a.kind) {
    case ActivationKind::none:
      break;
    case ActivationKind::relu:
      return relu_forward(x);
    case ActivationKind::sigmoid:
      return sigmoid_forward(x);
    case ActivationKind::gelu:
      return gelu_forward(x);
    case ActivationKind::silu:
      return silu_forward(x);
    case ActivationKind::leaky_relu:
      return leaky_relu_forward(x, a.slope);
  }
  return x;
}

Values activation_backward(const Activation& a, const Values& x, const Values& dy) {
  switch (a.kind) {
    case ActivationKind::none:
      break;
    case ActivationKind::relu:
      return relu_backward(x, dy);
    case ActivationKind::sigmoid:
      return sigmoid_backward(x, dy);
    case ActivationKind::gelu:
      return gelu_backward(x, dy);
    case ActivationKind::silu:
      return silu_backward(x, dy);
    case ActivationKind::leaky_relu:
      return leaky_relu_backward(x, dy, a.slope);
  }
  return dy;
}

State widen(const ModelState& state) {
  State result;
  for (const Tensor& tensor : state.tensors)
    if (std::holds_alternative<std::vector<float>>(tensor.values))
      result[tensor.name] = widen(std::span<const float>(tensor.floats()));
  return result;
}

Batch read_batch(const ImageSet& set, std::span<const std::int64_t> indices,
                 const Normalization& normalization) {
  Batch batch;
  for (const std::int64_t index : indices) {
    const auto first = set.pixels.begin() + index * set.shape.size();
    for (auto pixel = first; pixel != first + set.shape.size(); ++pixel) {
      float value = static_cast<float>(*pixel) / 255.0f;
      if (normalization.any()) {
        const auto channel = static_cast<std::size_t>((pixel - first) / set.shape.spatial());
        value = (value - static_cast<float>(normalization.mean[channel])) /
                static_cast<float>(normalization.std[channel]);
      }
      batch.images.push_back(value);
    }
    batch.labels.push_back(set.labels[static_cast<std::size_t>(index)]);
  }
  return batch;
}

Step train_step(const Network& network, const BatchNormOptions& norm, const SgdOptions& sgd,
                const Batch& batch, State& state, State& momentum, Rounding rounding) {
  std::vector<Trace> traces = forward(network, norm, batch, state, rounding);
  Loss loss = softmax_cross_entropy(traces.back().output, batch.labels, network.classes());
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
    update_running(state.at(name(l, "running_mean")), state.at(name(l, "running_var")), traces[i + 1].norm,
                   norm_shape(l, count(batch)), norm.momentum, norm.unbiased);
  }
  return step;
}

std::vector<LayerValue> layer_values(const Network& network, const BatchNormOptions& norm,
                                     double gradient_scale, const Batch& batch, const State& state,
                                     Rounding rounding) {
  std::vector<Trace> traces = forward(network, norm, batch, state, rounding);
  Loss loss = softmax_cross_entropy(traces.back().output, batch.labels, network.classes());
  for (double& value : loss.gradient) value *= gradient_scale;
  Step step;
  backward(network, norm, count(batch), state, traces, std::move(loss.gradient), rounding, step);
  std::vector<LayerValue> values;
  for (Trace& t : traces) values.push_back({std::move(t.output), std::move(t.gradient)});
  return values;
}

double training_loss(const Network& network, const BatchNormOptions& norm, const Batch& batch,
                     const State& state) {
  const std::vector<Trace> traces = forward(network, norm, batch, state, Rounding::none);
  return softmax_cross_entropy(traces.back().output, batch.labels, network.classes()).sum;
}

Values inference_logits(const Network& network, const BatchNormOptions& norm, const Batch& batch,
                        const State& state) {
  return forward(network, norm, batch, state, Rounding::none, false).back().output;
}

Loss evaluate(const Network& network, const BatchNormOptions& norm, const Batch& batch, const State& state) {
  return softmax_cross_entropy(inference_logits(network, norm, batch, state), batch.labels,
                               network.classes());
}

}  // namespace bntrain::reference
