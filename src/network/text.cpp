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

/// A network under a name, but for its last layer.
struct Preset {
  std::string_view name, hidden_layers;
};

constexpr Preset presets[] = {
    // The 2017 tutorial's.
    {"lenet-bn", "conv20x5,bn,relu,maxpool2,conv50x3,bn,relu,maxpool2,fc128,relu"},
    {"mlp-bn", "fc256,bn,relu,fc128,bn,relu"},
    // "Dive into Deep Learning", d2l.ai, section "Batch Normalization": LeNet with a batch norm in front of
    // every sigmoid. Its convolutions have no padding (the first fully connected layer takes 16 * 4 * 4 =
    // 256 inputs), unlike that of the book's plain LeNet, and its pooling takes averages.
    {"d2l-lenet",
     "conv6x5,bn,sigmoid,avgpool2,conv16x5,bn,sigmoid,avgpool2,fc120,bn,sigmoid,fc84,bn,sigmoid"},
    // Ioffe and Szegedy 2015, arXiv 1502.03167, section 4.1 and figure 1: three hidden layers of 100
    // sigmoids.
    {"mlp3-sigmoid", "fc100,bn,sigmoid,fc100,bn,sigmoid,fc100,bn,sigmoid"},
};

std::string known_layers() {
  return "convOUTxK (with sSTRIDE and pPAD when wanted: conv20x5s2p1), fcOUT (both with nobias behind them "
         "when they have none), bn, relu, sigmoid, maxpoolK, avgpoolK, flatten; or a preset alone: " +
         preset_names();
}

std::string expand_preset(std::string_view text, std::int64_t classes) {
  for (const Preset& preset : presets)
    if (text == preset.name) return std::string(preset.hidden_layers) + ",fc" + std::to_string(classes);
  return std::string(text);
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
      throw_layer_error(layer_, std::string(what) + " is missing; layers are " + known_layers());
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
      throw_layer_error(layer_, quoted(rest_) + " is not understood; layers are " + known_layers());
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
  if (item.empty()) throw_layer_error(layer, "is empty; layers are " + known_layers());

  ItemReader reader(layer);
  std::string canonical(item);
  if (reader.take("conv")) {
    layer.kind = LayerKind::conv;
    layer.outputs = reader.number("the number of output channels", 1);
    if (!reader.take("x"))
      throw_layer_error(layer, "xK, the kernel, is missing; layers are " + known_layers());
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
  } else if (const bool maximum = reader.take("maxpool"); maximum || reader.take("avgpool")) {
    layer.kind = maximum ? LayerKind::max_pool : LayerKind::average_pool;
    layer.kernel = layer.stride = reader.number("the window", 2);
    canonical = (maximum ? "maxpool" : "avgpool") + std::to_string(layer.kernel);
  } else if (reader.take("bn")) {
    layer.kind = LayerKind::batch_norm;
  } else if (reader.take("relu")) {
    layer.kind = LayerKind::relu;
  } else if (reader.take("sigmoid")) {
    layer.kind = LayerKind::sigmoid;
  } else if (reader.take("flatten")) {
    layer.kind = LayerKind::flatten;
  }
  if (layer.kind == LayerKind::conv || layer.kind == LayerKind::linear) {
    layer.bias = !reader.take(no_bias);
    if (!layer.bias) canonical += no_bias;
  }
  reader.end();
  layer.text = canonical;
  return layer;
}

}  // namespace

std::string preset_names() {
  std::string names;
  for (const Preset& preset : presets) names += (names.empty() ? "" : ", ") + std::string(preset.name);
  return names;
}

void throw_layer_error(const TextLayer& layer, const std::string& problem) {
  throw Error(ErrorKind::usage,
              "layer " + std::to_string(layer.position) + " " + quoted(layer.text) + ": " + problem);
}

std::vector<TextLayer> parse_text(std::string_view text, std::int64_t classes) {
  const std::string expanded = expand_preset(trim(text), classes);
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
