#include "core/number_text.hpp"

#include <array>
#include <charconv>

namespace bntrain {

std::string shortest_text(double value) {
  std::array<char, 32> text{};
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general);
  return {text.data(), end};
}

}  // namespace bntrain
