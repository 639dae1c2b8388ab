#include "kernels/batch_norm/run.hpp"

#include <memory>

#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/placement.hpp"
#include "support/guarded.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using kernels::Layout;
using support::Guarded;

/// The tensors of one run: inputs in the way's layout and memory, outputs turned back.
class Run {
 public:
  Run(const NormCase& c, const Way& way)
      : shape(kernel_shape(c, way.layout)),
        workspace(static_cast<std::size_t>(kernels::batch_norm_workspace(shape)) / sizeof(float)),
        case_(c),
        way_(way),
        executor_(way.settings) {}
  ~Run() {
    EXPECT_TRUE(workspace.intact());
    for (const kernels::LaunchConfig& launch : executor_.launches()) {
      EXPECT_TRUE(way_.max_blocks == 0 || launch.grid <= way_.max_blocks) << launch.grid;
    }
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// That a training pass was launched as the variant says.
  void expect_variant_launched() const {
    using kernels::NormVariant;
    const std::vector<kernels::LaunchConfig>& launches = executor_.launches();
    ASSERT_FALSE(launches.empty());
    if (way_.variant == NormVariant::automatic) return;
    // Streamed kernels need 16-byte aligned tensors.
    const bool streams = way_.variant == NormVariant::streamed && way_.memory.offset % 4 == 0;
    const bool plain =
        way_.variant == NormVariant::plain || (way_.variant == NormVariant::streamed && !streams);
    EXPECT_EQ(launches[0].cooperative, streams);
    if (way_.variant == NormVariant::resident) {
      EXPECT_TRUE(launches.size() == 1 || way_.max_blocks > 0) << launches.size();
      EXPECT_EQ(launches[0].grid % launches[0].cluster, 0);
    }
    if (way_.variant == NormVariant::naive || streams) {
      EXPECT_EQ(launches.size(), 1u);
    }
    if (plain) {
      EXPECT_EQ(launches.size(), 3u);
    }
  }
  kernels::Stream stream() { return executor_.stream(way_.max_blocks); }
  Guarded tensor(const Floats& values) const {
    return Guarded(way_.layout == Layout::channels_last ? to_channels_last(case_, values) : values,
                   way_.memory.offset);
  }
  Guarded channels(const Floats& values) const { return Guarded(values, way_.memory.offset); }
  Guarded channels() const { return Guarded(case_.channels(), way_.memory.offset); }
  /// Where the result goes: over `input`, or into memory of its own.
  Guarded& result(Guarded& input) {
    if (way_.memory.in_place) return input;
    own_ = std::make_unique<Guarded>(input.size(), way_.memory.offset);
    return *own_;
  }
  Floats take(const Guarded& output) const {
    EXPECT_TRUE(output.complete());
    return {output.values().begin(), output.values().end()};
  }
  Floats take_tensor(const Guarded& output) const {
    return way_.layout == Layout::channels_last ? to_channels_first(case_, take(output)) : take(output);
  }

  kernels::NormShape shape;
  Guarded workspace;

 private:
  const NormCase& case_;
  Way way_;
  simt_host::Executor executor_;
  std::unique_ptr<Guarded> own_;
};

/// Calls move(where an element is channels first, where it is channels last).
template <typename Move>
void for_each_element(const NormCase& c, Move move) {
  const auto spatial = static_cast<std::size_t>(c.shape.spatial);
  for (std::size_t i = 0; i < c.x.size(); ++i)
    move(i, (i / spatial / c.channels() * spatial + i % spatial) * c.channels() + c.channel_of(i));
}

}  // namespace

std::vector<Way> both_layouts(const BatchNormShape& shape) {
  if (shape.spatial == 1) return {{}};
  return {{}, {.layout = Layout::channels_last}};
}

