#include "backend/cpu/isa.hpp"

#include <algorithm>

#include "bntrain/error.hpp"

namespace bntrain {

std::vector<CpuIsa> available_cpu_isas() {
  std::vector<CpuIsa> isas{CpuIsa::v2};
#if defined(__x86_64__) && !defined(__clang_analyzer__)  // clang-tidy 14 does not know these names
  if (__builtin_cpu_supports("x86-64-v3")) isas.push_back(CpuIsa::v3);
  if (__builtin_cpu_supports("x86-64-v4")) isas.push_back(CpuIsa::v4);
#endif
  return isas;
}

std::string to_string(CpuIsa isa) {
  return name_of(isa, cpu::isa_names);
}

namespace cpu {

const Kernels& select_kernels(CpuIsa isa) {
  const std::vector<CpuIsa> isas = available_cpu_isas();
  if (isa == CpuIsa::automatic) isa = isas.back();
  if (std::find(isas.begin(), isas.end(), isa) == isas.end()) {
    std::string list;
    for (const CpuIsa each : isas) list += " " + to_string(each);
    throw Error(ErrorKind::usage, "this processor cannot run the instruction set " + to_string(isa) +
                                      "; it can run:" + list + " (or auto, the best of them)");
  }
#ifdef __x86_64__
  if (isa == CpuIsa::v4) return v4::kernels();
  if (isa == CpuIsa::v3) return v3::kernels();
#endif
  return v2::kernels();
}

}  // namespace cpu
}  // namespace bntrain
