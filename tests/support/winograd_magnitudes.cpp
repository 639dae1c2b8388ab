#include "support/winograd_magnitudes.hpp"

#include <cmath>

namespace bntrain::reference {
namespace {

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

}  // namespace

/// By Cook and Toom: row j of B^T has the coefficients of the product of x - p_l over all l but j; G's is
/// divided by that product at x = p_j.
WinogradMagnitudes::WinogradMagnitudes(const std::vector<double>& points)
    : side_(static_cast<int>(points.size()) - 1),
      points_(side_ + 2),
      input_(at(points_ * points_)),
      weights_(at(points_ * 3)),
      output_(at(points_ * side_)) {
  for (int j = 0; j < points_; ++j) {
    const bool infinity = j == points_ - 1;
    std::vector<double> product{1};
    double distance = 1;
    for (int l = 0; l < points_ - 1; ++l) {
      if (l == j) continue;
      std::vector<double> longer(product.size() + 1, 0);
      for (std::size_t k = 0; k < product.size(); ++k) {
        longer[k + 1] += product[k];
        longer[k] -= points[at(l)] * product[k];
      }
      product = longer;
      if (!infinity) distance *= points[at(j)] - points[at(l)];
    }
    for (std::size_t k = 0; k < product.size(); ++k) input_[at(j * points_) + k] = std::abs(product[k]);
    for (int k = 0; k < 3; ++k)
      weights_[at(j * 3 + k)] = infinity ? k == 2 : std::abs(std::pow(points[at(j)], k) / distance);
    for (int i = 0; i < side_; ++i)
      output_[at(j * side_ + i)] = infinity ? i == side_ - 1 : std::abs(std::pow(points[at(j)], i));
  }
}

/// T t T^T for the matrix T = `by`, with `size` columns.
template <class Element>
WinogradMagnitudes::Matrix WinogradMagnitudes::transform(const Matrix& by, int size, Element element) const {
  Matrix result(at(points_ * points_), 0.0);
  for (int a = 0; a < size; ++a)
    for (int b = 0; b < size; ++b) {
      const double value = element(a, b);
      for (int i = 0; i < points_; ++i)
        for (int j = 0; j < points_; ++j)
          result[at(i * points_ + j)] += by[at(i * size + a)] * by[at(j * size + b)] * value;
    }
  return result;
}

/// T^T t T
WinogradMagnitudes::Matrix WinogradMagnitudes::back(const Matrix& by, int size, const Matrix& tile) const {
  Matrix result(at(size * size), 0.0);
  for (int a = 0; a < size; ++a)
    for (int b = 0; b < size; ++b)
      for (int i = 0; i < points_; ++i)
        for (int j = 0; j < points_; ++j)
          result[at(a * size + b)] += by[at(i * size + a)] * by[at(j * size + b)] * tile[at(i * points_ + j)];
  return result;
}

/// transform() of the tile whose corner is at (top, left), which has zeros beyond the edges.
WinogradMagnitudes::Matrix WinogradMagnitudes::tile(const Matrix& by, int size, const Values& x,
                                                    const Planes& in, std::int64_t plane, std::int64_t top,
                                                    std::int64_t left) const {
  return transform(by, size, [&](int a, int b) {
    const std::int64_t row = top + a, column = left + b;
    if (row < 0 || column < 0 || row >= in.height || column >= in.width) return 0.0;
    return std::abs(x[at((plane * in.height + row) * in.width + column)]);
  });
}

/// weight(o, c, tap)
template <class Weight>
Values WinogradMagnitudes::convolve(const Values& x, const Planes& in, std::int64_t padding,
                                    const Planes& out, Weight weight) const {
  std::vector<Matrix> u;
  for (std::int64_t o = 0; o < out.channels; ++o)
    for (std::int64_t c = 0; c < in.channels; ++c)
      u.push_back(transform(weights_, 3, [&](int a, int b) { return std::abs(weight(o, c, 3 * a + b)); }));
  Values y(at(in.images * out.channels * out.height * out.width), 0.0);
  for (std::int64_t n = 0; n < in.images; ++n)
    for (std::int64_t top = 0; top < out.height; top += side_)
      for (std::int64_t left = 0; left < out.width; left += side_) {
        std::vector<Matrix> v;
        for (std::int64_t c = 0; c < in.channels; ++c)
          v.push_back(tile(input_, points_, x, in, n * in.channels + c, top - padding, left - padding));
        for (std::int64_t o = 0; o < out.channels; ++o) {
          Matrix m(at(points_ * points_), 0.0);
          for (std::int64_t c = 0; c < in.channels; ++c)
            for (std::size_t f = 0; f < m.size(); ++f) m[f] += u[at(o * in.channels + c)][f] * v[at(c)][f];
          const Matrix result = back(output_, side_, m);
          for (std::int64_t i = 0; i < side_ && top + i < out.height; ++i)
            for (std::int64_t j = 0; j < side_ && left + j < out.width; ++j)
              y[at(((n * out.channels + o) * out.height + top + i) * out.width + left + j)] =
                  result[at(i * side_ + j)];
        }
      }
  return y;
}

Values WinogradMagnitudes::forward(const Values& x, const Values& weight, const Values& bias,
                                   const ConvShape& shape) const {
  const Planes in{shape.batch, shape.in_channels, shape.height, shape.width};
  const Planes out{shape.batch, shape.out_channels, shape.out_height(), shape.out_width()};
  Values y = convolve(x, in, shape.padding, out, [&](std::int64_t o, std::int64_t c, std::int64_t tap) {
    return weight[at((o * in.channels + c) * 9 + tap)];
  });
  for (std::size_t i = 0; i < y.size(); ++i)
    y[i] += std::abs(bias[i / at(out.height * out.width) % at(out.channels)]);
  return y;
}

Gradients WinogradMagnitudes::backward(const Values& x, const Values& weight, const Values& dy,
                                       const ConvShape& shape) const {
  const Planes in{shape.batch, shape.in_channels, shape.height, shape.width};
  const Planes out{shape.batch, shape.out_channels, shape.out_height(), shape.out_width()};
  Gradients gradients;
  gradients.x =
      convolve(dy, out, 2 - shape.padding, in, [&](std::int64_t o, std::int64_t c, std::int64_t tap) {
        return weight[at((c * in.channels + o) * 9 + 8 - tap)];
      });
  std::vector<Matrix> sums(at(out.channels * in.channels), Matrix(at(points_ * points_), 0.0));
  for (std::int64_t n = 0; n < in.images; ++n)
    for (std::int64_t top = 0; top < out.height; top += side_)
      for (std::int64_t left = 0; left < out.width; left += side_) {
        std::vector<Matrix> v;
        for (std::int64_t c = 0; c < in.channels; ++c)
          v.push_back(
              tile(input_, points_, x, in, n * in.channels + c, top - shape.padding, left - shape.padding));
        for (std::int64_t o = 0; o < out.channels; ++o) {
          const Matrix m = tile(output_, side_, dy, out, n * out.channels + o, top, left);
          for (std::int64_t c = 0; c < in.channels; ++c)
            for (std::size_t f = 0; f < m.size(); ++f) sums[at(o * in.channels + c)][f] += m[f] * v[at(c)][f];
        }
      }
  for (const Matrix& sum : sums)
    for (const double value : back(weights_, 3, sum)) gradients.weight.push_back(value);
  return gradients;
}

}  // namespace bntrain::reference
