// The tables of Winograd's algorithm, for both sizes of tiles.
#include "backend/cpu/kernels/entry_points.hpp"
#include "backend/cpu/kernels/winograd_forward.hpp"
#include "backend/cpu/kernels/winograd_weights.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {
namespace winograd {

template <class Tile>
static std::int64_t scratch_floats(const ConvShape& s) {
  const std::int64_t forward = forward_scratch_floats<Tile>(s), weights = weight_scratch_floats<Tile>(s);
  return forward > weights ? forward : weights;
}

template <class Tile>
static constexpr ConvAlgorithm table(const char* name) {
  return {name,
          packed_floats<Tile>,
          pack<Tile>,
          backward_packed_floats<Tile>,
          backward_pack<Tile>,
          gradient_layout,
          scratch_floats<Tile>,
          forward<Tile>,
          backward_input<Tile>,
          partial_floats<Tile>,
          backward_weights<Tile>,
          merge<Tile>};
}

}  // namespace winograd

constexpr ConvAlgorithm winograd2 = winograd::table<winograd::Tile2>("Winograd 2x2");
constexpr ConvAlgorithm winograd4 = winograd::table<winograd::Tile4>("Winograd 4x4");

}  // namespace bntrain::cpu::BNTRAIN_ISA
