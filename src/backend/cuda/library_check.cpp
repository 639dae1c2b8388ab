#include "backend/cuda/library_check.hpp"

#include <array>
#include <string>

namespace bntrain {
namespace {

std::string place(const char* call, const char* file, int line) {
  return std::string(" from ") + call + ", " + file + ":" + std::to_string(line);
}

}  // namespace

void throw_cuda_error(cudnnStatus_t status, const char* call, const char* file, int line) {
  std::array<char, 1024> detail{};
  cudnnGetLastErrorString(detail.data(), detail.size());
  std::string reason = cudnnGetErrorString(status);
  if (detail[0] != '\0') reason += std::string(" (") + detail.data() + ")";
  throw CudaError(reason + place(call, file, line));
}

void throw_cuda_error(cublasStatus_t status, const char* call, const char* file, int line) {
  throw CudaError(std::string(cublasLtGetStatusName(status)) + " (" + cublasLtGetStatusString(status) + ")" +
                  place(call, file, line));
}

}  // namespace bntrain
