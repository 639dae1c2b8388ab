#include "network/text.hpp"

#include <algorithm>

#include "bntrain/error.hpp"
#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

constexpr std::int64_t max_items = 10'000;
constexpr int max_depth = 50;  // of residual blocks in residual blocks
constexpr std::size_t max_quoted = 60;
constexpr std::string_view residual_begin = "res(";

/// A network under a name, but for its last layer.
struct Preset {
  std::string_view name, hidden_layers;
};

constexpr Preset presets[] = {
    // The 2017 tutorial's.
    {"lenet-bn", "conv20x5,bn,relu,maxpool2,conv50x3,bn,relu,maxpool2,fc128,relu"},
    {"mlp-bn", "fc256,bn,relu,fc128,bn,relu"},
    // "Dive into Deep Learning", d2l.ai, section "Batch Normalization": LeNet with a batch norm before every
    // sigmoid. Its convolutions have no padding (the first fully connected layer takes 16 * 4 * 4 = 256
    // inputs), unlike that of the book's plain LeNet, and its pooling takes averages.
    {"d2l-lenet",
     "conv6x5,bn,sigmoid,avgpool2,conv16x5,bn,sigmoid,avgpool2,fc120,bn,sigmoid,fc84,bn,sigmoid"},
    // Ioffe and Szegedy 2015, arXiv 1502.03167, section 4.1 and figure 1: three hidden layers of 100
    // sigmoids.
    {"mlp3-sigmoid", "fc100,bn,sigmoid,fc100,bn,sigmoid,fc100,bn,sigmoid"},
};

std::string expand_preset(std::string_view text, std::int64_t classes) {
  for (const Preset& preset : presets)
    if (text == preset.name) return std::string(preset.hidden_layers) + ",fc" + std::to_string(classes);
  return std::string(text);
}

/// In quotes, shortened where somebody passed a whole file.
std::string quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, max_quoted)) + (text.size() > max_quoted ? "...'" : "'");
}

/// "1st", "2nd": names of layers are plain numbers from 0, and count a flatten that is not written.
std::string ordinal(std::size_t number) {
  const std::size_t ones = number / 10 % 10 == 1 ? 0 : number % 10;
  return std::to_string(number) + (ones == 1 ? "st" : ones == 2 ? "nd" : ones == 3 ? "rd" : "th");
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// The parts between separators that stand in no parenthesis.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t first = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += (text[i] == '(') - (text[i] == ')');
    if (text[i] != separator || depth != 0) continue;
    parts.push_back(trim(text.substr(first, i - first)));
    first = i + 1;
  }
  parts.push_back(trim(text.substr(first)));
  return parts;
}

class TextParser {
 public:
  /// `where`: " of the body of the 3rd layer", or nothing.
  std::vector<TextItem> sequence(std::string_view text, const std::string& where, int depth) {
    std::vector<TextItem> items;
    for (const std::string_view part : split(text, ',')) {
      TextItem item;
      item.position = ordinal(items.size() + 1) + " layer" + where;
      item.written = part;
      if (part.starts_with(residual_begin))
        parse_residual(part, item, depth);
      else
        parse_layer(part, item);
      item.layer.item = count_++;
      items.push_back(std::move(item));
    }
    return items;
  }

 private:
  void parse_layer(std::string_view part, TextItem& item) {
    const Complain complain = [&](const std::string& problem) { throw_layer_error(item, problem); };
    if (part.empty()) complain("is empty; layers are " + known_layers());
    for (const LayerType* type : layer_types()) {
      ItemReader reader(part, complain);
      item.layer = Layer{.kind = type->kind};
      if (!type->parse(reader, item.layer)) continue;
      if (!reader.empty())
        complain(quoted(reader.rest()) + " is not understood; layers are " + known_layers());
      return;
    }
    complain(quoted(part) + " is not understood; layers are " + known_layers());
  }

  void parse_residual(std::string_view part, TextItem& item, int depth) {
    item.layer = Layer{.kind = LayerKind::add, .text = "add"};
    const std::string_view inner = part.substr(residual_begin.size());
    if (!inner.ends_with(')')) throw_layer_error(item, "a closing parenthesis must end the residual block");
    if (depth == max_depth)
      throw_layer_error(item, "at most " + std::to_string(max_depth) + " residual blocks may be nested");
    const std::vector<std::string_view> branches = split(inner.substr(0, inner.size() - 1), '|');
    if (branches.size() > 2)
      throw_layer_error(item, "has " + std::to_string(branches.size()) +
                                  " branches; a residual block is res(BODY) or res(BODY|SHORTCUT)");
    item.body = sequence(branches[0], " of the body of the " + item.position, depth + 1);
    if (branches.size() == 2)
      item.shortcut = sequence(branches[1], " of the shortcut of the " + item.position, depth + 1);
  }

  int count_ = 0;
};

void expect_balanced(std::string_view text) {
  int depth = 0;
  for (const char letter : text) {
    depth += (letter == '(') - (letter == ')');
    if (depth < 0) break;
  }
  if (depth == 0) return;
  throw Error(ErrorKind::usage, "network",
              "the network " + quoted(text) + " has " +
                  (depth < 0 ? "a ')' without its '('" : "a '(' without its ')'") +
                  "; residual blocks are res(BODY) and res(BODY|SHORTCUT)");
}

}  // namespace

std::string preset_names() {
  std::string names;
  for (const Preset& preset : presets) names += (names.empty() ? "" : ", ") + std::string(preset.name);
  return names;
}

void throw_layer_error(const TextItem& item, const std::string& problem) {
  throw Error(ErrorKind::usage, "network",
              "the " + item.position + ", " + quoted(item.written) + ": " + problem);
}

std::vector<TextItem> parse_text(std::string_view text, std::int64_t classes) {
  const std::string expanded = expand_preset(trim(text), classes);
  const auto items =
      std::ranges::count_if(expanded, [](char letter) { return letter == ',' || letter == '('; }) + 1;
  if (items > max_items) {
    throw Error(ErrorKind::usage, "network",
                "the network has " + std::to_string(items) + " layers; at most " + std::to_string(max_items) +
                    " are allowed");
  }
  expect_balanced(expanded);
  return TextParser().sequence(expanded, "", 0);
}

std::string to_text(const std::vector<TextItem>& items) {
  std::string text;
  for (const TextItem& item : items) {
    if (!text.empty()) text += ",";
    if (!item.is_residual()) {
      text += item.layer.text;
      continue;
    }
    text += std::string(residual_begin) + to_text(item.body);
    if (!item.shortcut.empty()) text += "|" + to_text(item.shortcut);
    text += ")";
  }
  return text;
}

void for_each_layer(std::vector<TextItem>& items, const std::function<void(Layer&)>& visit) {
  for (TextItem& item : items) {
    visit(item.layer);
    for_each_layer(item.body, visit);
    for_each_layer(item.shortcut, visit);
  }
}

void remove_items(std::vector<TextItem>& items, const std::function<bool(const Layer&)>& is_unwanted) {
  std::erase_if(items, [&](const TextItem& item) { return is_unwanted(item.layer); });
  for (TextItem& item : items) {
    if (!item.is_residual()) continue;
    remove_items(item.body, is_unwanted);
    remove_items(item.shortcut, is_unwanted);
    if (item.body.empty()) throw_layer_error(item, "has no layer left in its body without its bn");
  }
}

}  // namespace bntrain
