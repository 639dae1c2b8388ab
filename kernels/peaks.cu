// The measured peaks of a device, memory traffic and arithmetic (the roofs of the roofline model), against
// which other kernels are compared.
//
// Maths: to[i] = from[i]; and chains v <- v * factor + addend, kChains of them interleaved in every thread so
// that none waits for another, with the sum of a thread's chains at the end.
//
// Contract: peaks.hpp. Bytes moved by the copy: 8 * size. Arithmetic of the chains: 2 FLOP per iteration.
#include "kernels/peaks.hpp"

#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct PeakTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
  static constexpr int kChains = 8;
  static constexpr int kInFlight = 4;  ///< 16-byte reads of a thread before its first write
};

SIMT_KERNEL(PeakTuning::kThreads)
copy_kernel(std::int64_t vectors, const float* __restrict__ from, float* __restrict__ to) {
  constexpr int kLanes = Vec<float>::kSize;
  constexpr int kRun = PeakTuning::kInFlight;
  for (std::int64_t i = grid_thread(); i < vectors; i += kRun * grid_threads()) {
    Vec<float> run[kRun];
    SIMT_UNROLL
    for (int j = 0; j < kRun; ++j)
      if (i + j * grid_threads() < vectors) run[j] = load_vec_once(from + (i + j * grid_threads()) * kLanes);
    SIMT_UNROLL
    for (int j = 0; j < kRun; ++j)
      if (i + j * grid_threads() < vectors) store_vec_once(to + (i + j * grid_threads()) * kLanes, run[j]);
  }
}

SIMT_KERNEL(PeakTuning::kThreads)
chain_kernel(std::int64_t iterations, float factor, float addend, float* __restrict__ sums) {
  float chains[PeakTuning::kChains];
  SIMT_UNROLL
  for (int k = 0; k < PeakTuning::kChains; ++k) chains[k] = static_cast<float>(k);
  for (std::int64_t i = 0; i < iterations; ++i) {
    SIMT_UNROLL
    for (int k = 0; k < PeakTuning::kChains; ++k) chains[k] = chains[k] * factor + addend;
  }
  float sum = 0;
  SIMT_UNROLL
  for (int k = 0; k < PeakTuning::kChains; ++k) sum += chains[k];
  store(sums + grid_thread(), sum);
}

LaunchConfig config(const char* name, const Stream& stream) {
  constexpr std::int64_t kFill = std::int64_t{1} << 40;
  return {.name = name,
          .grid = strided_grid(kFill, 1, PeakTuning::kBlocksPerSm, stream),
          .block = PeakTuning::kThreads};
}

}  // namespace

void copy_floats(std::int64_t size, const float* from, float* to, const Stream& stream) {
  constexpr const char* kName = "copy_floats";
  require(size >= 0 && size % Vec<float>::kSize == 0, kName, "the size is no multiple of 4");
  require(is_aligned(from) && is_aligned(to), kName, "a pointer is not 16-byte aligned");
  if (size == 0) return;
  launch(copy_kernel, config(kName, stream), stream, size / Vec<float>::kSize, from, to);
}

ChainSize multiply_add_chain_size(const Stream& stream) {
  const LaunchConfig all = config("multiply_add_chains", stream);
  return {all.grid * all.block, PeakTuning::kChains};
}

void multiply_add_chains(std::int64_t iterations, float factor, float addend, float* sums,
                         const Stream& stream) {
  constexpr const char* kName = "multiply_add_chains";
  require(iterations >= 0, kName, "the number of iterations is negative");
  launch(chain_kernel, config(kName, stream), stream, iterations, factor, addend, sums);
}

}  // namespace bntrain::kernels
