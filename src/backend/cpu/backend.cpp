#include "backend/cpu/backend.hpp"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "backend/cpu/executable.hpp"
#include "backend/cpu/isa.hpp"
#include "backend/cpu/peaks.hpp"
#include "bntrain/error.hpp"
#include "core/machine_limits.hpp"

namespace bntrain::cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, CpuIsa isa, ConvMethod conv, std::optional<Lanes> lanes)
      : threads_(threads > 0 ? threads : usable_cores()),
        kernels_(select_kernels(isa)),
        image_kernels_(select_kernels(isa, Lanes::one_image)),
        conv_(conv),
        lanes_(lanes) {}

  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    auto executable = prepare(request);
    expect_memory(executable->memory_bytes(), "batch_size",
                  "the network with batches of " + std::to_string(request.batch_size) + " images",
                  "a smaller one needs less");
    executable->allocate();
    return executable;
  }

  std::int64_t memory_bytes(const PlanRequest& request) override { return prepare(request)->memory_bytes(); }

  DevicePeaks measure_peaks() override { return cpu::measure_peaks(threads_, kernels_); }

  std::string description() const override {
    return "CPU, " + std::to_string(threads_) + (threads_ == 1 ? " thread, " : " threads, ") +
           describe(kernels_);
  }

 private:
  std::unique_ptr<CpuExecutable> prepare(const PlanRequest& request) const {
    Plan plan = make_plan(request, {.rebuild_conv_gradients = true});
    const Lanes lanes = lanes_.value_or(lanes_for(plan));
    const Kernels& kernels = lanes == Lanes::one_image ? image_kernels_ : kernels_;
    return std::make_unique<CpuExecutable>(std::move(plan), kernels, conv_, threads_);
  }

  /// The pixels of one image rather than one pixel of each where images would fill no more than a quarter of
  /// the lanes. A step of the reference network on one thread, one image a group against a full vector: 0.18
  /// ms an image against 1.08 ms with 16 lanes, 0.27 against 0.58 with 8, 0.41 against 1.0 with 4. On several
  /// threads more images would still gain; but bits depend on this, and must not on the threads.
  Lanes lanes_for(const Plan& plan) const {
    const bool few = 4 * plan.batch_size <= kernels_.lanes;
    return few && conv_ != ConvMethod::winograd ? Lanes::one_image : Lanes::images;
  }

  int threads_;
  const Kernels &kernels_, &image_kernels_;
  ConvMethod conv_;
  std::optional<Lanes> lanes_;
};

}  // namespace

int usable_cores() {
  cpu_set_t set;
  const bool known = sched_getaffinity(0, sizeof(set), &set) == 0;
  const int cores = known ? CPU_COUNT(&set) : static_cast<int>(std::thread::hardware_concurrency());
  const int quota = cpu_quota();
  return std::max(1, quota > 0 ? std::min(cores, quota) : cores);
}

std::unique_ptr<Backend> make_cpu_backend(int threads, CpuIsa isa, ConvMethod conv,
                                          std::optional<Lanes> lanes) {
  const Kernels& kernels = select_kernels(isa);
  if (conv == ConvMethod::winograd && kernels.winograd2 == nullptr)
    throw Error(ErrorKind::usage, "conv",
                std::string("'winograd' needs AVX2, and the instruction set is ") + kernels.name +
                    "; allowed there: auto and direct");
  return std::make_unique<CpuBackend>(threads, isa, conv, lanes);
}

}  // namespace bntrain::cpu
