// The three computations of a convolution, and who makes them: cuDNN, or patches and matrix products. What
// another provider would need is a function that makes its Convolution, and its place in make_convolution().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/cuda/math_libraries.hpp"

namespace bntrain::cuda {

/// NCHW images, OIHW weights, square kernel.
struct ConvolutionShape {
  std::int64_t batch = 0, in_channels = 0, height = 0, width = 0;
  std::int64_t out_channels = 0, kernel = 1, stride = 1, padding = 0;

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

/// "convolution of 256x1x28x28 with 20x1x5x5, stride 1, padding 0", for errors.
std::string to_string(const ConvolutionShape& shape);

/// y = x * w (cross-correlation, no bias) and its gradients. x: [batch, in_channels, height, width];
/// w: [out_channels, in_channels, kernel, kernel]; y: [batch, out_channels, out_height, out_width].
enum class ConvolutionPass {
  forward,           ///< y of x and w
  backward_weights,  ///< dw of x and dy
  backward_input,    ///< dx of w and dy
};

/// "forward pass", "weights' gradient", "input's gradient".
std::string to_string(ConvolutionPass pass);

/// One of the computations for one shape.
class Convolution {
 public:
  virtual ~Convolution() = default;
  /// a and b in the order in which ConvolutionPass names them; all 16-byte aligned.
  virtual void compute(const float* a, const float* b, float* result) = 0;
  /// The algorithm, for people.
  virtual std::string algorithm() const = 0;
};

/// Who computes is decided by pass, shape and precision, and the workspace that the device has room for.
/// Throws Error(runtime) where it has room for none.
std::unique_ptr<Convolution> make_convolution(MathLibraries& libraries, const ConvolutionShape& shape,
                                              ConvolutionPass pass);

/// By cuDNN; null where it has no algorithm that may run.
std::unique_ptr<Convolution> make_cudnn_convolution(MathLibraries& libraries, const ConvolutionShape& shape,
                                                    ConvolutionPass pass);

/// As products with the matrix of all patches, some images at a time: for every shape.
std::unique_ptr<Convolution> make_patch_convolution(MathLibraries& libraries, const ConvolutionShape& shape,
                                                    ConvolutionPass pass);

/// What an algorithm of cuDNN's multiplies with.
enum class Arithmetic {
  multiply_add,  ///< float32
  tensor_cores,  ///< of float32 tensors: TF32
  converted,     ///< whatever is fast, float16 too
};

/// An algorithm that cuDNN has for a computation.
struct ConvolutionCandidate {
  std::string name;
  bool deterministic = false;
  bool transforms = false;  ///< Winograd or FFT: multiplies sums of elements, not elements
  Arithmetic arithmetic = Arithmetic::multiply_add;
  std::int64_t workspace_bytes = 0;
};

/// Whether it gives the same bits every time and keeps to the precision. fp32 excludes transforms: on 5x5
/// kernels their gradients are off by 7e-5 to 6e-4 (measured on an H200), several times what rounding the
/// products and their sum explains. To TF32, which rounds factors by 5e-4, they add nothing that matters.
bool is_allowed(const ConvolutionCandidate& candidate, Precision precision);

/// The first that is allowed and whose workspace can be reserved.
std::optional<std::size_t> choose(std::span<const ConvolutionCandidate> best_first, Precision precision,
                                  CallWorkspace& workspace);

}  // namespace bntrain::cuda
