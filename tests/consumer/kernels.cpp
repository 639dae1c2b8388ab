// The installed GPU kernels by themselves, linked without a CUDA header. What can be asked without a GPU: how
// much workspace a batch norm wants, and that an empty tensor launches nothing.
#include <cstdio>

#include "bntrain/kernels/kernels.hpp"

int main() {
  using namespace bntrain::kernels;
  const NormShape shape{.batch = 256, .channels = 20, .spatial = 576};
  const auto bytes = batch_norm_workspace(shape);
  std::printf("workspace: %lld bytes\n", static_cast<long long>(bytes));
  batch_norm_forward({.batch = 0, .channels = 20, .spatial = 576}, {}, nullptr, nullptr, nullptr, nullptr,
                     nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, Stream{});
  return bytes > 0 ? 0 : 1;
}
