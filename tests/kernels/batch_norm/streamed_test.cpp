// The streamed kernels themselves, on devices on which small tensors take every path: strips that fit on chip
// and that do not, one team and two, tensors as a whole, float32 and bfloat16.
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "batch_norm/norm_case.hpp"
#include "kernels/batch_norm/run.hpp"
#include "kernels/batch_norm/streamed_launch.cuh"
#include "kernels/kernel_runs.hpp"
#include "kernels/simt/bfloat16.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using kernels::Layout;
using kernels::NormShape;
using kernels::streamed::BackwardPass;
using kernels::streamed::ForwardPass;
using kernels::streamed::Placement;
using simt::Bfloat16;
using simt_host::Executor;
using Kernel = Placement::Kernel;

constexpr std::int64_t kKilo = 1024;

/// A device of few multiprocessors; little: shared memory for few slots.
simt_host::Settings device(int multiprocessors, bool little = false) {
  simt_host::Settings settings;
  settings.device.multiprocessors = multiprocessors;
  settings.device.shared_bytes_per_block = little ? 99 * kKilo : 227 * kKilo;
  return settings;
}

/// Bytes on a 16-byte boundary between guards of garbage.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::size_t size) : memory_(size + 2 * kGuard, T(kGarbage)), size_(size) {}
  explicit Buffer(const Floats& values) : Buffer(values.size()) {
    for (std::size_t i = 0; i < size_; ++i) memory_[kGuard + i] = static_cast<T>(values[i]);
  }
  T* data() { return memory_.data() + kGuard; }
  std::size_t size() const { return size_; }
  Floats values() const {
    Floats result;
    for (std::size_t i = 0; i < size_; ++i) result.push_back(static_cast<float>(memory_[kGuard + i]));
    return result;
  }
  bool intact() const {
    const T expected(kGarbage);
    for (std::size_t i = 0; i < kGuard; ++i)
      if (std::memcmp(&memory_[i], &expected, sizeof(T)) != 0 ||
          std::memcmp(&memory_[kGuard + size_ + i], &expected, sizeof(T)) != 0)
        return false;
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 64;
  static constexpr float kGarbage = -1234.5f;

  std::vector<T> memory_;
  std::size_t size_;
};

struct Outputs {
  Placement forward_placement, backward_placement;
  Floats y, mean, var, inv_std, running_mean, running_var;
  Floats dx, dgamma, dbeta;
};

/// A workspace of exactly the bytes that are promised, full of garbage.
class Workspace {
 public:
  Workspace(const NormShape& shape, int value_bytes, std::uint64_t garbage)
      : count_(at(kernels::streamed::workspace(shape, value_bytes)) / sizeof(kernels::Message)),
        memory_(count_ + 1, {garbage, garbage}) {}
  void* data() { return memory_.data(); }
  std::size_t messages() const { return count_; }
  bool intact(std::uint64_t garbage) const { return memory_.back().first == garbage; }

 private:
  std::size_t count_;
  std::vector<kernels::Message> memory_;
};

constexpr std::uint64_t kGarbageBits = 0xc0ff'ee00'0000'0001;

template <typename T>
Outputs run_streamed(const NormCase& c, Layout layout, const simt_host::Settings& settings,
                     bool in_place = false, int max_blocks = 0) {
  const NormShape shape = kernel_shape(c, layout);
  Executor executor(settings);
  const auto turned = [&](const Floats& tensor) {
    return layout == Layout::channels_last ? to_channels_last(c, tensor) : tensor;
  };
  const auto back = [&](const Floats& tensor) {
    return layout == Layout::channels_last ? to_channels_first(c, tensor) : tensor;
  };
  const std::size_t channels = c.channels();
  const auto count = static_cast<double>(c.values_per_channel());
  Buffer<T> x(turned(c.x)), dy(turned(c.dy)), y(c.x.size()), dx(c.x.size());
  Buffer<float> gamma(c.gamma), beta(c.beta), mean(2 * channels), var(channels), inv_std(channels),
      dgamma(channels), dbeta(channels), running_mean(c.running_mean), running_var(c.running_var);
  Workspace workspace(shape, sizeof(T), kGarbageBits);
  Outputs out;

  const kernels::Stream stream = executor.stream(max_blocks);
  out.forward_placement =
      kernels::streamed::place(kernels::streamed::kernels<ForwardPass, T>(), shape, stream);
  out.backward_placement =
      kernels::streamed::place(kernels::streamed::kernels<BackwardPass, T>(), shape, stream);
  if (out.forward_placement.config.grid == 0 || out.backward_placement.config.grid == 0) {
    ADD_FAILURE() << "no placement";
    return out;
  }
  EXPECT_LE(at(out.forward_placement.messages), workspace.messages());
  EXPECT_LE(at(out.backward_placement.messages), workspace.messages());

  Buffer<T> x_again(turned(c.x));  // what the backward pass reads where y has replaced x
  kernels::streamed::launch_streamed<ForwardPass, T>(
      out.forward_placement,
      {x.data(), gamma.data(), beta.data(), in_place ? x.data() : y.data(),
       kernels::StatisticsOutput{kernel_options(c), shape.channels, mean.data(), var.data(), inv_std.data(),
                                 running_mean.data(), running_var.data()},
       count, 1 / count},
      workspace.data(), stream);
  out.y = back(in_place ? x.values() : y.values());
  out.mean = mean.values();
  out.var = var.values();
  out.inv_std = inv_std.values();
  out.running_mean = running_mean.values();
  out.running_var = running_var.values();
  kernels::streamed::launch_streamed<BackwardPass, T>(
      out.backward_placement,
      {x_again.data(), dy.data(), gamma.data(), kernels::two_floats(mean.data(), shape.channels),
       inv_std.data(), in_place ? dy.data() : dx.data(), dgamma.data(), dbeta.data(), 1 / count},
      workspace.data(), stream);
  out.dx = back(in_place ? dy.values() : dx.values());
  out.dgamma = dgamma.values();
  out.dbeta = dbeta.values();
  for (const Buffer<T>* each : {&x, &dy, &y, &dx, &x_again}) EXPECT_TRUE(each->intact());
  for (const Buffer<float>* each : {&mean, &var, &inv_std, &dgamma, &dbeta}) EXPECT_TRUE(each->intact());
  EXPECT_TRUE(workspace.intact(kGarbageBits));
  EXPECT_EQ(executor.launches().size(), 2u) << "one launch each";
  return out;
}

