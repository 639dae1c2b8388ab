// Races of the threads of one block on global memory, through load(), store() and the others. Blocks among
// themselves are ordered by atomics and messages, which no stamp shows: they are not checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "kernels/simt/host/shared_array.hpp"

namespace bntrain::simt_host {

class GlobalRaces {
 public:
  /// Checks and records what the running thread does.
  void access(Access access, const void* p, std::size_t bytes, const Where& where);
  void clear() { cells_.clear(); }

 private:
  /// By address: every 4 bytes, or the first byte of an access that is smaller.
  std::unordered_map<std::uintptr_t, Cell> cells_;
};

}  // namespace bntrain::simt_host
