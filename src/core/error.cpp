#include "bntrain/error.hpp"

namespace bntrain {

void throw_broken_precondition(const char* condition, const char* file, int line) {
  throw std::logic_error(std::string("broken precondition: ") + condition + " (" + file + ":" +
                         std::to_string(line) + ")");
}

}  // namespace bntrain
