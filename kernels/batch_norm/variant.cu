// Which batch norm kernels run, by shape and device alone, so that a run can be repeated bit for bit. Bytes
// moved forward and backward, for S bytes of tensor:
//
//   naive       4 S, 5 S: one block per channel (naive.cu). Never chosen automatically
//   resident    2 S, 3 S: a channel stays in the registers of a cluster of blocks, in one launch. On an H200,
//   hot,
//               256 x 20 x 24 x 24 takes 7.4 and 9.1 us where the kernel that kept it in shared memory and
//               merged moments in fp64 took 20.7 and 26; 32 x 512 x 7 x 7 4.4 and 3.8 for 13.3 and 13.6
//   streamed    2 S, 3 S: all multiprocessors together keep strip after strip of channels on chip and
//   exchange
//               sums by messages, in one launch; a strip that does not fit is read again in part. On an H200,
//               cold, 65536 x 1024 takes 159 and 255 us where a barrier of the grid for each group of
//               channels took 275 and 354
//   plain       3 S, 5 S: x is read twice, and so is dy; for every shape and device
#include "kernels/batch_norm/placement.hpp"

#include "kernels/batch_norm/launch.cuh"

namespace bntrain::kernels {

namespace {

/// Resident where a cluster holds a channel, else plain.
Choice choose_resident(NormPass pass, const NormShape& shape, const Stream& stream) {
  Choice choice{.variant = NormVariant::resident, .resident = resident_space(shape, simt::Vec<float>::kSize)};
  choice.tuning = resident_tuning(choice.resident, device_limits(stream));
  if (choice.tuning.vectors == 0) return {};
  choice.resident = tuned(choice.resident, choice.tuning);
  const auto fits = pass == NormPass::forward ? resident_forward_fits : resident_backward_fits;
  return fits(choice.resident, choice.tuning, stream) ? choice : Choice{};
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
