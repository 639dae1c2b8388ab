// The checksum of Castagnoli.
#pragma once

#include <cstdint>
#include <string_view>

namespace bntrain {

/// CRC-32C, RFC 3720 appendix B.4: polynomial 0x1edc6f41, reflected, begun with and inverted by all ones.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace bntrain
