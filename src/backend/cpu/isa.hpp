// Choice of the kernels for this processor.
#pragma once

#include <string>

#include "backend/cpu/kernels.hpp"
#include "bntrain/backend.hpp"
#include "core/named.hpp"

namespace bntrain::cpu {

inline constexpr Named<CpuIsa> isa_names[] = {
    {"auto", CpuIsa::automatic}, {"v2", CpuIsa::v2}, {"v3", CpuIsa::v3}, {"v4", CpuIsa::v4}};

/// What the lanes of a vector hold.
enum class Lanes { images, one_image };

/// The kernels of that instruction set, `automatic` being the best that this processor runs. Throws
/// Error(usage) that lists the available ones when it cannot run them.
const Kernels& select_kernels(CpuIsa isa, Lanes lanes = Lanes::images);

/// For people: "x86-64-v4 (16 lanes)".
std::string describe(const Kernels& kernels);

}  // namespace bntrain::cpu