bool serves(const Way& way, const BatchNormShape& shape) {
  using namespace kernels;
  const NormShape norm{shape.batch, shape.channels, shape.spatial, way.layout};
  simt_host::Executor executor(way.settings);
  try {
    for (const NormPass pass : {NormPass::forward, NormPass::backward})
      choose("", pass, norm, way.variant, executor.stream(way.max_blocks));
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

std::string to_string(const Way& way) {
  return to_string(way.layout) + ", " + kernels::to_string(way.variant) + " on " +
         std::to_string(way.settings.device.multiprocessors) + " multiprocessors, " +
         to_string(way.settings.schedule) + ", blocks " + std::to_string(way.max_blocks);
}

std::string to_string(Layout layout) {
  return layout == Layout::channels_first ? "channels first" : "channels last";
}

kernels::NormShape kernel_shape(const NormCase& c, Layout layout) {
  return {c.shape.batch, c.shape.channels, c.shape.spatial, layout};
}

kernels::NormOptions kernel_options(const NormCase& c) {
  return {c.options.eps, c.options.momentum, c.options.unbiased};
}

Floats to_channels_last(const NormCase& c, const Floats& tensor) {
  Floats result(tensor.size());
  for_each_element(c, [&](std::size_t first, std::size_t last) { result[last] = tensor[first]; });
  return result;
}

Floats to_channels_first(const NormCase& c, const Floats& tensor) {
  Floats result(tensor.size());
  for_each_element(c, [&](std::size_t first, std::size_t last) { result[first] = tensor[last]; });
  return result;
}

ForwardResult kernel_forward(const NormCase& c, const Way& way) {
  Run run(c, way);
  Guarded x = run.tensor(c.x);
  const Guarded gamma = run.channels(c.gamma), beta = run.channels(c.beta);
  Guarded mean(2 * c.channels(), way.memory.offset), var = run.channels(), inv_std = run.channels();
  Guarded running_mean = run.channels(c.running_mean), running_var = run.channels(c.running_var);
  Guarded& y = run.result(x);
  batch_norm_forward(run.shape, kernel_options(c), x.data(), gamma.data(), beta.data(), y.data(), mean.data(),
                     var.data(), inv_std.data(), running_mean.data(), running_var.data(),
                     run.workspace.data(), run.stream(), way.variant);
  run.expect_variant_launched();
  EXPECT_TRUE(x.intact());
  const Floats means = run.take(mean);
  const auto low = means.begin() + c.shape.channels;
  return {run.take_tensor(y),    {means.begin(), low}, run.take(var),     run.take(running_mean),
          run.take(running_var), run.take(inv_std),    {low, means.end()}};
}

Floats kernel_mean(const ForwardResult& forward) {
  Floats mean = forward.mean;
  mean.insert(mean.end(), forward.mean_low.begin(), forward.mean_low.end());
  return mean;
}

BackwardResult kernel_backward(const NormCase& c, const ForwardResult& forward, const Way& way) {
  Run run(c, way);
  const Guarded x = run.tensor(c.x), gamma = run.channels(c.gamma);
  const Guarded mean = run.channels(kernel_mean(forward)), inv_std = run.channels(forward.inv_std);
  Guarded dy = run.tensor(c.dy), dgamma = run.channels(), dbeta = run.channels();
  Guarded& dx = run.result(dy);
  batch_norm_backward(run.shape, x.data(), dy.data(), gamma.data(), mean.data(), inv_std.data(), dx.data(),
                      dgamma.data(), dbeta.data(), run.workspace.data(), run.stream(), way.variant);
  run.expect_variant_launched();
  EXPECT_TRUE(dy.intact());
  return {run.take_tensor(dx), run.take(dgamma), run.take(dbeta)};
}

Floats kernel_inference(const NormCase& c, const Way& way) {
  Run run(c, way);
  Guarded x = run.tensor(c.x);
  const Guarded gamma = run.channels(c.gamma), beta = run.channels(c.beta);
  const Guarded mean = run.channels(c.running_mean), var = run.channels(c.running_var);
  Guarded& y = run.result(x);
  batch_norm_inference(run.shape, c.options.eps, x.data(), gamma.data(), beta.data(), mean.data(), var.data(),
                       y.data(), run.stream());
  EXPECT_TRUE(x.intact());
  return run.take_tensor(y);
}

BackwardResult kernel_inference_backward(const NormCase& c, const Way& way) {
  Run run(c, way);
  const Guarded x = run.tensor(c.x), gamma = run.channels(c.gamma);
  const Guarded mean = run.channels(c.running_mean), var = run.channels(c.running_var);
  Guarded dy = run.tensor(c.dy), dgamma = run.channels(), dbeta = run.channels();
  Guarded& dx = run.result(dy);
  batch_norm_inference_backward(run.shape, c.options.eps, x.data(), dy.data(), gamma.data(), mean.data(),
                                var.data(), dx.data(), dgamma.data(), dbeta.data(), run.workspace.data(),
                                run.stream());
  EXPECT_TRUE(dy.intact());
  return {run.take_tensor(dx), run.take(dgamma), run.take(dbeta)};
}

}  // namespace bntrain::test
