#include "backend/check_backend.hpp"
#include "backend/cpu/backend.hpp"
#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"

namespace bntrain {
namespace {

constexpr const char* kNoCuda = "this build has no CUDA backend";

std::unique_ptr<Backend> make_cuda_backend(const std::string& device) {
  throw Error(ErrorKind::runtime, "--device " + device + ": " + kNoCuda + "; use --device cpu or auto");
}

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendOptions& options, std::string& note) {
  note.clear();
  const auto make_cpu = [&] { return cpu::make_cpu_backend(options.threads, options.cpu_isa); };
  switch (options.device) {
    case Device::cuda:
      return make_cuda_backend("cuda");
    case Device::check: {
      auto judged = make_cuda_backend("check");
      return make_check_backend(make_cpu(), std::move(judged));
    }
    case Device::automatic:
      note = std::string("training on the CPU: ") + kNoCuda;
      break;
    case Device::cpu:
      break;
  }
  return make_cpu();
}

}  // namespace bntrain
