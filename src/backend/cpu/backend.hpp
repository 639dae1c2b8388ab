// The CPU as a backend.
#pragma once

#include <memory>
#include <optional>

#include "backend/cpu/isa.hpp"
#include "bntrain/backend.hpp"

namespace bntrain::cpu {

/// Cores that this process may run on, and whose time it may use: fewer than the machine's under taskset or
/// in a container.
int usable_cores();

/// `threads` 0: a thread for each of them. Without `lanes` batches decide. Throws Error(usage) when the
/// instruction set is not to be had here, or does not have what `conv` wants.
std::unique_ptr<Backend> make_cpu_backend(int threads, CpuIsa isa, ConvMethod conv = ConvMethod::automatic,
                                          std::optional<Lanes> lanes = std::nullopt);

}  // namespace bntrain::cpu
