#include "support/backends.hpp"

#include "backend/cpu/backend.hpp"
#include "bntrain/error.hpp"
#include "support/cuda_host/backend.hpp"

namespace bntrain::test {

BackendCase cpu_backend(CpuIsa isa) {
  return {"cpu_" + to_string(isa), [isa](int threads) { return cpu::make_cpu_backend(threads, isa); }};
}

BackendCase one_image_backend(CpuIsa isa) {
  return {"cpu_one_image", [isa](int threads) {
            return cpu::make_cpu_backend(threads, isa, ConvMethod::automatic, cpu::Lanes::one_image);
          }};
}

std::vector<BackendCase> host_backends() {
  std::vector<BackendCase> all;
  for (const CpuIsa isa : available_cpu_isas()) all.push_back(cpu_backend(isa));
  all.push_back(one_image_backend());
  if (available_cpu_isas().back() >= CpuIsa::v3)
    all.push_back({"cpu_winograd", [](int threads) {
                     return cpu::make_cpu_backend(threads, CpuIsa::automatic, ConvMethod::winograd);
                   }});
  all.push_back({"cuda_on_host", [](int) { return cuda::make_host_backend(); }});
  return all;
}

BackendCase gpu_backend() {
  return {"cuda", [](int) {
            std::string note;
            return make_backend({.device = Device::cuda}, note);
          }};
}

std::string why_no_gpu() {
  try {
    gpu_backend().make(1);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void BackendTest::SetUp() {
  if (GetParam().name != gpu_backend().name) return;
  // The same tests run on cpu and cuda_on_host everywhere.
  if (const std::string reason = why_no_gpu(); !reason.empty())
    GTEST_SKIP() << "why there is no GPU: " << reason;
}

}  // namespace bntrain::test
