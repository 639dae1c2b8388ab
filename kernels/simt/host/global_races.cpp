#include "kernels/simt/host/global_races.hpp"

#include "kernels/simt/host/launch_state.hpp"

namespace bntrain::simt_host {

void GlobalRaces::access(Access access, const void* p, std::size_t bytes, const Where& where) {
  const auto first = reinterpret_cast<std::uintptr_t>(p);
  for (std::uintptr_t address = first; address < first + bytes; address += 4) {
    Cell& cell = cells_[address];
    if (const std::string race = find_race(cell, access); !race.empty())
      fail("race: global memory, byte " + std::to_string(address - first) + " of this access, " + race,
           where);
    record_access(cell, access);
  }
}

}  // namespace bntrain::simt_host
