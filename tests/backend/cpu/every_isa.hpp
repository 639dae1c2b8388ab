// Runs a TEST_P over every instruction set of this processor.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "bntrain/backend.hpp"

namespace bntrain::cpu {

inline std::string isa_name(const testing::TestParamInfo<CpuIsa>& param) {
  return to_string(param.param);
}

/// `suite` is a fixture over CpuIsa.
#define BNTRAIN_FOR_EVERY_ISA(suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, testing::ValuesIn(available_cpu_isas()), isa_name)

}  // namespace bntrain::cpu
