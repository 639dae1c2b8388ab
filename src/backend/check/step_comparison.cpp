#include "backend/check/step_comparison.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bntrain/error.hpp"
#include "core/named.hpp"
#include "layers/layer_type.hpp"
#include "network/state_layout.hpp"
#include "optimizers/update.hpp"

namespace bntrain {
namespace {

// What float32 may do in one step, in units of step_distances(). Measured: x86-64-v2 against v4 on
// Fashion-MNIST, 200 to 600 steps of lenet-bn with inits tutorial, torch and gluon at lr 0.2 and lower, with
// and without batch norm and momentum, batches of 256 and 32. The largest distances where no ReLU and no
// pooling window decided otherwise: loss 7e-8, gradient 1e-6 (median 3e-7), running statistics 7e-8, update
// 1e-7. Such decisions move gradients by 1e-5 to 1e-2 in about every seventh step of 256 images;
// check/backend.cpp accounts for them. Planted into v2 there: gradients of a batch norm without its two sums
// are 0.6 to 1.5 off, with sums 1% too small 6e-3 to 1.5e-2; running_var of the unbiased variance 3e-5 at
// once with init tutorial and 1.1e-6 from the fifth step on with init torch, about the least that is noticed.
constexpr double kLossBound = 1e-6;
constexpr double kGradientBound = 1e-5;
constexpr double kRunningBound = 1e-6;
constexpr double kUpdateBound = 5e-7;
// A sum of 147456 terms that cancel: measured 1e-6 when added up in sixteen lanes. One chain of float32 sums,
// which a library may choose, is estimated to reach a hundred times as much.
constexpr double kCancelledBound = 1e-3;
constexpr double kFloatEps = std::numeric_limits<float>::epsilon();

constexpr Named<Quantity> quantity_names[] = {{"running statistics", Quantity::running_statistics},
                                              {"loss", Quantity::loss},
                                              {"correct predictions", Quantity::correct},
                                              {"gradient", Quantity::gradient},
                                              {"optimizer state", Quantity::optimizer},
                                              {"parameter", Quantity::parameter}};

using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double norm(const Values& values) {
  double sum = 0;
  for (const double v : values)
    if (std::isfinite(v)) sum += v * v;
  return std::sqrt(sum);
}

/// ||a - b||; infinite where only one of two numbers is finite or where they are different infinities.
double difference(const Values& a, const Values& b) {
  if (a.size() != b.size()) return kInfinity;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return kInfinity;
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return std::sqrt(sum);
}

double ratio(double distance, double scale) {
  return distance == 0 ? 0 : distance / scale;
}

Values values_of(const ModelState& state, const std::string& name) {
  const Tensor* tensor = state.find(name);
  BNTRAIN_EXPECTS(tensor != nullptr);
  return std::visit([](const auto& values) { return Values(values.begin(), values.end()); }, tensor->values);
}

/// The position of the last batch norm that subtracts what layer `layer` adds to a channel of all images; -1
/// where some of it is left.
int subtracting_norm(const Network& network, int layer) {
  std::vector<bool> shifted(network.layers().size(), false);
  shifted[static_cast<std::size_t>(layer)] = true;
  int last = -1;
  for (std::size_t next = static_cast<std::size_t>(layer) + 1; next < shifted.size(); ++next) {
    const Layer& reader = network.layers()[next];
    const bool reads = std::ranges::any_of(reader.inputs, [&](int input) {
      return input != network_input && shifted[static_cast<std::size_t>(input)];
    });
    if (!reads) continue;
    switch (type_of(reader).shift(reader)) {
      case Shift::passes:
        shifted[next] = true;
        break;
      case Shift::removed:
        last = static_cast<int>(next);
        break;
      case Shift::changes:
        return -1;
    }
  }
  return shifted.back() ? -1 : last;
}

/// For each layer whether the output of layer `layer` reaches it.
std::vector<bool> layers_after(const Network& network, int layer) {
  std::vector<bool> reached(network.layers().size(), false);
  reached[static_cast<std::size_t>(layer)] = true;
  for (std::size_t next = static_cast<std::size_t>(layer) + 1; next < reached.size(); ++next)
    reached[next] = std::ranges::any_of(network.layers()[next].inputs, [&](int input) {
      return input != network_input && reached[static_cast<std::size_t>(input)];
    });
  return reached;
}

class StepComparison {
 public:
  StepComparison(const Plan& plan, const StepParams& params, const StepState& start,
                 const StepOutcome& reference, const StepOutcome& judged)
      : plan_(plan),
        network_(plan.network),
        params_(params),
        start_(start),
        reference_(reference),
        judged_(judged) {}

