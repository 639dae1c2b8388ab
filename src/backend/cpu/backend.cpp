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
  CpuBackend(int threads, const Kernels& kernels, ConvMethod conv)
      : threads_(threads > 0 ? threads : usable_cores()), kernels_(kernels), conv_(conv) {}

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
    return "CPU, " + std::to_string(threads_) + (threads_ == 1 ? " thread, " : " threads, ") + kernels_.name +
           " (" + std::to_string(kernels_.lanes) + " lanes)";
  }

 private:
  std::unique_ptr<CpuExecutable> prepare(const PlanRequest& request) const {
    return std::make_unique<CpuExecutable>(make_plan(request, {.rebuild_conv_gradients = true}), kernels_,
                                           conv_, threads_);
  }

  int threads_;
  const Kernels& kernels_;
  ConvMethod conv_;
};

}  // namespace

int usable_cores() {
  cpu_set_t set;
  const bool known = sched_getaffinity(0, sizeof(set), &set) == 0;
  const int cores = known ? CPU_COUNT(&set) : static_cast<int>(std::thread::hardware_concurrency());
  const int quota = cpu_quota();
  return std::max(1, quota > 0 ? std::min(cores, quota) : cores);
}

std::unique_ptr<Backend> make_cpu_backend(int threads, CpuIsa isa, ConvMethod conv) {
  const Kernels& kernels = select_kernels(isa);
  if (conv == ConvMethod::winograd && kernels.winograd2 == nullptr)
    throw Error(ErrorKind::usage, "conv",
                std::string("'winograd' needs AVX2, and the instruction set is ") + kernels.name +
                    "; allowed there: auto and direct");
  return std::make_unique<CpuBackend>(threads, kernels, conv);
}

}  // namespace bntrain::cpu
