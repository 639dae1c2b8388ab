#include "batch_norm/implementation.hpp"

#include <algorithm>

#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

void check_gradients(const BackwardResult& actual, const Expected& e) {
  EXPECT_TRUE(support::close(actual.dbeta, e.dbeta, e.bounds.dbeta)) << "dbeta";
  EXPECT_TRUE(support::close(actual.dgamma, e.dgamma, e.bounds.dgamma)) << "dgamma";
  EXPECT_TRUE(support::close(actual.dx, e.dx, e.bounds.dx)) << "dx";
}

template <typename Result>
testing::AssertionResult same_members(const Result& a, const Result& b,
                                      std::initializer_list<Floats Result::*> members) {
  for (const auto member : members)
    if (auto result = same_bits(a.*member, b.*member); !result) return result;
  return testing::AssertionSuccess();
}

}  // namespace

Implementations serving(const Shapes& shapes) {
  Implementations result;
  for (const Implementation* each : implementations())
    if (std::ranges::all_of(shapes, [&](const BatchNormShape& shape) { return each->serves(shape); }))
      result.push_back(each);
  return result;
}

void check_training(const Implementation& implementation, const NormCase& c, const Memory& memory) {
  const Expected e = expect_training(c);
  const ForwardResult forward = implementation.forward_train(c, memory);
  EXPECT_TRUE(support::close(forward.mean, e.mean, e.bounds.mean)) << "mean";
  EXPECT_TRUE(support::close(forward.var, e.var, e.bounds.var)) << "var";
  EXPECT_TRUE(support::close(forward.y, e.y, e.bounds.y)) << "y";
  check_gradients(implementation.backward(c, forward, memory), e);
}

void check_inference(const Implementation& implementation, const NormCase& c, const Memory& memory) {
  const Expected e = expect_inference(c);
  EXPECT_TRUE(support::close(implementation.inference(c, memory), e.y, e.bounds.y)) << "y";
  check_gradients(implementation.inference_backward(c, memory), e);
}

testing::AssertionResult same_bits(const ForwardResult& a, const ForwardResult& b) {
  return same_members(a, b,
                      {&ForwardResult::y, &ForwardResult::mean, &ForwardResult::mean_low, &ForwardResult::var,
                       &ForwardResult::running_mean, &ForwardResult::running_var, &ForwardResult::inv_std});
}

testing::AssertionResult same_bits(const BackwardResult& a, const BackwardResult& b) {
  return same_members(a, b, {&BackwardResult::dx, &BackwardResult::dgamma, &BackwardResult::dbeta});
}

}  // namespace bntrain::test