  std::vector<Distance> finite_step() {
    const std::vector<StateEntry> layout =
        reference_.after.state.tensors.empty() ? std::vector<StateEntry>() : state_layout(network_);
    for (const StateEntry& entry : layout)
      if (entry.parameter == nullptr) compare_running(entry);
    compare_metrics();
    for (auto entry = layout.rbegin(); entry != layout.rend(); ++entry)
      if (entry->parameter != nullptr) compare_gradient(*entry->parameter);
    for (const StateEntry& entry : layout)
      if (entry.parameter != nullptr) compare_update(*entry.parameter);
    return std::move(distances_);
  }

  std::vector<Distance> halted_step() {
    add(Quantity::loss, "", std::isfinite(judged_.metrics.loss_sum) ? kInfinity : 0, 0);
    for (const Tensor& tensor : reference_.after.state.tensors) {
      const Values b = values_of(reference_.after.state, tensor.name);
      add(Quantity::parameter, tensor.name,
          ratio(difference(values_of(judged_.after.state, tensor.name), b), norm(b)), 0);
    }
    return std::move(distances_);
  }

 private:
  void add(Quantity quantity, const std::string& tensor, double value, double allowed) {
    distances_.push_back({quantity, tensor, value, allowed});
  }

  void compare_metrics() {
    const StepMetrics &a = judged_.metrics, &b = reference_.metrics;
    const auto images = static_cast<double>(b.count);
    const bool same_batch = a.count == b.count && std::isfinite(a.loss_sum);
    add(Quantity::loss, "",
        same_batch ? std::abs(a.loss_sum - b.loss_sum) / (std::abs(b.loss_sum) + images) : kInfinity,
        kLossBound);
    add(Quantity::correct, "", static_cast<double>(std::abs(a.correct - b.correct)) / images, 0);
  }

  void compare_running(const StateEntry& entry) {
    const Values b = values_of(reference_.after.state, entry.name);
    const double distance = difference(values_of(judged_.after.state, entry.name), b);
    if (entry.role == TensorRole::batches_tracked)
      return add(Quantity::running_statistics, entry.name, distance, 0);
    const std::string prefix = entry.name.substr(0, entry.name.rfind('.'));
    const Values mean = values_of(reference_.after.state, prefix + ".running_mean");
    const Values var = values_of(reference_.after.state, prefix + ".running_var");
    Values unit(mean.size());  // the other part of the scale: std, or |mean| * std
    for (std::size_t i = 0; i < unit.size(); ++i)
      unit[i] = std::sqrt(var[i]) * (entry.role == TensorRole::running_var ? std::abs(mean[i]) : 1);
    add(Quantity::running_statistics, entry.name, ratio(distance, norm(b) + norm(unit)), kRunningBound);
  }

  void compare_gradient(const Parameter& parameter) {
    const Values b = values_of(reference_.gradients, parameter.name);
    const bool shift = parameter.role == TensorRole::bias || parameter.role == TensorRole::beta;
    const int last = shift ? subtracting_norm(network_, parameter.layer) : -1;
    double scale = norm(b);
    for (const Parameter& other : network_.parameters())
      if (other.layer >= parameter.layer && other.layer <= last && other.name != parameter.name)
        scale += norm(values_of(reference_.gradients, other.name));
    add(Quantity::gradient, parameter.name,
        ratio(difference(values_of(judged_.gradients, parameter.name), b), scale),
        (last < 0 ? kGradientBound : kCancelledBound) + rounding_of_pairs(parameter.layer));
  }

  /// How much the roundings of batch norms over two values a channel move the gradients of what comes before,
  /// relative to these. With x = mean +- d, x normalised is +-q, q^2 = 1 - eps / (var + eps), and
  ///   dx = gamma / std * (dy - mean of dy - x normalised * mean of dy * x normalised)
  ///      = +-gamma / std * (dy1 - dy2) / 2 * eps / (var + eps):
  /// almost all of dy cancels, and what remains is as exact as the terms that cancel, |dbeta| and |dgamma|.
  /// Those have about four roundings, and q that of the mean, |mean| / std times as large. The parameters
  /// before add up dx of two images, +-dx times nearly the same where |mean| is large beside std.
  double rounding_of_pairs(int layer) const {
    const std::vector<bool> reached = layers_after(network_, layer);
    double sum = 0;
    for (const PlanOp& op : plan_.ops) {
      if (!op.has_norm() || reference_.metrics.count * op.in.spatial() != 2) continue;
      for (int norm = std::max(op.first_layer, layer + 1); norm <= op.last_layer; ++norm) {
        const Layer& each = network_.layers()[static_cast<std::size_t>(norm)];
        if (each.kind == LayerKind::batch_norm && reached[static_cast<std::size_t>(norm)])
          sum += rounding_of_pairs(each.name);
      }
    }
    return sum;
  }

