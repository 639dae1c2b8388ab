#include "backend/cpu/backend.hpp"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "backend/cpu/executable.hpp"
#include "backend/cpu/isa.hpp"
#include "backend/cpu/peaks.hpp"

namespace bntrain::cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, const Kernels& kernels)
      : threads_(threads > 0 ? threads : usable_cores()), kernels_(kernels) {}

  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    return std::make_unique<CpuExecutable>(make_plan(request, {.rebuild_conv_gradients = true}), kernels_,
                                           threads_);
  }

  DevicePeaks measure_peaks() override { return cpu::measure_peaks(threads_, kernels_); }

  std::string description() const override {
    return "CPU, " + std::to_string(threads_) + (threads_ == 1 ? " thread, " : " threads, ") + kernels_.name +
           " (" + std::to_string(kernels_.lanes) + " lanes)";
  }

 private:
  int threads_;
  const Kernels& kernels_;
};

}  // namespace

int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::unique_ptr<Backend> make_cpu_backend(int threads, CpuIsa isa) {
  return std::make_unique<CpuBackend>(threads, select_kernels(isa));
}

}  // namespace bntrain::cpu
