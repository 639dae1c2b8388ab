// bntrain::kernels: where a kernel runs. Part of kernels.hpp.
#pragma once

struct CUstream_st;

namespace bntrain::kernels {

/// A cudaStream_t, and how many blocks a kernel may run at most, or one cluster where that is more (0: as
/// many as fill the device). The bits of a kernel's results do not depend on that number, but with too few
/// blocks for the streamed batch norm the plain one, which rounds otherwise, takes its place.
struct Stream {
  Stream(CUstream_st* stream = nullptr, int most_blocks = 0) : handle(stream), max_blocks(most_blocks) {}

  CUstream_st* handle;
  int max_blocks;
};

}  // namespace bntrain::kernels
