#include "core/first_few.hpp"

#include <cstddef>

namespace bntrain {

std::string first_few(const std::vector<std::string>& texts, const std::string& separator) {
  constexpr std::size_t few = 4;
  std::string list;
  for (std::size_t i = 0; i < texts.size() && i < few; ++i) list += (i > 0 ? separator : "") + texts[i];
  if (texts.size() > few) list += " and " + std::to_string(texts.size() - few) + " more";
  return list;
}

}  // namespace bntrain
