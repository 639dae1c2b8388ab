// The memory that kernels may be handed, in place of a GPU's. The executor refuses a launch whose arguments
// point to other memory of the host, and an access outside of an allocation ends the kernel with an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bntrain::simt_host {

/// 256-byte aligned as cudaMalloc()'s; the contents are not defined. Throws std::bad_alloc.
void* allocate_device(std::size_t bytes);
/// Null is ignored. The memory is not accessible any more.
void release_device(void* memory) noexcept;

/// Why a kernel may not access the bytes: "12 bytes past the end of an allocation of 400 bytes"; "" where it
/// may.
std::string device_memory_fault(const void* p, std::size_t bytes);
/// Why a kernel may not have this argument, some of whose words may be pointers; "" where it may.
std::string argument_fault(const void* argument, std::size_t bytes);

}  // namespace bntrain::simt_host
