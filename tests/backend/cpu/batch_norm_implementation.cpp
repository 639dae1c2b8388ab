// The implementations of the batch norm tests in bntrain_tests: the CPU's functions on every instruction set
// that this processor has.
#include "batch_norm/implementation.hpp"

#include <deque>
#include <memory>

#include "support/guarded.hpp"

namespace bntrain::test {
namespace {

using support::Guarded;

/// The result of an operation that may overwrite `input`.
class Result {
 public:
  Result(Guarded& input, const Memory& memory)
      : own_(memory.in_place ? nullptr : std::make_unique<Guarded>(input.size(), memory.offset)),
        target_(memory.in_place ? input : *own_) {}
  float* data() { return target_.data(); }
  const Guarded& guarded() const { return target_; }

 private:
  std::unique_ptr<Guarded> own_;
  Guarded& target_;
};

Floats take(const Guarded& output) {
  EXPECT_TRUE(output.complete());
  return {output.values().begin(), output.values().end()};
}

class CpuFunctions final : public Implementation {
 public:
  explicit CpuFunctions(CpuIsa isa) : isa_(isa) {}

  std::string name() const override { return to_string(isa_); }
  /// Every value of every axis, and every pair of small, odd and large sizes; then around the limits of
  /// 16-bit counters, and long sums.
  Shapes all_shapes() const override {
    return {{1, 1, 5},     {2, 3, 1},      {255, 1, 49},   {256, 3, 100},  {257, 20, 1},   {96, 33, 49},
            {7, 50, 576},  {256, 1000, 1}, {3, 1000, 49},  {2, 1000, 100}, {257, 1000, 1}, {255, 3, 576},
            {65535, 1, 1}, {65536, 1, 1},  {131071, 1, 1}, {880802, 1, 1}, {2, 65536, 1},  {1, 1, 131071}};
  }
  /// Batches around the vector lengths, with and without pixels, in chunks of every kind.
  Shapes few_shapes() const override { return {{2, 2, 1}, {3, 2, 5}, {17, 2, 7}, {96, 2, 49}, {5, 2, 200}}; }

  ForwardResult forward_train(const NormCase& c, const Memory& memory) const override {
    Guarded x(c.x, memory.offset);
    const Guarded gamma(c.gamma, memory.offset), beta(c.beta, memory.offset);
    Guarded mean(2 * c.channels(), memory.offset), var(c.channels(), memory.offset);
    Guarded running_mean(c.running_mean, memory.offset), running_var(c.running_var, memory.offset);
    Result y(x, memory);
    bntrain::batch_norm_forward_train(x.data(), gamma.data(), beta.data(), c.shape, c.options, y.data(),
                                      mean.data(), var.data(), running_mean.data(), running_var.data(), isa_);
    EXPECT_TRUE(x.intact());
    const Floats means = take(mean);
    const auto low = means.begin() + c.shape.channels;
    return {take(y.guarded()),
            {means.begin(), low},
            {low, means.end()},
            take(var),
            take(running_mean),
            take(running_var),
            {}};
  }

  BackwardResult backward(const NormCase& c, const ForwardResult& forward,
                          const Memory& memory) const override {
    const Guarded x(c.x, memory.offset), gamma(c.gamma, memory.offset);
    const Guarded mean(forward.both_parts_of_mean(), memory.offset), var(forward.var, memory.offset);
    Guarded dy(c.dy, memory.offset), dgamma(c.channels(), memory.offset), dbeta(c.channels(), memory.offset);
    Result dx(dy, memory);
    bntrain::batch_norm_backward(x.data(), dy.data(), gamma.data(), mean.data(), var.data(), c.shape,
                                 c.options, dx.data(), dgamma.data(), dbeta.data(), isa_);
    EXPECT_TRUE(dy.intact());
    return {take(dx.guarded()), take(dgamma), take(dbeta)};
  }

  Floats inference(const NormCase& c, const Memory& memory) const override {
    Guarded x(c.x, memory.offset);
    const Guarded gamma(c.gamma, memory.offset), beta(c.beta, memory.offset);
    const Guarded mean(c.running_mean, memory.offset), var(c.running_var, memory.offset);
    Result y(x, memory);
    bntrain::batch_norm_inference(x.data(), gamma.data(), beta.data(), mean.data(), var.data(), c.shape,
                                  c.options, y.data(), isa_);
    EXPECT_TRUE(x.intact());
    return take(y.guarded());
  }

  BackwardResult inference_backward(const NormCase& c, const Memory& memory) const override {
    const Guarded x(c.x, memory.offset), gamma(c.gamma, memory.offset);
    const Guarded mean(c.running_mean, memory.offset), var(c.running_var, memory.offset);
    Guarded dy(c.dy, memory.offset), dgamma(c.channels(), memory.offset), dbeta(c.channels(), memory.offset);
    Result dx(dy, memory);
    bntrain::batch_norm_inference_backward(x.data(), dy.data(), gamma.data(), mean.data(), var.data(),
                                           c.shape, c.options, dx.data(), dgamma.data(), dbeta.data(), isa_);
    EXPECT_TRUE(dy.intact());
    return {take(dx.guarded()), take(dgamma), take(dbeta)};
  }

 private:
  CpuIsa isa_;
};

}  // namespace

const Implementations& implementations() {
  static const std::deque<CpuFunctions> functions = [] {
    std::deque<CpuFunctions> result;
    for (const CpuIsa isa : available_cpu_isas()) result.emplace_back(isa);
    return result;
  }();
  static const Implementations all = [] {
    Implementations result;
    for (const CpuFunctions& each : functions) result.push_back(&each);
    return result;
  }();
  return all;
}

}  // namespace bntrain::test
