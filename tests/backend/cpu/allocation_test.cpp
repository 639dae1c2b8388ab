// A step allocates nothing: the operators new of this program count, for the library too.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

#include "backend/cpu/every_isa.hpp"
#include "support/small_training.hpp"

namespace {

std::atomic<std::int64_t> allocations{0};

}  // namespace

// Inlined, GCC 12 would take malloc() and free() for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace bntrain::cpu {
namespace {

class AllocationTest : public testing::TestWithParam<CpuIsa> {};

TEST_P(AllocationTest, NoStepAllocates) {
  for (const auto& [backend, threads] : {std::pair{test::cpu_backend(GetParam()), 1},
                                         {test::cpu_backend(GetParam()), 3},
                                         {test::one_image_backend(GetParam()), 1},
                                         {test::one_image_backend(GetParam()), 3}}) {
    test::TrainingSetup setup;
    setup.text =
        "bn,conv4x3p1,bn,relu,maxpool2,conv3x3,relu,conv3x2p1,bn,sigmoid,avgpool2,fc8,bn,relu,fc9,bn,sigmoid,"
        "fc4";
    setup.backend = backend;
    setup.threads = threads;
    std::int64_t before = allocations;
    test::SmallTraining training(setup);
    EXPECT_GT(allocations, before);  // it does count
    const test::SgdStep params{.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-4};
    training->train_step({0, 16}, params);
    training->eval_step({0, 16});
    before = allocations;
    for (int step = 0; step < 3; ++step) {
      training->train_step({step, 16}, params);
      training->train_step({0, 5}, params);
      training->eval_step({1, 7});
    }
    EXPECT_EQ(allocations, before) << backend.name << ", " << threads << " threads";
  }
}

BNTRAIN_FOR_EVERY_ISA(AllocationTest);

}  // namespace
}  // namespace bntrain::cpu
