// CLI11's classes by name, for who only passes them on: its header takes longer to compile than most files
// here.
#pragma once

namespace CLI {
class App;
class Option;
}  // namespace CLI
