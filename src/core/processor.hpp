// What the machine calls itself.
#pragma once

#include <string>

namespace bntrain {

/// The processor's name from /proc/cpuinfo, "unknown" where it has none.
std::string processor_name();

}  // namespace bntrain
