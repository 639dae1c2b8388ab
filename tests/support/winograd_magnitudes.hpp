// What rounding in Winograd's convolutions is proportional to.
#pragma once

#include <vector>

#include "support/reference.hpp"

namespace bntrain::reference {

/// F(m x m, 3x3) for m + 1 finite points and infinity, with absolute values in place of all numbers: other
/// than in the direct sum, terms are added that cancel. Convolutions of 3x3 with stride 1.
class WinogradMagnitudes {
 public:
  explicit WinogradMagnitudes(const std::vector<double>& points);

  Values forward(const Values& x, const Values& weight, const Values& bias, const ConvShape& shape) const;
  /// The gradients of the input and of the weights.
  Gradients backward(const Values& x, const Values& weight, const Values& dy, const ConvShape& shape) const;

 private:
  using Matrix = std::vector<double>;  ///< [point][element] or, of a tile, [point][point]
  struct Planes {
    std::int64_t images, channels, height, width;
  };

  template <class Element>
  Matrix transform(const Matrix& by, int size, Element element) const;
  Matrix back(const Matrix& by, int size, const Matrix& tile) const;
  Matrix tile(const Matrix& by, int size, const Values& x, const Planes& in, std::int64_t plane,
              std::int64_t top, std::int64_t left) const;
  template <class Weight>
  Values convolve(const Values& x, const Planes& in, std::int64_t padding, const Planes& out,
                  Weight weight) const;

  int side_, points_;
  Matrix input_, weights_, output_;  ///< |B^T|, |G| and |A|
};

}  // namespace bntrain::reference
