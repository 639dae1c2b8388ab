// Reads one item of a network's text from left to right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "layers/layer_type.hpp"

namespace bntrain {

/// The end of a conv or fc that has no bias.
inline constexpr std::string_view no_bias = "nobias";

class ItemReader {
 public:
  ItemReader(std::string_view item, const Complain& complain) : rest_(item), complain_(complain) {}

  bool take(std::string_view word);
  /// A whole number of at least `smallest`; `what` names it in messages.
  std::int64_t number(const char* what, std::int64_t smallest);
  /// A decimal number, where one follows.
  bool take_decimal(double& value);
  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  [[noreturn]] void fail(const std::string& problem) const;

  /// Takes `nobias` where it follows; sets layer.bias and appends to layer.text.
  void take_bias(Layer& layer);

 private:
  std::string_view rest_;
  const Complain& complain_;
};

/// "convOUTxK (...), ...; or a preset alone: ...", for messages.
std::string known_layers();

}  // namespace bntrain
