// The streamed kernels themselves, on devices on which small tensors take every path: strips that fit on chip
// and that do not, one group and two, tensors as a whole, float32 and bfloat16.
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "batch_norm/norm_case.hpp"
#include "kernels/batch_norm/run.hpp"
#include "kernels/batch_norm/streamed_launch.cuh"
#include "kernels/kernel_runs.hpp"
#include "kernels/simt/bfloat16.hpp"
#include "support/device_vector.hpp"
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

constexpr std::int64_t kKib = 1024;

/// A device of few multiprocessors; little: shared memory for few slots.
simt_host::Settings device(int multiprocessors, bool little = false) {
  simt_host::Settings settings;
  settings.device.multiprocessors = multiprocessors;
  settings.device.shared_bytes_per_block = little ? 99 * kKib : 227 * kKib;
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

  support::DeviceVector<T> memory_;
  std::size_t size_;
};

struct Outputs {
  Placement forward_placement, backward_placement;
  Floats y, mean, var, inv_std, running_mean, running_var;
  Floats dx, dgamma, dbeta;
  std::vector<simt_host::LaunchCounts> counts;  ///< forward and backward, where the settings count
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
  support::DeviceVector<kernels::Message> memory_;
};

constexpr std::uint64_t kGarbageBits = 0xc0ff'ee00'0000'0001;

template <typename T>
Outputs run_streamed(const NormCase& c, Layout layout, const simt_host::Settings& settings,
                     bool in_place = false) {
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

  const kernels::Stream stream = executor.stream();
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
  out.counts = executor.counts();
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
  int groups;
};
constexpr auto kFirst = Layout::channels_first, kLast = Layout::channels_last;

/// A block keeps 34 batches of 512 vectors forward, 18 where shared memory is little; half of it backward.
const Served kServed[] = {
    // Channels first: a part of a tile; more strips than groups; two groups that need the ring to hold a
    // strip;
    // one
    // group, as there is one block; more strips than groups again; strips that are read twice in part; a
    // single
    // channel; planes of one vector.
    {{1, 2, 4}, kFirst, 3, false, Kernel::strips_first, 2},
    {{3, 5, 64}, kFirst, 3, false, Kernel::strips_first, 3},
    {{20, 2, 2048}, kFirst, 2, false, Kernel::strips_first, 2},
    {{7, 2, 2052}, kFirst, 1, false, Kernel::strips_first, 1},
    {{5, 9, 516}, kFirst, 4, false, Kernel::strips_first, 3},
    {{37, 2, 2500}, kFirst, 2, true, Kernel::strips_first, 1},
    {{40, 1, 4096}, kFirst, 2, false, Kernel::strips_first, 1},
    {{1025, 3, 4}, kFirst, 3, true, Kernel::strips_first, 3},
    // Channels last in strips: too large to be held as a whole; of one strip that is no power of two wide; of
    // strips of 32 channels and of 64, by one and two groups; read twice in part; more than 128 channels.
    {{40, 8, 400}, kLast, 1, false, Kernel::strips_last, 1},
    {{60, 20, 130}, kLast, 2, true, Kernel::strips_last, 1},
    {{3, 64, 500}, kLast, 2, true, Kernel::strips_last, 1},
    {{2, 192, 61}, kLast, 4, false, Kernel::strips_last, 3},
    {{3, 160, 23}, kLast, 3, false, Kernel::strips_last, 3},
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
      EXPECT_EQ(out.forward_placement.strips.groups, s.groups);
    }
    EXPECT_EQ(out.forward_placement.instance == 1,
              s.kernel == Kernel::whole ? out.forward_placement.instance == 1 : s.little);
    expect_right(c, out);
  }
}

/// One setup for each path.
std::vector<Served> few_served() {
  std::vector<Served> few;
  for (const std::size_t i : {4u, 5u, 9u, 11u, 15u, 18u, 19u}) few.push_back(kServed[i]);
  return few;
}

