// The implementations of the batch norm tests in bntrain_kernel_tests and bntrain_kernel_gpu_tests: every
// variant in both layouts, some of them on devices that make it share a channel among several blocks, or the
// channels among several parts. A GPU is what it is, so there they run on that one.
#include "batch_norm/implementation.hpp"

#include <deque>

#include "kernels/batch_norm/run.hpp"

namespace bntrain::test {
namespace {

using kernels::Layout;
using kernels::NormVariant;

class KernelVariant final : public Implementation {
 public:
  /// multiprocessors: of a device with little shared memory, 0: the executor's own device.
  KernelVariant(Layout layout, NormVariant variant, int multiprocessors) {
    way_.layout = layout;
    way_.variant = variant;
    if (multiprocessors == 0) return;
    small_ = true;
    way_.settings.device.multiprocessors = multiprocessors;
    way_.settings.device.shared_bytes_per_block = 80 * 1024;
  }

  std::string name() const override {
    return layout_name({way_.layout, 0}) + "_" + kernels::to_string(way_.variant) +
           (small_ ? "_small_device" : "");
  }
  bool serves(const BatchNormShape& shape) const override { return test::serves(way(), shape); }
  bool has_own_inference() const override { return way_.variant == NormVariant::plain; }

  Shapes all_shapes() const override {
    Shapes shapes{// Every value of every axis, every pair of small, odd and large sizes.
                  {1, 1, 5},
                  {2, 3, 1},
                  {255, 1, 49},
                  {256, 3, 100},
                  {257, 20, 1},
                  {96, 33, 49},
                  {7, 50, 576},
                  {256, 1000, 1},
                  {3, 1000, 5},
                  {2, 200, 100},
                  {257, 1000, 1},
                  {255, 3, 576},
                  // Around the limits of 16-bit counters, and long sums.
                  {65535, 1, 1},
                  {65536, 1, 1},
                  {131071, 1, 1},
                  {880802, 1, 1},
                  {2, 65536, 1},
                  // Rows of every length against a thread's step; one value more and less than a chunk has
                  // (8192, or 32 for each of the threads that share a channel); vectors of every content.
                  {1, 2, 8188},
                  {1, 2, 8192},
                  {1, 2, 8196},
                  {1, 2, 8193},
                  {700, 2, 12},
                  {2731, 2, 3},
                  {12, 2, 1028},
                  {9, 2, 1025},
                  {4097, 6, 1},
                  {4097, 5, 1},
                  {513, 132, 1},
                  {300, 33, 1}};
    return served(std::move(shapes));
  }
  /// Vectors of every content in every kind of chunk: one tile, several, several chunks.
  Shapes few_shapes() const override {
    return served({{2, 2, 1}, {3, 2, 5}, {96, 4, 49}, {700, 2, 12}, {300, 36, 1}});
  }

  ForwardResult forward_train(const NormCase& c, const Memory& memory) const override {
    return kernel_forward(c, way(memory));
  }
  BackwardResult backward(const NormCase& c, const ForwardResult& forward,
                          const Memory& memory) const override {
    return kernel_backward(c, forward, way(memory));
  }
  Floats inference(const NormCase& c, const Memory& memory) const override {
    return kernel_inference(c, way(memory));
  }
  BackwardResult inference_backward(const NormCase& c, const Memory& memory) const override {
    return kernel_inference_backward(c, way(memory));
  }

  Way way(const Memory& memory = {}) const {
    Way way = way_;
    way.memory = memory;
    return way;
  }

 private:
  /// (N, C) is the same in both layouts, and is tested once. A naive block per channel is a fiber per thread
  /// on the host: 65536 of them take most of a minute and show nothing that 1000 do not.
  Shapes served(Shapes shapes) const {
    std::erase_if(shapes, [&](const BatchNormShape& shape) {
      return (shape.spatial == 1 && way_.layout == Layout::channels_last) ||
             (shape.channels > 1000 && way_.variant == NormVariant::naive) || !serves(shape);
    });
    return shapes;
  }

  Way way_;
  bool small_ = false;
};

const std::deque<KernelVariant>& kernel_variants() {
  static const std::deque<KernelVariant> variants = [] {
    std::deque<KernelVariant> result;
    for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
      result.emplace_back(layout, NormVariant::naive, 0);
      result.emplace_back(layout, NormVariant::plain, 0);
      result.emplace_back(layout, NormVariant::resident, 0);
      result.emplace_back(layout, NormVariant::resident, 132);
      result.emplace_back(layout, NormVariant::streamed, 0);
      result.emplace_back(layout, NormVariant::streamed, 7);
    }
    return result;
  }();
  return variants;
}

}  // namespace

const Implementations& implementations() {
  static const Implementations all = [] {
    Implementations result;
    for (const KernelVariant& each : kernel_variants()) result.push_back(&each);
    return result;
  }();
  return all;
}

std::vector<Way> every_way(const BatchNormShape& shape) {
  std::vector<Way> ways;
  for (const KernelVariant& each : kernel_variants()) {
    const Way way = each.way();
    if (shape.spatial == 1 && way.layout == Layout::channels_last) continue;
    if (each.serves(shape)) ways.push_back(way);
  }
  return ways;
}

}  // namespace bntrain::test