  double rounding_of_pairs(const std::string& norm_name) const {
    const BatchNormOptions& o = plan_.batch_norm;
    // running = momentum * running + (1 - momentum) * batch; the unbiased variance of two is twice the other.
    const auto of_batch = [&](const char* name, double times) {
      const Values before = values_of(start_.state, norm_name + name);
      Values values = values_of(reference_.after.state, norm_name + name);
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = (values[i] - o.momentum * before[i]) / (1 - o.momentum) / times;
      return values;
    };
    const Values mean = of_batch(".running_mean", 1), var = of_batch(".running_var", o.unbiased ? 2 : 1);
    const Values gamma = values_of(start_.state, norm_name + ".weight"),
                 dgamma = values_of(reference_.gradients, norm_name + ".weight"),
                 dbeta = values_of(reference_.gradients, norm_name + ".bias");
    Values rounding(mean.size()), left(mean.size());
    for (std::size_t i = 0; i < mean.size(); ++i) {
      const double total = std::max(var[i], 0.0) + o.eps, std = std::sqrt(total);
      const double ratio_of_mean = std::abs(mean[i]) / std, factor = gamma[i] / std;
      rounding[i] = kFloatEps * (4 + ratio_of_mean) * (1 + ratio_of_mean) * factor *
                    (std::abs(dgamma[i]) + std::abs(dbeta[i]));
      left[i] = factor * dgamma[i] * o.eps / total;
    }
    return ratio(norm(rounding), norm(left));
  }

  /// The parameter and what the optimiser keeps for it, each against the rule in double.
  void compare_update(const Parameter& parameter) {
    const std::string& name = parameter.name;
    UpdateScalars scalars = params_.update;
    if (parameter.offset >= plan_.decayed_floats) scalars.weight_decay = 0;
    const std::size_t states = start_.optimizer.size();
    const auto moment = [&](std::size_t which) {
      return which < states ? values_of(start_.optimizer[which].state, name) : Values();
    };
    const Values gradient = values_of(judged_.gradients, name), w = values_of(start_.state, name);
    const Values before[] = {w, moment(0), moment(1)};
    Values after[] = {w, before[1], before[2]}, terms[] = {w, before[1], before[2]};
    // The same sums of absolute values: every step that is subtracted has lr or step_size as a factor.
    UpdateScalars added = scalars;
    added.lr = -added.lr;
    added.step_size = -added.step_size;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double m = states > 0 ? before[1][i] : 0, v = states > 1 ? before[2][i] : 0;
      put(i, updated(plan_.update, scalars, gradient[i], {w[i], m, v}), states, after);
      put(i, updated(plan_.update, added, std::abs(gradient[i]), {std::abs(w[i]), std::abs(m), v}), states,
          terms);
    }
    for (std::size_t which = 0; which < states; ++which)
      compare_updated(Quantity::optimizer, name, values_of(judged_.after.optimizer[which].state, name),
                      after[which + 1], terms[which + 1]);
    compare_updated(Quantity::parameter, name, values_of(judged_.after.state, name), after[0], terms[0]);
  }

  static void put(std::size_t i, const UpdatedParameter& u, std::size_t states, Values* to) {
    to[0][i] = u.w;
    if (states > 0) to[1][i] = u.m;
    if (states > 1) to[2][i] = u.v;
  }

  void compare_updated(Quantity quantity, const std::string& name, const Values& actual,
                       const Values& expected, const Values& terms) {
    add(quantity, name, ratio(difference(actual, expected), norm(terms)), kUpdateBound);
  }

  const Plan& plan_;
  const Network& network_;
  const StepParams& params_;
  const StepState& start_;
  const StepOutcome &reference_, &judged_;
  std::vector<Distance> distances_;
};

}  // namespace

std::string to_string(Quantity quantity) {
  return name_of(quantity, quantity_names);
}

std::vector<Distance> step_distances(const Plan& plan, const StepParams& params, const StepState& start,
                                     const StepOutcome& reference, const StepOutcome& judged) {
  StepComparison comparison(plan, params, start, reference, judged);
  return std::isfinite(reference.metrics.loss_sum) ? comparison.finite_step() : comparison.halted_step();
}

}  // namespace bntrain
