// backend/cuda/math_libraries.hpp and cuDNN's convolutions as plain loops.
#include "backend/cuda/math_libraries.hpp"

#include <functional>
#include <stdexcept>

#include "support/cuda_host/host_resources.hpp"
#include "support/cuda_host/host_stream.hpp"

namespace bntrain::cuda {

struct MathLibraries::Handles {};
MathLibraries::MathLibraries(DeviceStream& on, Precision asked) : stream(on), precision(asked) {}
MathLibraries::~MathLibraries() = default;

namespace {

void enqueue(MathLibraries& libraries, const std::function<void()>& work) {
  executor_of(libraries.stream.kernels()).enqueue(work);
}

/// Calls visit(x, w, y) with the three offsets of every product in the sum of the convolution.
template <typename Visit>
void for_each_product(const ConvolutionShape& s, Visit visit) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t o = 0; o < s.out_channels; ++o)
      for (std::int64_t row = 0; row < s.out_height(); ++row)
        for (std::int64_t column = 0; column < s.out_width(); ++column)
          for (std::int64_t c = 0; c < s.in_channels; ++c)
            for (std::int64_t i = 0; i < s.kernel; ++i)
              for (std::int64_t j = 0; j < s.kernel; ++j) {
                const std::int64_t h = row * s.stride + i - s.padding, v = column * s.stride + j - s.padding;
                if (h < 0 || h >= s.height || v < 0 || v >= s.width) continue;
                visit(((n * s.in_channels + c) * s.height + h) * s.width + v,
                      ((o * s.in_channels + c) * s.kernel + i) * s.kernel + j,
                      ((n * s.out_channels + o) * s.out_height() + row) * s.out_width() + column);
              }
}

/// Adds a product to a sum, as HostResources says.
double plus(double sum, float a, float b, bool float_chains) {
  sum += static_cast<double>(a) * static_cast<double>(b);
  return float_chains ? static_cast<double>(static_cast<float>(sum)) : sum;
}

/// Sums that end in float.
class Sums {
 public:
  explicit Sums(std::int64_t size)
      : values_(static_cast<std::size_t>(size)), float_chains_(host_resources().float_chains) {}
  void add(std::int64_t i, float a, float b) {
    double& value = values_[static_cast<std::size_t>(i)];
    value = plus(value, a, b, float_chains_);
  }
  void write(float* to) const {
    for (const double value : values_) *to++ = static_cast<float>(value);
  }

 private:
  std::vector<double> values_;
  bool float_chains_;
};

}  // namespace

struct Product::Impl {
  MathLibraries& libraries;
  ProductShape shape;
};
Product::Product(MathLibraries& libraries, const ProductShape& shape, std::int64_t)
    : impl_(std::make_unique<Impl>(Impl{libraries, shape})) {}
Product::~Product() = default;
Product::Product(Product&&) noexcept = default;

void Product::multiply(const float* a, const float* b, float* d, bool add) {
  for (const void* pointer :
       {static_cast<const void*>(a), static_cast<const void*>(b), static_cast<const void*>(d)})
    if (reinterpret_cast<std::uintptr_t>(pointer) % 16 != 0) throw std::logic_error("not 16-byte aligned");
  enqueue(impl_->libraries, [=, s = impl_->shape] {
    for (std::int64_t n = 0; n < s.count; ++n)
      for (std::int64_t column = 0; column < s.columns; ++column)
        for (std::int64_t row = 0; row < s.rows; ++row) {
          float& result = d[n * s.d_stride + row + column * s.rows];
          double sum = add ? static_cast<double>(result) : 0;
          for (std::int64_t i = 0; i < s.inner; ++i)
            sum = plus(sum, a[n * s.a_stride + (s.transpose_a ? i + row * s.inner : row + i * s.rows)],
                       b[n * s.b_stride + (s.transpose_b ? column + i * s.columns : i + column * s.inner)],
                       host_resources().float_chains);
          result = static_cast<float>(sum);
        }
  });
}

namespace {

class LoopConvolution final : public Convolution {
 public:
  LoopConvolution(MathLibraries& libraries, const ConvolutionShape& shape, ConvolutionPass pass,
                  ConvolutionCandidate chosen)
      : libraries_(libraries), shape_(shape), pass_(pass), chosen_(std::move(chosen)) {}

  void compute(const float* a, const float* b, float* result) override {
    if (chosen_.workspace_bytes > libraries_.workspace.bytes()) throw std::logic_error("no workspace");
    enqueue(libraries_, [=, s = shape_, pass = pass_] {
      switch (pass) {
        case ConvolutionPass::forward: {
          Sums sums(s.batch * s.out_channels * s.out_height() * s.out_width());
          for_each_product(s, [&](auto i, auto j, auto k) { sums.add(k, a[i], b[j]); });
          return sums.write(result);
        }
        case ConvolutionPass::backward_weights: {
          Sums sums(s.out_channels * s.in_channels * s.kernel * s.kernel);
          for_each_product(s, [&](auto i, auto j, auto k) { sums.add(j, a[i], b[k]); });
          return sums.write(result);
        }
        case ConvolutionPass::backward_input: {
          Sums sums(s.batch * s.in_channels * s.height * s.width);
          for_each_product(s, [&](auto i, auto j, auto k) { sums.add(i, a[j], b[k]); });
          return sums.write(result);
        }
      }
    });
  }

  std::string algorithm() const override { return chosen_.name; }

 private:
  MathLibraries& libraries_;
  const ConvolutionShape shape_;
  const ConvolutionPass pass_;
  const ConvolutionCandidate chosen_;
};

}  // namespace

std::unique_ptr<Convolution> make_cudnn_convolution(MathLibraries& libraries, const ConvolutionShape& shape,
                                                    ConvolutionPass pass) {
  const std::vector<ConvolutionCandidate>& offered = host_resources().cudnn_algorithms;
  const auto choice = choose(offered, libraries.precision, libraries.workspace);
  if (!choice) return nullptr;
  return std::make_unique<LoopConvolution>(libraries, shape, pass, offered[*choice]);
}

}  // namespace bntrain::cuda
