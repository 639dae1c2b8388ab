#include "bntrain/tensor.hpp"

namespace bntrain {
namespace {

std::string sizes(const Shape& shape) {
  std::string text = std::to_string(shape.channels);
  if (!shape.flat) text += ", " + std::to_string(shape.height) + ", " + std::to_string(shape.width);
  return text;
}

}  // namespace

std::string to_string(const Shape& shape) {
  return "(" + sizes(shape) + ")";
}

std::string to_string(const Shape& shape, std::int64_t batch) {
  return "(" + std::to_string(batch) + ", " + sizes(shape) + ")";
}

}  // namespace bntrain
