#include "benchmarks/conv_case.hpp"

#include <charconv>
#include <cmath>
#include <random>

#include "bntrain/error.hpp"

namespace bntrain::benchmarks {
namespace {

constexpr int kSamples = 200;

/// Sizes that are separated by the letters of `separators`, in their order; the last ones may be left out.
bool read_sizes(std::string_view text, std::string_view separators, std::vector<std::int64_t>& sizes) {
  const char *at = text.data(), *const end = at + text.size();
  for (std::size_t k = 0; at != end; ++k) {
    if (k > 0 && (k > separators.size() || *at++ != separators[k - 1])) return false;
    std::int64_t size = 0;
    const auto [behind, error] = std::from_chars(at, end, size);
    if (error != std::errc{}) return false;
    sizes.push_back(size);
    at = behind;
  }
  return true;
}

/// One element of a result in plain loops.
class Reference {
 public:
  Reference(const ConvolutionShape& s, ConvolutionPass pass, const std::vector<float>& a,
            const std::vector<float>& b)
      : s_(s), pass_(pass), a_(a), b_(b) {}

  double at(std::int64_t i) const {
    switch (pass_) {
      case ConvolutionPass::forward:
        return output(i);
      case ConvolutionPass::backward_input:
        return input_gradient(i);
      case ConvolutionPass::backward_weights:
        break;
    }
    return weight_gradient(i);
  }

 private:
  static double of(const std::vector<float>& values, std::int64_t i) {
    return values[static_cast<std::size_t>(i)];
  }
  std::int64_t x_index(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) const {
    return ((n * s_.in_channels + c) * s_.height + y) * s_.width + x;
  }
  std::int64_t w_index(std::int64_t o, std::int64_t c, std::int64_t r, std::int64_t s) const {
    return ((o * s_.in_channels + c) * s_.kernel + r) * s_.kernel + s;
  }
  std::int64_t y_index(std::int64_t n, std::int64_t o, std::int64_t i, std::int64_t j) const {
    return ((n * s_.out_channels + o) * s_.out_height() + i) * s_.out_width() + j;
  }
  bool inside(std::int64_t y, std::int64_t x) const {
    return y >= 0 && y < s_.height && x >= 0 && x < s_.width;
  }

  double output(std::int64_t index) const {
    const std::int64_t j = index % s_.out_width(), i = index / s_.out_width() % s_.out_height();
    const std::int64_t plane = index / s_.out_width() / s_.out_height();
    const std::int64_t o = plane % s_.out_channels, n = plane / s_.out_channels;
    double sum = 0;
    for (std::int64_t c = 0; c < s_.in_channels; ++c)
      for (std::int64_t r = 0; r < s_.kernel; ++r)
        for (std::int64_t s = 0; s < s_.kernel; ++s) {
          const std::int64_t y = i * s_.stride + r - s_.padding, x = j * s_.stride + s - s_.padding;
          if (inside(y, x)) sum += of(a_, x_index(n, c, y, x)) * of(b_, w_index(o, c, r, s));
        }
    return sum;
  }

  double input_gradient(std::int64_t index) const {
    const std::int64_t x = index % s_.width, y = index / s_.width % s_.height;
    const std::int64_t plane = index / s_.width / s_.height, c = plane % s_.in_channels,
                       n = plane / s_.in_channels;
    double sum = 0;
    for (std::int64_t o = 0; o < s_.out_channels; ++o)
      for (std::int64_t r = 0; r < s_.kernel; ++r)
        for (std::int64_t s = 0; s < s_.kernel; ++s) {
          const std::int64_t i = y + s_.padding - r, j = x + s_.padding - s;
          if (i < 0 || j < 0 || i % s_.stride != 0 || j % s_.stride != 0) continue;
          if (i / s_.stride >= s_.out_height() || j / s_.stride >= s_.out_width()) continue;
          sum += of(a_, w_index(o, c, r, s)) * of(b_, y_index(n, o, i / s_.stride, j / s_.stride));
        }
    return sum;
  }

