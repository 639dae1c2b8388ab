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

const Kernels& select_kernels(CpuIsa isa, Lanes lanes) {
  const std::vector<CpuIsa> isas = available_cpu_isas();
  if (isa == CpuIsa::automatic) isa = isas.back();
  if (std::find(isas.begin(), isas.end(), isa) == isas.end()) {
    std::string list;
    for (const CpuIsa each : isas) list += " " + to_string(each);
    throw Error(ErrorKind::usage, "this processor cannot run the instruction set " + to_string(isa) +
                                      "; it can run:" + list + " (or auto, the best of them)");
  }
  const bool images = lanes == Lanes::images;
#ifdef __x86_64__
  if (isa == CpuIsa::v4) return images ? v4::kernels() : v4::image_kernels();
  if (isa == CpuIsa::v3) return images ? v3::kernels() : v3::image_kernels();
#endif
  return images ? v2::kernels() : v2::image_kernels();
}

std::string describe(const Kernels& kernels) {
  return kernels.name +
         (kernels.lanes == 1 ? " (one image a group)" : " (" + std::to_string(kernels.lanes) + " lanes)");
}

}  // namespace cpu
}  // namespace bntrain
