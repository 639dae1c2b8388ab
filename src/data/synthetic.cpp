#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/dataset.hpp"
#include "bntrain/error.hpp"
#include "core/machine_limits.hpp"
#include "core/number_text.hpp"
#include "core/random.hpp"
#include "data/limits.hpp"

namespace bntrain {
namespace {

constexpr std::int64_t max_classes = 256;  // a label is a byte

[[noreturn]] void fail(const std::string& problem) {
  throw Error(ErrorKind::usage, "synthetic data: " + problem);
}

[[noreturn]] void fail(std::string_view key, const std::string& value, const std::string& allowed) {
  fail(std::string(key) + "=" + value + ": expected " + allowed);
}

std::string range(std::int64_t low, std::int64_t high) {
  return "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

template <typename Number>
Number parse_value(std::string_view key, std::string_view text, const std::string& allowed) {
  Number number{};
  if (!parse_number(text, number)) fail(key, std::string(text), allowed);
  return number;
}

std::string shape_text(const Shape& shape) {
  return std::to_string(shape.channels) + "x" + std::to_string(shape.height) + "x" +
         std::to_string(shape.width);
}

std::string allowed_shape() {
  return "CHANNELSxHEIGHTxWIDTH, each from 1 to " + std::to_string(max_side) + ", such as 1x28x28";
}

Shape parse_shape(std::string_view text) {
  std::array<std::int64_t, 3> sides{};
  std::string_view rest = text;
  for (std::size_t i = 0; i < sides.size(); ++i) {
    const std::size_t end = i + 1 < sides.size() ? rest.find('x') : rest.size();
    if (end == std::string_view::npos || !parse_number(rest.substr(0, end), sides[i])) {
      fail("shape", std::string(text), allowed_shape());
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {sides[0], sides[1], sides[2], false};
}

void check_range(std::string_view key, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) fail(key, std::to_string(value), range(low, high));
}

void check_spec(const SyntheticSpec& spec) {
  for (const std::int64_t side : {spec.shape.channels, spec.shape.height, spec.shape.width}) {
    if (side < 1 || side > max_side) fail("shape", shape_text(spec.shape), allowed_shape());
  }
  check_range("classes", spec.classes, 2, max_classes);
  check_range("train", spec.train, 1, max_images);
  check_range("test", spec.test, 1, max_images);
  if (!(spec.noise >= 0 && spec.noise <= 1)) fail("noise", shortest_text(spec.noise), "a number from 0 to 1");
  const std::int64_t bytes = (spec.train + spec.test) * (spec.shape.size() + 1);
  if (bytes > max_set_bytes) {
    fail("shape=" + shape_text(spec.shape) + ", train=" + std::to_string(spec.train) +
         ", test=" + std::to_string(spec.test) + " are " + std::to_string(bytes) + " bytes; at most " +
         std::to_string(max_set_bytes) + " are allowed, so make one of them smaller");
  }
}

std::string describe(const SyntheticSpec& spec) {
  return "synthetic:shape=" + shape_text(spec.shape) + ",classes=" + std::to_string(spec.classes) +
         ",train=" + std::to_string(spec.train) + ",test=" + std::to_string(spec.test) +
         ",seed=" + std::to_string(spec.seed) + ",noise=" + shortest_text(spec.noise);
}

std::vector<std::uint8_t> random_bytes(std::uint64_t seed, std::uint64_t ordinal, std::int64_t count) {
  RandomStream stream(seed, RandomPurpose::synthetic, ordinal);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count));
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word = i % 4 == 0 ? stream.next_u32() : word >> 8;
    bytes[i] = static_cast<std::uint8_t>(word);
  }
  return bytes;
}

// Streams of random numbers: 0 to 255 are the patterns of the classes, above them training and test images
// take turns, so that no image changes with the number of images or classes.
enum class Part : std::uint64_t { train = 0, test = 1 };

std::uint64_t image_stream(Part part, std::int64_t image) {
  return max_classes + 2 * static_cast<std::uint64_t>(image) + static_cast<std::uint64_t>(part);
}

/// pixel = round((1 - noise) * pattern + noise * uniform byte), in 16-bit fixed point: floating point would
/// let the compiler choose between a * b + c and one FMA, and so change the bytes.
ImageSet make_images(const SyntheticSpec& spec, Part part, std::int64_t count,
                     const std::vector<std::vector<std::uint8_t>>& patterns) {
  const auto noise = static_cast<std::uint32_t>(std::lround(spec.noise * 65536));
  ImageSet set{spec.shape, count, {}, {}};
  set.pixels.reserve(static_cast<std::size_t>(count * spec.shape.size()));
  set.labels.reserve(static_cast<std::size_t>(count));
  for (std::int64_t image = 0; image < count; ++image) {
    // In turn, so that batches hold all classes also without shuffling.
    const std::int64_t label = image % spec.classes;
    const std::vector<std::uint8_t>& pattern = patterns[static_cast<std::size_t>(label)];
    const std::vector<std::uint8_t> random =
        random_bytes(spec.seed, image_stream(part, image), spec.shape.size());
    for (std::size_t i = 0; i < random.size(); ++i) {
      const std::uint32_t mixed = (65536 - noise) * pattern[i] + noise * random[i];
      set.pixels.push_back(static_cast<std::uint8_t>((mixed + 32768) >> 16));
    }
    set.labels.push_back(static_cast<std::uint8_t>(label));
  }
  return set;
}

}  // namespace

SyntheticSpec parse_synthetic(const std::string& description) {
  SyntheticSpec spec;
  std::set<std::string, std::less<>> seen;
  std::string_view rest = description;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const std::size_t equals = item.find('=');
    const std::string key(item.substr(0, equals));
    const std::string_view value = equals == std::string_view::npos ? "" : item.substr(equals + 1);
    if (key == "shape") {
      spec.shape = parse_shape(value);
    } else if (key == "classes") {
      spec.classes = parse_value<std::int64_t>(key, value, range(2, max_classes));
    } else if (key == "train") {
      spec.train = parse_value<std::int64_t>(key, value, range(1, max_images));
    } else if (key == "test") {
      spec.test = parse_value<std::int64_t>(key, value, range(1, max_images));
    } else if (key == "seed") {
      spec.seed = parse_value<std::uint64_t>(
          key, value,
          "a whole number from 0 to " + std::to_string(std::numeric_limits<std::uint64_t>::max()));
    } else if (key == "noise") {
      spec.noise = parse_value<double>(key, value, "a number from 0 to 1");
    } else {
      fail("\"" + std::string(item) +
           "\": expected KEY=VALUE with one of the keys shape, classes, train, test, seed, noise");
    }
    if (!seen.insert(key).second) fail(key + " is given twice; give it once");
    if (comma == rest.size() - 1) fail("nothing follows the last comma");
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  check_spec(spec);
  return spec;
}

Dataset make_synthetic(const SyntheticSpec& spec) {
  check_spec(spec);
  expect_memory((spec.train + spec.test) * spec.shape.size(), "data", "the data set " + describe(spec),
                "fewer images need less");
  std::vector<std::vector<std::uint8_t>> patterns;
  for (std::int64_t label = 0; label < spec.classes; ++label) {
    patterns.push_back(random_bytes(spec.seed, static_cast<std::uint64_t>(label), spec.shape.size()));
  }
  Dataset dataset;
  dataset.name = "synthetic";
  dataset.source = describe(spec);
  dataset.classes = spec.classes;
  dataset.train = make_images(spec, Part::train, spec.train, patterns);
  dataset.test = make_images(spec, Part::test, spec.test, patterns);
  return dataset;
}

}  // namespace bntrain
