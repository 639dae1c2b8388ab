// Which batch norm kernels run, by shape and device alone, so that a run can be repeated bit for bit. Bytes
// moved forward and backward, for S bytes of tensor, and what prototypes took on an H200:
//
//   naive     4 S, 5 S: one block per channel (naive.cu). Never chosen automatically
//   resident  2 S, 3 S: a channel stays in the registers of a cluster of blocks, in one launch. 7.4 and 9.1
//             us for 256 x 20 x 24 x 24, 4.4 and 3.8 us for 32 x 512 x 7 x 7; kept in shared memory, with
//             fp64 merges of moments: 20.7 and 26 us, 13.3 and 13.6 us
//   streamed  2 S, 3 S: all multiprocessors together keep strip after strip of channels on chip and exchange
//             sums by messages, in one launch; a strip that does not fit is read again in part. 159 and 255
//             us for 65536 x 1024; with a barrier of the grid per group of channels: 275 and 354 us
//   plain     3 S, 5 S: x is read twice, and so is dy; for every shape and device
#include "kernels/batch_norm/placement.hpp"

#include "kernels/batch_norm/launch.cuh"

namespace bntrain::kernels {

namespace {

/// Resident where a cluster holds a channel, else plain. The cluster is the largest that the device can run,
/// not the largest that stream.max_blocks allows: that must not change the bits.
Choice choose_resident(NormPass pass, const NormShape& shape, const Stream& stream) {
  const auto fits = pass == NormPass::forward ? resident_forward_fits : resident_backward_fits;
  const ResidentSpace space = resident_space(shape, simt::Vec<float>::kSize);
  for (int largest = kLargestCluster; largest > 0; largest /= 2) {
    const ResidentTuning tuning = resident_tuning(space, device_limits(stream), largest);
    if (tuning.vectors == 0) break;
    const Choice choice{
        .variant = NormVariant::resident, .resident = tuned(space, tuning), .tuning = tuning, .streamed{}};
    if (!fits(choice.resident, tuning, stream.handle)) continue;
    return stream.max_blocks == 0 || stream.max_blocks >= tuning.cluster ? choice : Choice{};
  }
  return {};
}

}  // namespace

const char* to_string(NormVariant variant) {
  switch (variant) {
    case NormVariant::automatic:
      return "automatic";
    case NormVariant::naive:
      return "naive";
    case NormVariant::plain:
      return "plain";
    case NormVariant::resident:
      return "resident";
    case NormVariant::streamed:
      return "streamed";
  }
  return "";
}

Choice choose(const char* name, NormPass pass, const NormShape& shape, NormVariant wanted,
              const Stream& stream) {
  if (wanted == NormVariant::naive) return {.variant = NormVariant::naive};
  const bool any = wanted == NormVariant::automatic;
  if (any || wanted == NormVariant::resident) {
    const Choice resident = choose_resident(pass, shape, stream);
    if (resident.variant == NormVariant::resident) return resident;
    require(any, name,
            "the registers of a cluster cannot hold a channel (a group of channels) of this shape");
  }
  if (any || wanted == NormVariant::streamed) {
    const auto place = pass == NormPass::forward ? streamed::place_forward : streamed::place_backward;
    const Choice streamed{.variant = NormVariant::streamed, .streamed = place(shape, stream)};
    if (streamed.streamed.config.grid > 0) return streamed;
    require(
        any, name,
        "the blocks that are resident at once cannot share a channel (a strip of channels) of this shape");
  }
  return {};
}

NormVariant batch_norm_variant(NormPass pass, const NormShape& shape, const Stream& stream) {
  constexpr const char* kName = "batch_norm_variant";
  if (!norm_work(kName, shape, {})) return NormVariant::plain;
  return choose(kName, pass, shape, NormVariant::automatic, stream).variant;
}

}  // namespace bntrain::kernels