  double weight_gradient(std::int64_t index) const {
    const std::int64_t s = index % s_.kernel, r = index / s_.kernel % s_.kernel;
    const std::int64_t pair = index / s_.kernel / s_.kernel, c = pair % s_.in_channels,
                       o = pair / s_.in_channels;
    double sum = 0;
    for (std::int64_t n = 0; n < s_.batch; ++n)
      for (std::int64_t i = 0; i < s_.out_height(); ++i)
        for (std::int64_t j = 0; j < s_.out_width(); ++j) {
          const std::int64_t y = i * s_.stride + r - s_.padding, x = j * s_.stride + s - s_.padding;
          if (inside(y, x)) sum += of(a_, x_index(n, c, y, x)) * of(b_, y_index(n, o, i, j));
        }
    return sum;
  }

  const ConvolutionShape& s_;
  ConvolutionPass pass_;
  const std::vector<float>&a_, &b_;
};

}  // namespace

ConvolutionShape parse_convolution(std::string_view text) {
  const std::size_t dash = text.find('-');
  std::vector<std::int64_t> image, layer;
  bool good = dash != text.npos && read_sizes(text.substr(0, dash), "xxx", image) && image.size() == 4;
  if (good) {
    const std::string_view rest = text.substr(dash + 1);
    layer.clear();
    good = read_sizes(rest, rest.find('s') == rest.npos ? "kp" : "ksp", layer) && layer.size() >= 2;
    if (good && rest.find('s') == rest.npos) layer.insert(layer.begin() + 2, 1);
  }
  ConvolutionShape shape;
  if (good) {
    layer.resize(4, 0);
    shape = {image[0], image[1], image[2], image[3], layer[0], layer[1], layer[2], layer[3]};
  }
  if (!good || shape.batch == 0 || !kernels::has_direct_convolution(shape))
    throw Error(
        ErrorKind::usage,
        "\"" + std::string(text) +
            "\" is no convolution: wanted are batch x channels x height x width - output channels k "
            "kernel, as in 256x20x12x12-50k3, then s and the stride and p and the padding; the kernel "
            "is 1, 3, 5 or 7, the stride 1 or 2");
  return shape;
}

std::string to_string(const ConvolutionShape& s) {
  const auto text = [](std::int64_t size) { return std::to_string(size); };
  return text(s.batch) + "x" + text(s.in_channels) + "x" + text(s.height) + "x" + text(s.width) + "-" +
         text(s.out_channels) + "k" + text(s.kernel) + "s" + text(s.stride) + "p" + text(s.padding);
}

const char* to_string(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return "forward";
    case ConvolutionPass::backward_input:
      return "input";
    case ConvolutionPass::backward_weights:
      break;
  }
  return "weights";
}

std::int64_t x_size(const ConvolutionShape& s) {
  return s.batch * s.in_channels * s.height * s.width;
}
std::int64_t w_size(const ConvolutionShape& s) {
  return s.out_channels * s.in_channels * s.kernel * s.kernel;
}
std::int64_t y_size(const ConvolutionShape& s) {
  return s.batch * s.out_channels * s.out_height() * s.out_width();
}
std::int64_t multiply_adds(const ConvolutionShape& s) {
  return y_size(s) * s.in_channels * s.kernel * s.kernel;
}

ConvProblem::ConvProblem(const ConvolutionShape& s, ConvolutionPass pass, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> values(-1, 1.5f);
  const auto fill = [&](std::vector<float>& tensor, std::int64_t size) {
    tensor.resize(static_cast<std::size_t>(size));
    for (float& value : tensor) value = values(generator);
  };
  fill(a, pass == ConvolutionPass::backward_input ? w_size(s) : x_size(s));
  fill(b, pass == ConvolutionPass::forward ? w_size(s) : y_size(s));
  result_size = pass == ConvolutionPass::forward          ? y_size(s)
                : pass == ConvolutionPass::backward_input ? x_size(s)
                                                          : w_size(s);
  const Reference reference(s, pass, a, b);
  std::uniform_int_distribution<std::int64_t> place(0, result_size - 1);
  for (int k = 0; k < kSamples; ++k) {
    places.push_back(place(generator));
    expected.push_back(reference.at(places.back()));
  }
}

double ConvProblem::error(const std::vector<float>& result) const {
  double difference = 0, norm = 0;
  for (std::size_t k = 0; k < places.size(); ++k) {
    const double actual = result[static_cast<std::size_t>(places[k])];
    difference += (actual - expected[k]) * (actual - expected[k]);
    norm += expected[k] * expected[k];
  }
  return std::sqrt(difference / norm);
}

}  // namespace bntrain::benchmarks
