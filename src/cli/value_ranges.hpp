// What numbers an option takes.
#pragma once

#include <cstdint>

namespace bntrain::cli {

/// Whole numbers from `least` to `most`, both included.
struct IntegerRange {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

/// Finite numbers between the bounds; an open bound is excluded.
struct NumberRange {
  double least = 0;
  double most = 0;
  bool open_least = false;
  bool open_most = false;
};

}  // namespace bntrain::cli