Floats high_parts(const Outputs& out, std::size_t channels) {
  return {out.mean.begin(), out.mean.begin() + static_cast<std::ptrdiff_t>(channels)};
}

void expect_right(const NormCase& c, const Outputs& out) {
  const Expected e = expect_training(c);
  EXPECT_TRUE(support::close(out.y, e.y, e.bounds.y));
  EXPECT_TRUE(support::close(high_parts(out, c.channels()), e.mean, e.bounds.mean));
  EXPECT_TRUE(support::close(out.var, e.var, e.bounds.var));
  EXPECT_TRUE(support::close(out.dx, e.dx, e.bounds.dx));
  EXPECT_TRUE(support::close(out.dgamma, e.dgamma, e.bounds.dgamma));
  EXPECT_TRUE(support::close(out.dbeta, e.dbeta, e.bounds.dbeta));
}

/// A shape, on a device, and what must serve it.
struct Served {
  BatchNormShape shape;
  Layout layout;
  int multiprocessors;
  bool little;
  Kernel kernel;
  int teams;
};
constexpr auto kFirst = Layout::channels_first, kLast = Layout::channels_last;

/// A block keeps 34 batches of 512 vectors forward, 18 where shared memory is little; half of it backward.
const Served kServed[] = {
    // Channels first: a part of a tile; all on chip; one team, as there is one block; two teams, a strip more
    // for
    // one of them; strips that are read twice in part; a single channel; planes of one vector.
    {{1, 2, 4}, kFirst, 3, false, Kernel::strips_first, 2},
    {{3, 5, 64}, kFirst, 3, false, Kernel::strips_first, 1},
    {{3, 4, 64}, kFirst, 3, false, Kernel::strips_first, 2},
    {{7, 2, 2052}, kFirst, 1, false, Kernel::strips_first, 1},
    {{5, 9, 516}, kFirst, 4, false, Kernel::strips_first, 2},
    {{37, 2, 2500}, kFirst, 2, true, Kernel::strips_first, 1},
    {{40, 1, 4096}, kFirst, 2, false, Kernel::strips_first, 1},
    {{1025, 3, 4}, kFirst, 3, true, Kernel::strips_first, 1},
    // Channels last in strips: too large to be held as a whole; of one strip that is no power of two wide; of
    // strips of 32 channels and of 64, by one and two teams; read twice in part; more than 128 channels.
    {{40, 8, 400}, kLast, 1, false, Kernel::strips_last, 1},
    {{60, 20, 130}, kLast, 2, true, Kernel::strips_last, 1},
    {{3, 64, 500}, kLast, 2, true, Kernel::strips_last, 1},
    {{2, 192, 61}, kLast, 4, false, Kernel::strips_last, 2},
    {{3, 160, 23}, kLast, 3, false, Kernel::strips_last, 1},
    {{257, 256, 1}, kFirst, 3, false, Kernel::strips_last, 2},
    {{2, 128, 700}, kLast, 1, true, Kernel::strips_last, 1},
    // As a whole: all kinds of periods, few vectors and many, threads without work.
    {{1, 2, 2}, kLast, 4, false, Kernel::whole, 0},
    {{2, 4, 1}, kLast, 4, false, Kernel::whole, 0},
    {{8, 20, 31}, kLast, 4, false, Kernel::whole, 0},
    {{6, 50, 26}, kLast, 4, false, Kernel::whole, 0},
    {{4, 3, 1001}, kLast, 4, false, Kernel::whole, 0},
    {{32, 101, 7}, kLast, 3, false, Kernel::whole, 0},
    {{16, 128, 9}, kLast, 4, true, Kernel::whole, 0},
    {{4, 20, 900}, kLast, 4, false, Kernel::whole, 0}};

std::string described(const Served& s) {
  return std::to_string(s.shape.batch) + " x " + std::to_string(s.shape.channels) + " x " +
         std::to_string(s.shape.spatial) + ", " + to_string(s.layout) + ", " +
         std::to_string(s.multiprocessors) + " multiprocessors" + (s.little ? ", little shared memory" : "");
}

TEST(NormStreamed, AgreesWithTheReference) {
  for (const Served& s : kServed) {
    SCOPED_TRACE(described(s));
    const NormCase c = make_case(s.shape);
    const Outputs out = run_streamed<float>(c, s.layout, device(s.multiprocessors, s.little));
    EXPECT_EQ(out.forward_placement.kernel, s.kernel);
    if (s.kernel != Kernel::whole) {
      EXPECT_EQ(out.forward_placement.strips.teams, s.teams);
    }
    EXPECT_EQ(out.forward_placement.instance == 1,
              s.kernel == Kernel::whole ? out.forward_placement.instance == 1 : s.little);
    expect_right(c, out);
  }
}

}  // namespace
}  // namespace bntrain::test
