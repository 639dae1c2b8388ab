#include "network/text.hpp"

#include <algorithm>
#include <charconv>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

constexpr std::int64_t max_layers = 10'000;
// Sizes above this are typing errors; it also keeps every sum of two of them far from overflow.
constexpr std::int64_t max_number = 1 << 24;
constexpr std::size_t max_quoted = 60;

const char* const known_layers =
    "convOUTxK (with sSTRIDE and pPAD when wanted: conv20x5s2p1), bn, relu, maxpoolK, flatten, fcOUT; or a "
    "preset "
    "alone: lenet-bn, mlp-bn";

std::string preset(std::string_view name, std::int64_t classes) {
  const std::string last = "fc" + std::to_string(classes);
  if (name == "lenet-bn") return "conv20x5,bn,relu,maxpool2,conv50x3,bn,relu,maxpool2,fc128,relu," + last;
  if (name == "mlp-bn") return "fc256,bn,relu,fc128,bn,relu," + last;
  return std::string(name);
}

/// In quotes, shortened where somebody passed a whole file.
std::string quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, max_quoted)) + (text.size() > max_quoted ? "...'" : "'");
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// Reads one item from left to right.
class ItemReader {
 public:
  explicit ItemReader(TextLayer& layer) : layer_(layer), rest_(layer.text) {}

  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::int64_t number(const char* what, std::int64_t smallest) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    // from_chars would take a minus sign
    if (rest_.starts_with('-') || error == std::errc::invalid_argument) {
      throw_layer_error(layer_, std::string(what) + " is missing; layers are " + known_layers);
    }
    if (error == std::errc::result_out_of_range || value < smallest || value > max_number) {
      throw_layer_error(layer_, std::string(what) + " must be " + std::to_string(smallest) + " to " +
                                    std::to_string(max_number));
    }
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  void end() const {
    if (!rest_.empty()) {
      throw_layer_error(layer_, quoted(rest_) + " is not understood; layers are " + known_layers);
    }
  }

 private:
  const TextLayer& layer_;
  std::string_view rest_;
};

TextLayer parse_item(std::string_view item, std::int64_t position) {
  TextLayer layer;
  layer.text = item;
  layer.position = position;
  if (item.empty()) throw_layer_error(layer, std::string("is empty; layers are ") + known_layers);

  ItemReader reader(layer);
  std::string canonical(item);
  if (reader.take("conv")) {
    layer.kind = LayerKind::conv;
    layer.outputs = reader.number("the number of output channels", 1);
    if (!reader.take("x"))
      throw_layer_error(layer, std::string("xK, the kernel, is missing; layers are ") + known_layers);
    layer.kernel = reader.number("the kernel", 1);
    if (reader.take("s")) layer.stride = reader.number("the stride", 1);
    if (reader.take("p")) layer.padding = reader.number("the padding", 0);
    if (layer.padding >= layer.kernel) {
      throw_layer_error(layer, "the padding must be smaller than the kernel " + std::to_string(layer.kernel));
    }
    canonical = "conv" + std::to_string(layer.outputs) + "x" + std::to_string(layer.kernel);
    if (layer.stride != 1) canonical += "s" + std::to_string(layer.stride);
    if (layer.padding != 0) canonical += "p" + std::to_string(layer.padding);
  } else if (reader.take("fc")) {
    layer.kind = LayerKind::linear;
    layer.outputs = reader.number("the number of outputs", 1);
    canonical = "fc" + std::to_string(layer.outputs);
  } else if (reader.take("maxpool")) {
    layer.kind = LayerKind::max_pool;
    layer.kernel = layer.stride = reader.number("the window", 2);
    canonical = "maxpool" + std::to_string(layer.kernel);
  } else if (reader.take("bn")) {
    layer.kind = LayerKind::batch_norm;
  } else if (reader.take("relu")) {
    layer.kind = LayerKind::relu;
  } else if (reader.take("flatten")) {
    layer.kind = LayerKind::flatten;
  }
  reader.end();
  layer.text = canonical;
  return layer;
}

}  // namespace

void throw_layer_error(const TextLayer& layer, const std::string& problem) {
  throw Error(ErrorKind::usage,
              "layer " + std::to_string(layer.position) + " " + quoted(layer.text) + ": " + problem);
}

std::vector<TextLayer> parse_text(std::string_view text, std::int64_t classes) {
  const std::string expanded = preset(trim(text), classes);
  const std::int64_t items = std::count(expanded.begin(), expanded.end(), ',') + 1;
  if (items > max_layers) {
    throw Error(ErrorKind::usage, "the network has " + std::to_string(items) + " layers; at most " +
                                      std::to_string(max_layers) + " are allowed");
  }
  std::vector<TextLayer> layers;
  std::string_view rest = expanded;
  for (std::int64_t position = 1; position <= items; ++position) {
    const std::size_t comma = rest.find(',');
    layers.push_back(parse_item(trim(rest.substr(0, comma)), position));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return layers;
}

}  // namespace bntrain
