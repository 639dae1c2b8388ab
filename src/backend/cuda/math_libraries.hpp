// cuDNN and cuBLASLt behind what the ops need of them. No header of theirs here: math_libraries.cpp,
// product_cublas.cpp and convolution_cudnn.cpp implement this and convolution.hpp, tests/support/cuda_host
// does it with plain loops.
//
// Tensors are packed float32. Everything is enqueued on the stream, can be captured into a graph, writes the
// same bits from run to run and overwrites its result unless it says otherwise. Algorithms are chosen when an
// object is made, by the libraries' heuristics and not by timing them: a choice by the clock would make the
// bits depend on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/cuda/call_workspace.hpp"
#include "bntrain/backend.hpp"

namespace bntrain::cuda {

/// The libraries for one stream. Their handles are made when they are first asked for: a network without
/// convolutions does not wait for cuDNN.
class MathLibraries {
 public:
  MathLibraries(DeviceStream& stream, Precision precision);
  ~MathLibraries();
  MathLibraries(const MathLibraries&) = delete;
  MathLibraries& operator=(const MathLibraries&) = delete;

  DeviceStream& stream;
  const Precision precision;
  /// Of all calls on the stream. Whoever makes objects calls workspace.allocate() before their first call.
  CallWorkspace workspace;

  struct Handles;
  Handles& handles() { return *handles_; }

 private:
  std::unique_ptr<Handles> handles_;
};

/// `count` products D = op(A) op(B) in cuBLAS's column-major order, packed: op(A) is [rows, inner], op(B)
/// [inner, columns]. A row-major matrix is the transposed one here, so C = A B in rows is C^T = B^T A^T.
struct ProductShape {
  std::int64_t rows = 0, columns = 0, inner = 0;
  bool transpose_a = false, transpose_b = false;
  std::int64_t count = 1;
  std::int64_t a_stride = 0, b_stride = 0,
               d_stride = 0;  ///< elements from one product's matrix to the next's
};

/// A matrix product by cuBLASLt; under fp32 of multiply-adds alone, under tf32 factors may be rounded for
/// tensor cores.
class Product {
 public:
  /// May use up to `workspace_bytes` of the libraries' workspace. Throws Error(runtime) where cuBLASLt does
  /// not take the sizes.
  Product(MathLibraries& libraries, const ProductShape& shape,
          std::int64_t workspace_bytes = kWorkspaceBytes);
  ~Product();
  Product(Product&&) noexcept;

  /// d = op(a) op(b), or d += op(a) op(b). The pointers must be 16-byte aligned.
  void multiply(const float* a, const float* b, float* d, bool add = false);

  static constexpr std::int64_t kWorkspaceBytes = std::int64_t{64} << 20;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bntrain::cuda
