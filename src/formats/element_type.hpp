// How safetensors files store elements, and what becomes of them here: float32 or int64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/tensor.hpp"

namespace bntrain {

struct DecodedElements {
  decltype(Tensor::values) values;
  bool rounded = false;             ///< an element has another value now
  std::optional<double> too_large;  ///< a finite element that became infinite, or an integer beyond int64
};

struct ElementType {
  std::string_view name;   ///< "F16", the dtype of the header
  std::int64_t bytes = 0;  ///< of one element
  DecodedElements (*decode)(const std::string& bytes) = nullptr;
};

/// nullptr for types that are no weights of a network: F8_E4M3, C64, BOOL.
const ElementType* find_element_type(std::string_view name);
/// "F32, F16, ..."
std::string element_type_names();

}  // namespace bntrain
