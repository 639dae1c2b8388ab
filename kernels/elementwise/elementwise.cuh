// out[i] = f(in[i]...): the kernel of every operation on single elements.
//
// Each element is computed by one thread from its own inputs, so that `out` may be one of them and no bit
// depends on the grid. Bytes moved: 4 * size for each input and for the output.
#pragma once

#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

struct ElementwiseTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;  // 2048 threads, all that fit
};

template <typename Function, typename... Vecs>
SIMT_DEVICE simt::Vec<float> map_lanes(const Function& f, const Vecs&... in) {
  simt::Vec<float> out;
  SIMT_UNROLL
  for (int lane = 0; lane < out.kSize; ++lane) out.lane[lane] = f(in.lane[lane]...);
  return out;
}

/// `vectors` is size / 4 where all pointers are 16-byte aligned and else 0; the other elements are read one
/// by one.
template <typename Function, typename... Inputs>
SIMT_KERNEL(ElementwiseTuning::kThreads)
elementwise_kernel(std::int64_t size, std::int64_t vectors, Function f, float* out, Inputs... in) {
  using namespace simt;
  constexpr int kLanes = Vec<float>::kSize;
  for (std::int64_t i = grid_thread(); i < vectors; i += grid_threads())
    store_vec(out + i * kLanes, map_lanes(f, load_vec(in + i * kLanes)...));
  for (std::int64_t i = vectors * kLanes + grid_thread(); i < size; i += grid_threads())
    store(out + i, f(load(in + i)...));
}

/// Inputs: const float*.
template <typename Function, typename... Inputs>
void launch_elementwise(const char* name, std::int64_t size, const Function& f, const Stream& stream,
                        float* out, Inputs... in) {
  require(size >= 0, name, "the size is negative");
  if (size == 0) return;
  const bool aligned = (simt::is_aligned(out) && ... && simt::is_aligned(in));
  const std::int64_t vectors = aligned ? size / simt::Vec<float>::kSize : 0;
  void (*kernel)(std::int64_t, std::int64_t, Function, float*, Inputs...) =
      elementwise_kernel<Function, Inputs...>;
  launch(kernel,
         {.name = name,
          .grid = strided_grid(aligned ? vectors + 1 : size, ElementwiseTuning::kThreads,
                               ElementwiseTuning::kBlocksPerSm, stream),
          .block = ElementwiseTuning::kThreads},
         stream, size, vectors, f, out, in...);
}

}  // namespace bntrain::kernels
