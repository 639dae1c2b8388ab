// How the CUDA executable runs on the host.
#pragma once

#include "kernels/simt/host/executor.hpp"

namespace bntrain::cuda {

/// Each thread of a kernel is a fiber, so that few blocks are fast; two of them still share work.
inline constexpr int kHostBlocks = 2;

inline simt_host::Executor host_executor() {
  return simt_host::Executor({.schedule = simt_host::Schedule::warp_at_a_time});
}

/// The executor behind a stream of the executable.
inline simt_host::Executor& executor_of(const kernels::Stream& stream) {
  return *reinterpret_cast<simt_host::Executor*>(stream.handle);
}

}  // namespace bntrain::cuda
