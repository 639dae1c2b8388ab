#include "backend/cpu/backend.hpp"
#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"

namespace bntrain {

std::unique_ptr<Backend> make_backend(const BackendOptions& options, std::string& note) {
  static constexpr const char* kReason = "this build has no CUDA backend";
  note.clear();
  switch (options.device) {
    case Device::cuda:
      throw Error(ErrorKind::runtime,
                  std::string("--device cuda: ") + kReason + "; use --device cpu or auto");
    case Device::automatic:
      note = std::string("training on the CPU: ") + kReason;
      break;
    case Device::cpu:
      break;
  }
  return cpu::make_cpu_backend(options.threads, options.cpu_isa);
}

}  // namespace bntrain
