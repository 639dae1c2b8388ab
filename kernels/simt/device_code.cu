// Whether the library was compiled for the device: queries the attributes of a kernel compiled like all
// others.
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

SIMT_KERNEL(32) empty_kernel() {}

}  // namespace

bool have_device_code() {
  return has_device_code(address(empty_kernel));
}

}  // namespace bntrain::kernels
