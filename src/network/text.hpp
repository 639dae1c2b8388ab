// The network's text form, before shapes are known.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bntrain/network.hpp"

namespace bntrain {

/// One item of the text. `position` counts items from 1, as error messages do.
struct TextLayer {
  LayerKind kind = LayerKind::relu;
  std::string text;  ///< canonical spelling: no spaces, no default stride or padding
  std::int64_t position = 0;
  std::int64_t outputs = 0;  ///< conv, fc
  std::int64_t kernel = 1;   ///< conv, maxpool, avgpool
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  bool bias = true;  ///< conv, fc
};

/// The end of a conv or fc that has no bias.
inline constexpr std::string_view no_bias = "nobias";

/// The layers of a preset or of a written text. Throws Error(usage) that names the item.
std::vector<TextLayer> parse_text(std::string_view text, std::int64_t classes);

/// Throws Error(usage): "layer 3 'conv20x9': <problem>".
[[noreturn]] void throw_layer_error(const TextLayer& layer, const std::string& problem);

}  // namespace bntrain
