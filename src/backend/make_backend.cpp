#include "backend/cpu/backend.hpp"
#include "backend/cuda_module.hpp"
#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"

namespace bntrain {

std::unique_ptr<Backend> make_backend(const BackendOptions& options, std::string& note) {
  note.clear();
  const bool tf32 = options.precision == Precision::tf32;
  switch (options.device) {
    case Device::cuda:
      try {
        return make_cuda_backend(options.precision);
      } catch (const Error& error) {
        throw Error(error.kind(),
                    std::string("--device cuda: ") + error.what() + "; use --device cpu or auto");
      }
    case Device::automatic:
      try {
        return make_cuda_backend(options.precision);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::runtime) throw;  // there is a GPU, and the request does not fit it
        note = std::string("training on the CPU") + (tf32 ? " in fp32: " : ": ") + error.what();
      }
      break;
    case Device::cpu:
      if (tf32)
        throw Error(ErrorKind::usage,
                    "--precision tf32 is for the tensor cores of a GPU and --device cpu has none; allowed "
                    "there: --precision fp32");
      break;
  }
  return cpu::make_cpu_backend(options.threads, options.cpu_isa);
}

}  // namespace bntrain
