// The tutorial's first hand example through the installed library: each column of A becomes -1.2247,
// 0, 1.2247.
#include <array>
#include <cmath>
#include <cstdio>

#include "bntrain/batch_norm.hpp"

int main() {
  const std::array<float, 6> a = {0, 1, 2, 3, 4, 5};
  const std::array<float, 2> gamma = {1, 1};
  const std::array<float, 2> beta = {0, 0};
  std::array<float, 6> y{};
  std::array<float, 4> mean{};  // in two parts
  std::array<float, 2> var{};
  const bntrain::BatchNormShape shape{.batch = 3, .channels = 2};
  bntrain::batch_norm_forward_train(a.data(), gamma.data(), beta.data(), shape, {}, y.data(), mean.data(),
                                    var.data(), nullptr, nullptr);

  const std::array<float, 6> expected = {-1.2247F, -1.2247F, 0, 0, 1.2247F, 1.2247F};
  bool right = true;
  for (std::size_t i = 0; i < y.size(); ++i) {
    std::printf("y[%zu] = %.4f\n", i, y[i]);
    right = right && std::abs(y[i] - expected[i]) < 1e-4F;  // false for NaN
  }
  return right ? 0 : 1;
}
