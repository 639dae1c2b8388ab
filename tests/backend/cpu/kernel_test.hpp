// What the tests of the CPU kernels share: every instruction set of this processor, seeded numbers.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "backend/cpu/every_isa.hpp"
#include "backend/cpu/isa.hpp"
#include "backend/cpu/lanes.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain::cpu {

class KernelTest : public testing::TestWithParam<CpuIsa> {
 protected:
  std::vector<float> random(std::int64_t size, float mean = 0, float deviation = 1) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(at(size));
    for (float& value : values) value = normal(generator_);
    return values;
  }

  const Kernels& k = select_kernels(GetParam());

 private:
  std::mt19937 generator_{20170614};
};

inline reference::Values absolute(reference::Values values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

/// support::bound() for every element; `magnitudes` are the sums of the terms' absolute values.
inline reference::Values bounds(std::int64_t length, reference::Values magnitudes) {
  for (double& value : magnitudes) value = support::bound(support::kFloatEps, length, value);
  return magnitudes;
}

}  // namespace bntrain::cpu
