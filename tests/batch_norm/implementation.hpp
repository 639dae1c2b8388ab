// What the batch norm tests run on: the CPU's functions on an instruction set, or the kernels in a layout by
// a variant. A test program defines implementations() (backend/cpu/batch_norm_implementation.cpp for the CPU,
// kernels/batch_norm/implementation.cpp for the kernels, on the host executor or on a GPU).
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "batch_norm/norm_case.hpp"

namespace bntrain::test {

struct ForwardResult {
  Floats y, mean, mean_low, var, running_mean, running_var;  ///< mean: its high part
  Floats inv_std{};                                          ///< of the kernels, which return it; else empty

  /// As the backward pass takes it: the high parts, then the low parts.
  Floats both_parts_of_mean() const {
    Floats both = mean;
    both.insert(both.end(), mean_low.begin(), mean_low.end());
    return both;
  }
};
struct BackwardResult {
  Floats dx, dgamma, dbeta;
};

/// All pointers are `offset` floats beyond a 64-byte boundary; in_place: the result replaces its input (y =
/// x, dx = dy).
struct Memory {
  std::size_t offset = 0;
  bool in_place = false;
};

using Shapes = std::vector<BatchNormShape>;

class Implementation {
 public:
  virtual ~Implementation() = default;
  /// Letters, digits and underscores.
  virtual std::string name() const = 0;
  virtual bool serves(const BatchNormShape&) const { return true; }
  /// False where inference is that of another implementation and need not be tested twice on all shapes.
  virtual bool has_own_inference() const { return true; }
  /// Shapes that cover this implementation's special cases: many for one pass over the reference, few for
  /// many cases.
  virtual Shapes all_shapes() const = 0;
  virtual Shapes few_shapes() const = 0;

  // Each checks that every element of the output was written and nothing around the buffers.
  virtual ForwardResult forward_train(const NormCase& c, const Memory& memory) const = 0;
  virtual BackwardResult backward(const NormCase& c, const ForwardResult& forward,
                                  const Memory& memory) const = 0;
  virtual Floats inference(const NormCase& c, const Memory& memory) const = 0;
  virtual BackwardResult inference_backward(const NormCase& c, const Memory& memory) const = 0;
};

inline void PrintTo(const Implementation* implementation, std::ostream* out) {
  *out << implementation->name();
}

using Implementations = std::vector<const Implementation*>;
/// Those of this test program.
const Implementations& implementations();
/// Those that serve all of the shapes.
Implementations serving(const Shapes& shapes);

/// Every output of both passes against the reference.
void check_training(const Implementation& implementation, const NormCase& c, const Memory& memory = {});
void check_inference(const Implementation& implementation, const NormCase& c, const Memory& memory = {});

testing::AssertionResult same_bits(const ForwardResult& a, const ForwardResult& b);
testing::AssertionResult same_bits(const BackwardResult& a, const BackwardResult& b);

/// A suite that runs on implementations.
class BatchNormTest : public testing::TestWithParam<const Implementation*> {
 protected:
  static ForwardResult forward_train(const NormCase& c, const Memory& memory = {}) {
    return GetParam()->forward_train(c, memory);
  }
  static BackwardResult backward(const NormCase& c, const ForwardResult& forward, const Memory& memory = {}) {
    return GetParam()->backward(c, forward, memory);
  }
  static Floats inference(const NormCase& c, const Memory& memory = {}) {
    return GetParam()->inference(c, memory);
  }
  static BackwardResult inference_backward(const NormCase& c, const Memory& memory = {}) {
    return GetParam()->inference_backward(c, memory);
  }
  static void check_training(const NormCase& c, const Memory& memory = {}) {
    test::check_training(*GetParam(), c, memory);
  }
  static void check_inference(const NormCase& c, const Memory& memory = {}) {
    test::check_inference(*GetParam(), c, memory);
  }
};
inline std::string implementation_name(const testing::TestParamInfo<const Implementation*>& info) {
  return info.param->name();
}

}  // namespace bntrain::test
