// Launches of the streamed kernels, for any type of tensor.
#pragma once

#include "kernels/batch_norm/streamed_strips.cuh"
#include "kernels/batch_norm/streamed_whole.cuh"

namespace bntrain::kernels::streamed {

/// Pass: ForwardPass or BackwardPass.
template <template <typename, int> class Pass, typename T>
Kernels kernels() {
  using First = Pass<T, 1>;
  using Last = Pass<T, simt::Vec<T>::kSize>;
  return {.name = First::kName,
          .by_kernel = {{address(strips_kernel<First, Tuning::kSlots>),
                         address(strips_kernel<First, Tuning::kFewSlots>)},
                        {address(strips_kernel<Last, Tuning::kSlots>),
                         address(strips_kernel<Last, Tuning::kFewSlots>)},
                        {address(whole_kernel<Last, Tuning::vectors(0, Last::kChannels)>),
                         address(whole_kernel<Last, Tuning::vectors(1, Last::kChannels)>)}},
          .inputs = First::kInputs,
          .value_bytes = sizeof(T),
          .constants_bytes = sizeof(typename First::Constants)};
}

/// placement: of kernels<Pass, T>(). Tensors are 16-byte aligned, and so is the workspace, whose contents
/// before and after are unspecified.
template <template <typename, int> class Pass, typename T>
void launch_streamed(const Placement& placement, const typename Pass<T, 1>::Arguments& arguments,
                     void* workspace, const Stream& stream) {
  using First = Pass<T, 1>;
  using Last = Pass<T, simt::Vec<T>::kSize>;
  using Kernel = Placement::Kernel;
  auto* const messages = static_cast<Message*>(workspace);
  const auto run = [&](auto* one, auto* other, const auto& pass, const auto& space) {
    launch(placement.instance == 0 ? one : other, placement.config, stream, pass, space, messages,
           placement.messages);
  };
  if (placement.kernel == Kernel::strips_first)
    run(strips_kernel<First, Tuning::kSlots>, strips_kernel<First, Tuning::kFewSlots>, First{arguments},
        placement.strips);
  else if (placement.kernel == Kernel::strips_last)
    run(strips_kernel<Last, Tuning::kSlots>, strips_kernel<Last, Tuning::kFewSlots>, Last{arguments},
        placement.strips);
  else
    run(whole_kernel<Last, Tuning::vectors(0, Last::kChannels)>,
        whole_kernel<Last, Tuning::vectors(1, Last::kChannels)>, Last{arguments}, placement.whole);
}

}  // namespace bntrain::kernels::streamed