TEST(NormStreamed, TheSameBitsInEveryOrderOfExecutionAndInPlace) {
  for (const Served& s : few_served()) {
    SCOPED_TRACE(described(s));
    const NormCase c = make_case(s.shape);
    simt_host::Settings settings = device(s.multiprocessors, s.little);
    const Outputs expected = run_streamed<float>(c, s.layout, settings);
    for (const auto& schedule : simt_host::all_schedules())
      for (const bool in_place : {false, true}) {
        settings.schedule = schedule.schedule;
        settings.seed = schedule.seed;
        const Outputs out = run_streamed<float>(c, s.layout, settings, in_place);
        EXPECT_TRUE(same_bits(out.y, expected.y)) << to_string(schedule.schedule) << in_place;
        EXPECT_TRUE(same_bits(out.dx, expected.dx)) << to_string(schedule.schedule) << in_place;
        EXPECT_TRUE(same_bits(out.running_var, expected.running_var));
        EXPECT_TRUE(same_bits(out.dgamma, expected.dgamma));
      }
  }
}

TEST(NormStreamed, AMeanOf1000DeviationsAndConstantChannels) {
  for (const Served& s : few_served()) {
    SCOPED_TRACE(described(s));
    NormCase c = make_case(s.shape, 1000, 1);
    expect_right(c, run_streamed<float>(c, s.layout, device(s.multiprocessors, s.little)));
    for (std::size_t i = 0; i < c.x.size(); ++i)
      if (c.channel_of(i) == 1) c.x[i] = 1234.567f;
    const Outputs out = run_streamed<float>(c, s.layout, device(s.multiprocessors, s.little));
    EXPECT_EQ(out.var[1], 0);
    EXPECT_EQ(out.mean[1], 1234.567f);
    EXPECT_EQ(out.mean[c.channels() + 1], 0);
    for (std::size_t i = 0; i < c.x.size(); ++i)
      if (c.channel_of(i) == 1) {
        ASSERT_EQ(out.y[i], c.beta[1]);
      }
  }
}

TEST(NormStreamed, NanAndInfinityStayInTheirChannel) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const Served& s : few_served()) {
    const simt_host::Settings settings = device(s.multiprocessors, s.little);
    const Outputs sound = run_streamed<float>(make_case(s.shape), s.layout, settings);
    for (const float bad : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN()})
      for (const bool at_first : {false, true}) {
        SCOPED_TRACE(described(s) + ", " + std::to_string(bad));
        NormCase c = make_case(s.shape);
        const auto spatial = at(c.shape.spatial);
        c.x[(at_first ? 0 : c.x.size() - c.channels() * spatial) + spatial + (at_first ? 0 : spatial - 1)] =
            bad;
        const Outputs out = run_streamed<float>(c, s.layout, settings);
        for (std::size_t i = 0; i < c.x.size(); ++i)
          if (c.channel_of(i) == 1) {
            ASSERT_TRUE(std::isnan(out.y[i]));
            ASSERT_TRUE(std::isnan(out.dx[i]));
          } else {
            ASSERT_EQ(out.y[i], sound.y[i]);
            ASSERT_EQ(out.dx[i], sound.dx[i]);
          }
      }
  }
}

TEST(NormStreamed, SquaresBeyondFloat32) {
  for (const Served& s : few_served())
    for (const float size : {1e19f, 1e30f, 3e38f}) {
      SCOPED_TRACE(described(s) + ", " + std::to_string(size));
      NormCase c = make_case(s.shape);
      // One outlier in channel 0, which a thread or the channel may meet first; all values of channel 1.
      c.x[size > 1e20f ? 0 : c.x.size() - c.channels() * at(c.shape.spatial)] = size;
      for (std::size_t i = 0; i < c.x.size(); ++i)
        if (c.channel_of(i) == 1) c.x[i] *= size / 4;
      expect_right(c, run_streamed<float>(c, s.layout, device(s.multiprocessors, s.little)));
    }
}

