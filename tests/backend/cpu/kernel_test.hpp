// What the tests of the CPU kernels share: both tables of every instruction set of this processor, seeded
// numbers.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/every_isa.hpp"
#include "backend/cpu/isa.hpp"
#include "backend/cpu/lanes.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain::cpu {

/// One of the two tables of an instruction set.
struct Table {
  CpuIsa isa;
  Lanes lanes;
};

inline std::string name_of(const Table& table) {
  return to_string(table.isa) + (table.lanes == Lanes::one_image ? "_one_image" : "");
}
inline void PrintTo(const Table& table, std::ostream* out) {
  *out << name_of(table);
}

inline std::vector<Table> tables() {
  std::vector<Table> all;
  for (const CpuIsa isa : available_cpu_isas())
    for (const Lanes lanes : {Lanes::images, Lanes::one_image}) all.push_back({isa, lanes});
  return all;
}

inline std::string table_name(const testing::TestParamInfo<Table>& info) {
  return name_of(info.param);
}

/// `suite` is a KernelTest.
#define BNTRAIN_FOR_EVERY_TABLE(suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, testing::ValuesIn(tables()), table_name)

class KernelTest : public testing::TestWithParam<Table> {
 protected:
  std::vector<float> random(std::int64_t size, float mean = 0, float deviation = 1) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(at(size));
    for (float& value : values) value = normal(generator_);
    return values;
  }

  const Kernels& k = select_kernels(GetParam().isa, GetParam().lanes);

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
