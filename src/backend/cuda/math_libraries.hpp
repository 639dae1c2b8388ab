// Convolutions by cuDNN and matrix products by cuBLASLt, behind what the steps need of them. No header of
// theirs here: convolution_cudnn.cpp and linear_cublas.cpp implement this, tests/support/cuda_host does it
// with plain loops.
//
// Tensors are packed float32 on 16 bytes. Everything is enqueued on the stream, can be captured into a graph,
// writes the same bits from run to run and overwrites its result. Algorithms are chosen when an object is
// made, by the libraries' heuristics and not by timing them: a choice by the clock would make the bits depend
// on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/cuda/device.hpp"
#include "backend/executable.hpp"

namespace bntrain::cuda {

/// The handles of the libraries, and the workspace that all their calls on the stream share.
class MathLibraries {
 public:
  MathLibraries(DeviceStream& stream, Precision precision);
  ~MathLibraries();
  MathLibraries(const MathLibraries&) = delete;
  MathLibraries& operator=(const MathLibraries&) = delete;

  /// "cuDNN 9.13.0, cuBLASLt 13.0.2".
  std::string versions() const;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// NCHW images, OIHW weights, square kernel.
struct ConvolutionShape {
  std::int64_t batch = 0, in_channels = 0, height = 0, width = 0;
  std::int64_t out_channels = 0, kernel = 1, stride = 1, padding = 0;

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

/// y = x * w (cross-correlation, no bias) and its gradients. x: [batch, in_channels, height, width];
/// w: [out_channels, in_channels, kernel, kernel]; y: [batch, out_channels, out_height, out_width].
class Convolution {
 public:
  Convolution(MathLibraries& libraries, const ConvolutionShape& shape);
  ~Convolution();
  Convolution(const Convolution&) = delete;
  Convolution& operator=(const Convolution&) = delete;

  void forward(const float* x, const float* w, float* y);
  void backward_weights(const float* x, const float* dy, float* dw);
  void backward_input(const float* dy, const float* w, float* dx);
  /// The algorithms that a pass takes, for people.
  std::string algorithms(StepPass pass) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct LinearShape {
  std::int64_t batch = 0, in = 0, out = 0;
  bool relu = false;  ///< of the forward pass
};

/// y = x w^T + bias, then y = max(y, 0) where `relu`, and the gradients of the product. All row-major:
/// x: [batch, in]; w: [out, in]; bias: [out] or null; y, dy: [batch, out]. dy is the gradient in front of the
/// ReLU.
class Linear {
 public:
  Linear(MathLibraries& libraries, const LinearShape& shape);
  ~Linear();
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  void forward(const float* x, const float* w, const float* bias, float* y);
  void backward_weights(const float* x, const float* dy, float* dw);
  void backward_input(const float* dy, const float* w, float* dx);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bntrain::cuda
