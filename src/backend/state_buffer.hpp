// The buffers of an executable by their names.
#pragma once

#include "backend/executable.hpp"

namespace bntrain {

/// `memory` has `parameters`, `gradients`, `moments[2]` and `running`, whatever a device makes them of.
template <class Memory>
auto& buffer_of(Memory& memory, StateBuffer which) {
  switch (which) {
    case StateBuffer::parameters:
      return memory.parameters;
    case StateBuffer::gradients:
      return memory.gradients;
    case StateBuffer::first_moment:
      return memory.moments[0];
    case StateBuffer::second_moment:
      return memory.moments[1];
    case StateBuffer::running_statistics:
      break;
  }
  return memory.running;
}

}  // namespace bntrain
