// Numbers as text.
#pragma once

#include <string>

namespace bntrain {

/// The shortest text that reads back as the same number, with an exponent where printf's %g has one: "0.9",
/// "0.0001", "1e-05".
std::string shortest_text(double value);

}  // namespace bntrain
