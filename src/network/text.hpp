// The network's text form, before shapes are known.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/network.hpp"

namespace bntrain {

/// One item of the text: a layer, or a residual block with its branches.
struct TextItem {
  Layer layer;           ///< kind, text and attributes; of a residual block its `add`
  std::string position;  ///< for messages, "3rd layer", "1st layer of the body of the 3rd layer"
  std::string written;   ///< for messages
  std::vector<TextItem> body, shortcut;  ///< of a residual block; an empty shortcut is the identity

  bool is_residual() const { return layer.kind == LayerKind::add; }
};

/// The items of a preset or of a written text, Layer::item set. Throws Error(usage) that names the item.
std::vector<TextItem> parse_text(std::string_view text, std::int64_t classes);

/// The canonical text: no spaces, no default stride, padding or slope.
std::string to_text(const std::vector<TextItem>& items);

/// Takes out every item, in branches too, whose layer `is_unwanted`. Throws Error(usage) where that leaves
/// nothing of a body.
void remove_items(std::vector<TextItem>& items, const std::function<bool(const Layer&)>& is_unwanted);

/// Visits the layer of every item, in branches too.
void for_each_layer(std::vector<TextItem>& items, const std::function<void(Layer&)>& visit);

/// Throws Error(usage): "the 3rd layer, 'conv20x9': <problem>".
[[noreturn]] void throw_layer_error(const TextItem& item, const std::string& problem);

}  // namespace bntrain