TEST(NormStreamed, OneValuePerChannel) {
  for (const Layout layout : {kFirst, kLast})
    for (const std::int64_t channels : {4, 64, 256}) {
      const NormCase c = make_case({1, channels, 1});
      const Outputs out = run_streamed<float>(c, layout, device(4));
      EXPECT_TRUE(same_bits(out.y, c.beta));
      for (const float dx : out.dx) EXPECT_EQ(dx, 0);
    }
}

TEST(NormStreamed, Bfloat16) {
  constexpr double kStep = 0x1p-8;  // half the spacing at 1
  for (const Served& s : kServed) {
    const std::int64_t size = s.shape.batch * s.shape.channels * s.shape.spatial;
    const bool last = s.layout == kLast || s.shape.spatial == 1;
    if ((s.kernel == Kernel::whole ? size : last ? s.shape.channels : s.shape.spatial) % 8 != 0) continue;
    if (s.shape.channels == 160) continue;  // 20 vectors, no strips of 8
    SCOPED_TRACE(described(s));
    NormCase c = make_case(s.shape, 3);
    for (Floats* tensor : {&c.x, &c.dy})
      for (float& value : *tensor) value = static_cast<float>(Bfloat16(value));
    const Outputs out = run_streamed<Bfloat16>(c, s.layout, device(s.multiprocessors, s.little));
    const Expected e = expect_training(c);
    EXPECT_TRUE(support::close(high_parts(out, c.channels()), e.mean, e.bounds.mean));
    EXPECT_TRUE(support::close(out.var, e.var, e.bounds.var));
    EXPECT_TRUE(support::close(out.dgamma, e.dgamma, e.bounds.dgamma));
    EXPECT_TRUE(support::close(out.dbeta, e.dbeta, e.bounds.dbeta));
    EXPECT_TRUE(support::close(out.y, e.y, 1.01 * kStep * support::largest(e.y)));
    EXPECT_TRUE(support::close(out.dx, e.dx, 1.01 * kStep * support::largest(e.dx)));
    if (c.x.size() > 1000) {
      EXPECT_GT(support::relative_norm(out.y, e.y), kStep / 10) << "stored in more than bfloat16";
    }
  }
}

TEST(NormStreamed, AStreamThatAllowsFewerBlocksIsNotServed) {
  for (const Served& s : few_served()) {
    const auto grid = [&](int blocks) {
      Executor executor(device(s.multiprocessors, s.little));
      const NormShape shape{s.shape.batch, s.shape.channels, s.shape.spatial, s.layout};
      return place(kernels::streamed::kernels<ForwardPass, float>(), shape, executor.stream(blocks))
          .config.grid;
    };
    const std::int64_t all = grid(0);
    EXPECT_EQ(grid(static_cast<int>(all)), all);
    if (all > 1) {
      EXPECT_EQ(grid(static_cast<int>(all) - 1), 0);
    }
  }
}

TEST(NormStreamed, ReadsTensorsOnceWhereAStripFitsOnChip) {
  for (const Served& s : kServed) {
    SCOPED_TRACE(described(s));
    const NormCase c = make_case(s.shape);
    simt_host::Settings settings = device(s.multiprocessors, s.little);
    settings.count = true;
    const Outputs out = run_streamed<float>(c, s.layout, settings);
    const auto tensor = static_cast<std::int64_t>(c.x.size() * sizeof(float));
    ASSERT_EQ(out.counts.size(), 2u);
    for (const int pass : {0, 1}) {
      const simt_host::LaunchCounts& counts = out.counts[at(pass)];
      const Placement& p = pass == 0 ? out.forward_placement : out.backward_placement;
      const std::int64_t inputs = pass + 1;
      EXPECT_EQ(counts.writes.bytes, tensor);
      EXPECT_EQ(counts.grid_barriers, 1);
      std::int64_t again = 0, slack = 0;
      if (p.kernel != Kernel::whole) {
        again = inputs * tensor - p.kept_bytes * p.strips.strips;
        // A block keeps whole batches of its own.
        slack = again == 0 ? 0 : p.config.grid * p.strips.strips * 2 * 256 * 16;
      }
      EXPECT_NEAR(static_cast<double>(counts.reads.bytes - inputs * tensor), static_cast<double>(again),
                  static_cast<double>(slack));
    }
  }
}

