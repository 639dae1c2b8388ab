// Who computes the products of a fully connected layer: ours, which divide long sums among blocks, or a
// library. By the shape alone.
#pragma once

#include "kernels/linear/linear.hpp"

namespace bntrain::kernels {

/// Whether linear_forward() and the gradients beside it are for the shape.
bool prefers_divided_products(const LinearShape& shape);

}  // namespace bntrain::kernels
