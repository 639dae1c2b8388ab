// Choice of the kernels for this processor.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "bntrain/backend.hpp"
#include "core/named.hpp"

namespace bntrain::cpu {

inline constexpr Named<CpuIsa> isa_names[] = {
    {"auto", CpuIsa::automatic}, {"v2", CpuIsa::v2}, {"v3", CpuIsa::v3}, {"v4", CpuIsa::v4}};

/// The kernels of that instruction set, `automatic` being the best that this processor runs. Throws
/// Error(usage) that lists the available ones when it cannot run them.
const Kernels& select_kernels(CpuIsa isa);

}  // namespace bntrain::cpu
