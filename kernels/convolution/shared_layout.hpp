// How the direct convolutions lay out their tiles in shared memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

struct ConvolutionShape;

/// Throws std::invalid_argument unless has_direct_convolution().
void require_direct_convolution(const ConvolutionShape& shape, const char* kernel);

/// Shared memory of a block: what every device has without a function attribute.
inline constexpr int kSharedFloats = 47 * 1024 / static_cast<int>(sizeof(float));

SIMT_HOST_DEVICE constexpr int parts_of(std::int64_t whole, std::int64_t part) {
  return static_cast<int>((whole + part - 1) / part);
}
SIMT_HOST_DEVICE constexpr int round_up(int size, int multiple) {
  return parts_of(size, multiple) * multiple;
}

/// Division by a number that the host knows, by a multiplication: a division by a variable takes twenty
/// instructions. Exact for dividend * divisor < 2^31, which indices of shared memory keep to.
class Divider {
 public:
  explicit Divider(int divisor)
      : divisor_(static_cast<unsigned>(divisor)), factor_(((1u << 31) + divisor_ - 1) / divisor_) {}

  SIMT_HOST_DEVICE int quotient(int dividend) const {
    return static_cast<int>(static_cast<std::uint64_t>(static_cast<unsigned>(dividend)) * factor_ >> 31);
  }
  SIMT_HOST_DEVICE int remainder(int dividend, int quotient) const {
    return dividend - quotient * static_cast<int>(divisor_);
  }

 private:
  unsigned divisor_, factor_;
};

/// How many accesses the hardware makes of one 16-byte access of a warp to shared memory, `address(lane)` in
/// floats: eight lanes at a time, one for each different address in the same four banks.
template <typename Address>
int wavefronts(const Address& address) {
  constexpr int kLanes = 8, kBankGroups = 8;
  int total = 0;
  for (int first = 0; first < simt::kWarpSize; first += kLanes) {
    int addresses[kLanes], different = 0, in_group[kBankGroups] = {}, most = 0;
    for (int lane = first; lane < first + kLanes; ++lane) {
      const int here = address(lane);
      if (std::find(addresses, addresses + different, here) != addresses + different) continue;
      addresses[different++] = here;
      most = std::max(most, ++in_group[here / 4 % kBankGroups]);
    }
    total += most;
  }
  return total;
}

/// The size from `least` on, a multiple of 4, with the fewest wavefronts(size).
template <typename Wavefronts>
int best_pitch(int least, const Wavefronts& wavefronts_of) {
  int best = round_up(least, 4);
  for (int pitch = best + 4; pitch < round_up(least, 4) + 32; pitch += 4)
    if (wavefronts_of(pitch) < wavefronts_of(best)) best = pitch;
  return best;
}

}  // namespace bntrain::kernels