kernels::DeviceLimits h200() {
  return {132, 90, 227 * kKib, 60 * kKib * kKib};
}

/// "whole 128 x 640 x 9", "strips of 32, 132 blocks, 1 group".
template <template <typename, int> class Pass>
std::string placed(const NormShape& shape, const kernels::DeviceLimits& limits = h200()) {
  simt_host::Settings settings;
  settings.device = limits;
  Executor executor(settings);
  const Placement p = place(kernels::streamed::kernels<Pass, float>(), shape, executor.stream());
  if (p.config.grid == 0) return "none";
  if (p.kernel == Kernel::whole)
    return "whole " + std::to_string(p.config.grid) + " x " + std::to_string(p.config.block) + " x " +
           std::to_string(p.instance == 0 ? 5 : 9);
  return "strips of " + std::to_string(p.strips.strip_channels) + ", " + std::to_string(p.config.grid) +
         " blocks, " + std::to_string(p.strips.groups) + (p.strips.groups == 1 ? " group" : " groups");
}

TEST(NormStreamed, TakesTheMeasuredGeometry) {
  const NormShape first_block{256, 20, 576, kLast}, second_block{256, 50, 100, kLast},
      large{128, 256, 3136, kLast}, rows{65536, 1024, 1}, larger{256, 64, 12544, kFirst},
      larger_last{256, 64, 12544, kLast};
  EXPECT_EQ(placed<ForwardPass>(first_block), "whole 128 x 640 x 9");
  EXPECT_EQ(placed<BackwardPass>(first_block), "whole 128 x 640 x 9");
  EXPECT_EQ(placed<ForwardPass>(second_block), "whole 128 x 512 x 5");
  EXPECT_EQ(placed<BackwardPass>(second_block), "whole 128 x 512 x 5");
  EXPECT_EQ(placed<ForwardPass>({128, 256, 3136, kFirst}), "strips of 1, 132 blocks, 8 groups");
  EXPECT_EQ(placed<BackwardPass>({128, 256, 3136, kFirst}), "strips of 1, 132 blocks, 4 groups");
  EXPECT_EQ(placed<ForwardPass>(large), "strips of 32, 132 blocks, 1 group");
  EXPECT_EQ(placed<BackwardPass>(large), "strips of 32, 132 blocks, 1 group");
  EXPECT_EQ(placed<ForwardPass>(rows), "strips of 64, 132 blocks, 2 groups");
  EXPECT_EQ(placed<BackwardPass>(rows), "strips of 64, 132 blocks, 2 groups");
  EXPECT_EQ(placed<ForwardPass>(larger), "strips of 1, 132 blocks, 2 groups");
  EXPECT_EQ(placed<BackwardPass>(larger), "strips of 1, 132 blocks, 2 groups");
  EXPECT_EQ(placed<ForwardPass>(larger_last), "strips of 64, 132 blocks, 1 group");
}

TEST(NormStreamed, WhatItCannotServe) {
  EXPECT_EQ(placed<ForwardPass>({5, 3, 7, kFirst}), "none") << "no vectors in a row";
  EXPECT_EQ(placed<ForwardPass>({5, 3, 7, kLast}), "none") << "no vectors in all";
  EXPECT_EQ(placed<ForwardPass>({50000, 148, 8, kLast}), "none") << "rows without strips";
  EXPECT_EQ(placed<ForwardPass>({1 << 16, 1 << 10, 1 << 8, kFirst}), "none") << "offsets beyond 32 bits";
  EXPECT_EQ(placed<ForwardPass>({256, 64, 12544, kFirst}, {40, 75, 64 * kKib, 4 * kKib * kKib}), "none")
      << "a ring larger than shared memory";
  EXPECT_EQ(kernels::streamed::workspace({5, 3, 7, kFirst}, 4), 0);
}

}  // namespace
}  // namespace bntrain::test
