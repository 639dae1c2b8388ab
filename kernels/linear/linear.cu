// A fully connected layer's three products.
#include "kernels/kernels.hpp"
#include "kernels/linear/product.hpp"
#include "kernels/simt/launch.hpp"

#include <algorithm>
#include <limits>

namespace bntrain::kernels {
namespace {

ProductShape forward_shape(const LinearShape& s) {
  return {s.batch, s.out, s.in};
}
ProductShape backward_input_shape(const LinearShape& s) {
  return {s.batch, s.in, s.out};
}
ProductShape backward_weights_shape(const LinearShape& s) {
  return {s.out, s.in, s.batch};
}

void require_linear(const LinearShape& s, const char* kernel) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const bool sizes =
      s.batch >= 0 && s.in >= 0 && s.out >= 0 && s.batch <= kMost && s.in <= kMost && s.out <= kMost;
  require(sizes && s.batch * s.in <= kMost && s.batch * s.out <= kMost && s.in * s.out <= kMost, kernel,
          "a size is negative, or a tensor has 2^31 elements or more");
}

}  // namespace

std::int64_t linear_workspace(const LinearShape& shape) {
  require_linear(shape, "linear_workspace");
  return std::max({product_workspace(forward_shape(shape)), product_workspace(backward_input_shape(shape)),
                   product_workspace(backward_weights_shape(shape))});
}

void linear_forward(const LinearShape& shape, const float* x, const float* w, const float* bias, float* y,
                    void* workspace, const Stream& stream) {
  constexpr const char* kName = "linear_forward";
  require_linear(shape, kName);
  product(kName, forward_shape(shape), {x, true, shape.in}, {w, true, shape.in}, bias, y, workspace, stream);
}

void linear_backward_input(const LinearShape& shape, const float* dy, const float* w, float* dx,
                           void* workspace, const Stream& stream) {
  constexpr const char* kName = "linear_backward_input";
  require_linear(shape, kName);
  product(kName, backward_input_shape(shape), {dy, true, shape.out}, {w, false, shape.in}, nullptr, dx,
          workspace, stream);
}

void linear_backward_weights(const LinearShape& shape, const float* x, const float* dy, float* dw,
                             void* workspace, const Stream& stream) {
  constexpr const char* kName = "linear_backward_weights";
  require_linear(shape, kName);
  product(kName, backward_weights_shape(shape), {dy, false, shape.out}, {x, false, shape.in}, nullptr, dw,
          workspace, stream);
}

}  // namespace bntrain::kernels
