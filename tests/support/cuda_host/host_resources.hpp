// What the host hands out in place of a GPU: memory, streams, events, graphs. Tests count it, and let it run
// out.
#pragma once

#include <cstdint>

namespace bntrain::cuda {

struct HostResources {
  std::int64_t live = 0;   ///< handed out and not given back
  std::int64_t left = -1;  ///< so many more until it throws std::runtime_error; negative: no end
};
HostResources& host_resources();

}  // namespace bntrain::cuda
