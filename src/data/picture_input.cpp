#include <algorithm>
#include <cmath>
#include <string>

#include "bntrain/error.hpp"
#include "data/picture.hpp"

namespace bntrain {
namespace {

using Plane = std::vector<double>;  // [rows][columns]

/// Every row of the input (`length` long, `value(row, column)`) becomes a column of the result, `target`
/// long: applied twice it resizes.
template <typename Value>
Plane resize_and_transpose(Value value, std::int64_t rows, std::int64_t length, std::int64_t target) {
  Plane out(static_cast<std::size_t>(target * rows));
  for (std::int64_t to = 0; to < target; ++to) {
    // In units of 1 / target of a pixel, so that borders are whole numbers: [first, last).
    const std::int64_t first = to * length, last = first + length;
    for (std::int64_t row = 0; row < rows; ++row) {
      double sum = 0;
      for (std::int64_t from = first / target; from * target < last; ++from) {
        const std::int64_t covered = std::min(last, (from + 1) * target) - std::max(first, from * target);
        sum += value(row, from) * static_cast<double>(covered);
      }
      out[static_cast<std::size_t>(to * rows + row)] = sum / static_cast<double>(length);
    }
  }
  return out;
}

/// Channel `number` of the network's input, resized.
Plane channel(const Picture& picture, std::int64_t number, const Shape& shape) {
  const auto pixel_value = [&](std::int64_t row, std::int64_t column) -> double {
    const std::uint8_t* pixel = &picture.rgb[static_cast<std::size_t>(3 * (row * picture.width + column))];
    return shape.channels == 3 ? pixel[number] : (299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2]) / 1000.0;
  };
  const Plane columns = resize_and_transpose(pixel_value, picture.height, picture.width, shape.width);
  const auto column_value = [&](std::int64_t column, std::int64_t row) {
    return columns[static_cast<std::size_t>(column * picture.height + row)];
  };
  return resize_and_transpose(column_value, shape.width, picture.height, shape.height);
}

void check_fit(const Picture& picture, const Shape& shape, const std::filesystem::path& where) {
  if (shape.channels != 1 && shape.channels != 3) {
    throw Error(ErrorKind::data, where.string() + ": the network takes images " + to_string(shape) +
                                     ", and a picture has 1 or 3 channels");
  }
  const std::int64_t wide = picture.width * shape.height, high = picture.height * shape.width;
  if (10 * std::max(wide, high) <= 11 * std::min(wide, high)) return;
  throw Error(ErrorKind::data, where.string() + ": " + std::to_string(picture.width) + " x " +
                                   std::to_string(picture.height) + " pixels would be distorted to " +
                                   std::to_string(shape.width) + " x " + std::to_string(shape.height) +
                                   ", the network's input; crop or pad it first");
}

}  // namespace

std::vector<std::uint8_t> as_input(const Picture& picture, const Shape& shape, bool invert,
                                   const std::filesystem::path& where) {
  check_fit(picture, shape, where);
  std::vector<std::uint8_t> result;
  for (std::int64_t c = 0; c < shape.channels; ++c)
    for (const double value : channel(picture, c, shape))
      result.push_back(static_cast<std::uint8_t>(std::lround(invert ? 255 - value : value)));
  return result;
}

}  // namespace bntrain
