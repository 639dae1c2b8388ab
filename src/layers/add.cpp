// The end of a residual block: the sum of its two branches. The block itself is read by network/text.cpp.
// He, Zhang, Ren, Sun 2015, "Deep Residual Learning for Image Recognition", arXiv 1512.03385.
#include "layers/item_reader.hpp"

namespace bntrain {
namespace {

/// Nobody writes an addition without its branches.
bool parse(ItemReader&, Layer&) {
  return false;
}

}  // namespace

constinit const LayerType add_type{
    .kind = LayerKind::add,
    .help = "res(BODY) and res(BODY|SHORTCUT)",
    .parse = parse,
    .output_shape = same_shape,
    .shift = passes_shift,
};

}  // namespace bntrain
