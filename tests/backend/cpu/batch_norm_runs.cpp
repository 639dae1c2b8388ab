// The guarded runs of batch_norm_case.hpp: the CPU's functions, so that batch_norm_case.cpp needs no library.
#include <memory>

#include "backend/cpu/batch_norm_case.hpp"
#include "support/guarded.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using support::Guarded;

/// The result of an operation that may overwrite `input`.
class Result {
 public:
  Result(Guarded& input, Memory memory)
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

}  // namespace

ForwardResult forward_train(const NormCase& c, CpuIsa isa, Memory memory) {
  Guarded x(c.x, memory.offset);
  const Guarded gamma(c.gamma, memory.offset), beta(c.beta, memory.offset);
  Guarded mean(c.channels(), memory.offset), var(c.channels(), memory.offset);
  Guarded running_mean(c.running_mean, memory.offset), running_var(c.running_var, memory.offset);
  Result y(x, memory);
  batch_norm_forward_train(x.data(), gamma.data(), beta.data(), c.shape, c.options, y.data(), mean.data(),
                           var.data(), running_mean.data(), running_var.data(), isa);
  EXPECT_TRUE(x.intact());
  return {take(y.guarded()), take(mean), take(var), take(running_mean), take(running_var)};
}

BackwardResult backward(const NormCase& c, const ForwardResult& forward, CpuIsa isa, Memory memory) {
  const Guarded x(c.x, memory.offset), gamma(c.gamma, memory.offset);
  const Guarded mean(forward.mean, memory.offset), var(forward.var, memory.offset);
  Guarded dy(c.dy, memory.offset), dgamma(c.channels(), memory.offset), dbeta(c.channels(), memory.offset);
  Result dx(dy, memory);
  batch_norm_backward(x.data(), dy.data(), gamma.data(), mean.data(), var.data(), c.shape, c.options,
                      dx.data(), dgamma.data(), dbeta.data(), isa);
  EXPECT_TRUE(dy.intact());
  return {take(dx.guarded()), take(dgamma), take(dbeta)};
}

Floats inference(const NormCase& c, CpuIsa isa, Memory memory) {
  Guarded x(c.x, memory.offset);
  const Guarded gamma(c.gamma, memory.offset), beta(c.beta, memory.offset);
  const Guarded mean(c.running_mean, memory.offset), var(c.running_var, memory.offset);
  Result y(x, memory);
  batch_norm_inference(x.data(), gamma.data(), beta.data(), mean.data(), var.data(), c.shape, c.options,
                       y.data(), isa);
  EXPECT_TRUE(x.intact());
  return take(y.guarded());
}

BackwardResult inference_backward(const NormCase& c, CpuIsa isa, Memory memory) {
  const Guarded x(c.x, memory.offset), gamma(c.gamma, memory.offset);
  const Guarded mean(c.running_mean, memory.offset), var(c.running_var, memory.offset);
  Guarded dy(c.dy, memory.offset), dgamma(c.channels(), memory.offset), dbeta(c.channels(), memory.offset);
  Result dx(dy, memory);
  batch_norm_inference_backward(x.data(), dy.data(), gamma.data(), mean.data(), var.data(), c.shape,
                                c.options, dx.data(), dgamma.data(), dbeta.data(), isa);
  EXPECT_TRUE(dy.intact());
  return {take(dx.guarded()), take(dgamma), take(dbeta)};
}

void check_training(const NormCase& c, CpuIsa isa, Memory memory) {
  const Expected e = expect_training(c);
  const ForwardResult forward = forward_train(c, isa, memory);
  EXPECT_TRUE(support::close(forward.mean, e.mean, e.bounds.mean)) << "mean";
  EXPECT_TRUE(support::close(forward.var, e.var, e.bounds.var)) << "var";
  EXPECT_TRUE(support::close(forward.y, e.y, e.bounds.y)) << "y";
  const BackwardResult gradients = backward(c, forward, isa, memory);
  EXPECT_TRUE(support::close(gradients.dbeta, e.dbeta, e.bounds.dbeta)) << "dbeta";
  EXPECT_TRUE(support::close(gradients.dgamma, e.dgamma, e.bounds.dgamma)) << "dgamma";
  EXPECT_TRUE(support::close(gradients.dx, e.dx, e.bounds.dx)) << "dx";
}

void check_inference(const NormCase& c, CpuIsa isa, Memory memory) {
  const Expected e = expect_inference(c);
  EXPECT_TRUE(support::close(inference(c, isa, memory), e.y, e.bounds.y)) << "y";
  const BackwardResult gradients = inference_backward(c, isa, memory);
  EXPECT_TRUE(support::close(gradients.dbeta, e.dbeta, e.bounds.dbeta)) << "dbeta";
  EXPECT_TRUE(support::close(gradients.dgamma, e.dgamma, e.bounds.dgamma)) << "dgamma";
  EXPECT_TRUE(support::close(gradients.dx, e.dx, e.bounds.dx)) << "dx";
}

}  // namespace bntrain::test
