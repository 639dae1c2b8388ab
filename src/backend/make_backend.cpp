#include "backend/check/backend.hpp"
#include "backend/cpu/backend.hpp"
#include "backend/cuda_module.hpp"
#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"

namespace bntrain {
namespace {

/// For a `device` that cannot do without.
std::unique_ptr<Backend> demand_cuda_backend(const std::string& device, Precision precision, int gpu = 0) {
  try {
    return make_cuda_backend(precision, gpu);
  } catch (const Error& error) {
    if (!error.setting().empty()) throw;
    throw Error(error.kind(), "device",
                "'" + device + "' cannot be used: " + error.what() + "; use cpu or auto");
  }
}

[[noreturn]] void refuse_tf32(const std::string& reason) {
  throw Error(ErrorKind::usage, "precision",
              "'tf32' is for the tensor cores of a GPU, and the device " + reason + "; allowed there: fp32");
}

/// The CUDA backend has none in float32: their errors are larger than its bounds.
void refuse_winograd(const BackendOptions& options) {
  if (options.conv == ConvMethod::winograd)
    throw Error(ErrorKind::usage, "conv",
                "'winograd' is for the CPU, and the device is a GPU; allowed there: auto and direct");
}

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendOptions& options, std::string& note) {
  note.clear();
  const auto make_cpu = [&] { return cpu::make_cpu_backend(options.threads, options.cpu_isa, options.conv); };
  const bool tf32 = options.precision == Precision::tf32;
  switch (options.device) {
    case Device::cuda:
      refuse_winograd(options);
      return demand_cuda_backend(options.gpu == 0 ? "cuda" : "cuda:" + std::to_string(options.gpu),
                                 options.precision, options.gpu);
    case Device::check: {
      if (tf32) refuse_tf32("'check' compares with the CPU's float32");
      auto judged = demand_cuda_backend("check", options.precision);
      return make_check_backend(make_cpu(), std::move(judged));
    }
    case Device::automatic:
      try {
        auto gpu = make_cuda_backend(options.precision);
        refuse_winograd(options);
        return gpu;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::runtime) throw;  // there is a GPU, and the request does not fit it
        note = std::string("using the CPU") + (tf32 ? " in fp32: " : ": ") + error.what();
      }
      break;
    case Device::cpu:
      if (tf32) refuse_tf32("'cpu' has none");
      break;
  }
  return make_cpu();
}

}  // namespace bntrain
