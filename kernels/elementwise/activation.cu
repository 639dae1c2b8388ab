// Activations, forward and backward, and the sum of two tensors. Contract: elementwise.hpp. Maths:
// activation.cuh. The kernel: elementwise.cuh.
#include "kernels/elementwise/activation.cuh"

#include "kernels/elementwise/elementwise.cuh"
#include "kernels/kernels.hpp"

namespace bntrain::kernels {
namespace {

template <typename Activation>
struct Forward {
  Activation activation;
  SIMT_DEVICE float operator()(float x) const { return activation.forward(x); }
};

template <typename Activation>
struct Backward {
  Activation activation;
  SIMT_DEVICE float operator()(float saved, float dy) const { return activation.backward(saved, dy); }
};

struct Sum {
  SIMT_DEVICE float operator()(float a, float b) const { return a + b; }
};

}  // namespace

void activation_forward(ActivationKind kind, float slope, std::int64_t size, const float* x, float* y,
                        const Stream& stream) {
  with_activation(kind, slope, [&](auto activation) {
    launch_elementwise("activation_forward", size, Forward<decltype(activation)>{activation}, stream, y, x);
  });
}

void activation_backward(ActivationKind kind, float slope, std::int64_t size, const float* saved,
                         const float* dy, float* dx, const Stream& stream) {
  with_activation(kind, slope, [&](auto activation) {
    launch_elementwise("activation_backward", size, Backward<decltype(activation)>{activation}, stream, dx,
                       saved, dy);
  });
}

void add(std::int64_t size, const float* a, const float* b, float* out, const Stream& stream) {
  launch_elementwise("add", size, Sum{}, stream, out, a, b);
}

}  // namespace bntrain::kernels
