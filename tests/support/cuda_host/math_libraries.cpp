// backend/cuda/math_libraries.hpp as plain loops: sums in double, rounded once.
#include "backend/cuda/math_libraries.hpp"

#include <functional>

#include "support/cuda_host/host_stream.hpp"

namespace bntrain::cuda {

struct MathLibraries::Impl {
  DeviceStream& stream;
};
MathLibraries::MathLibraries(DeviceStream& stream, Precision) : impl_(std::make_unique<Impl>(Impl{stream})) {}
MathLibraries::~MathLibraries() = default;
std::string MathLibraries::versions() const {
  return "loops on the host";
}

namespace {

void enqueue(MathLibraries& libraries, const std::function<void()>& work) {
  executor_of(libraries.impl().stream.kernels()).enqueue(work);
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

/// Sums that end in float.
class Sums {
 public:
  explicit Sums(std::int64_t size) : values_(static_cast<std::size_t>(size)) {}
  void add(std::int64_t i, float a, float b) {
    values_[static_cast<std::size_t>(i)] += static_cast<double>(a) * b;
  }
  void write(float* to) const {
    for (const double value : values_) *to++ = static_cast<float>(value);
  }

 private:
  std::vector<double> values_;
};

}  // namespace

struct Convolution::Impl {
  MathLibraries& libraries;
  ConvolutionShape shape;
};
Convolution::Convolution(MathLibraries& libraries, const ConvolutionShape& shape)
    : impl_(std::make_unique<Impl>(Impl{libraries, shape})) {}
Convolution::~Convolution() = default;

void Convolution::forward(const float* x, const float* w, float* y) {
  enqueue(impl_->libraries, [=, s = impl_->shape] {
    Sums sums(s.batch * s.out_channels * s.out_height() * s.out_width());
    for_each_product(s, [&](auto i, auto j, auto k) { sums.add(k, x[i], w[j]); });
    sums.write(y);
  });
}

void Convolution::backward_weights(const float* x, const float* dy, float* dw) {
  enqueue(impl_->libraries, [=, s = impl_->shape] {
    Sums sums(s.out_channels * s.in_channels * s.kernel * s.kernel);
    for_each_product(s, [&](auto i, auto j, auto k) { sums.add(j, x[i], dy[k]); });
    sums.write(dw);
  });
}

void Convolution::backward_input(const float* dy, const float* w, float* dx) {
  enqueue(impl_->libraries, [=, s = impl_->shape] {
    Sums sums(s.batch * s.in_channels * s.height * s.width);
    for_each_product(s, [&](auto i, auto j, auto k) { sums.add(i, w[j], dy[k]); });
    sums.write(dx);
  });
}

std::string Convolution::algorithms(StepPass) const {
  return "loops";
}

struct Linear::Impl {
  MathLibraries& libraries;
  LinearShape shape;
};
Linear::Linear(MathLibraries& libraries, const LinearShape& shape)
    : impl_(std::make_unique<Impl>(Impl{libraries, shape})) {}
Linear::~Linear() = default;

void Linear::forward(const float* x, const float* w, const float* bias, float* y) {
  enqueue(impl_->libraries, [=, s = impl_->shape] {
    for (std::int64_t n = 0; n < s.batch; ++n)
      for (std::int64_t o = 0; o < s.out; ++o) {
        double sum = bias == nullptr ? 0.0 : bias[o];
        for (std::int64_t i = 0; i < s.in; ++i) sum += static_cast<double>(x[n * s.in + i]) * w[o * s.in + i];
        const auto value = static_cast<float>(sum);
        y[n * s.out + o] = s.relu && value <= 0 ? 0.0f : value;
      }
  });
}

void Linear::backward_weights(const float* x, const float* dy, float* dw) {
  enqueue(impl_->libraries, [=, s = impl_->shape] {
    Sums sums(s.out * s.in);
    for (std::int64_t n = 0; n < s.batch; ++n)
      for (std::int64_t o = 0; o < s.out; ++o)
        for (std::int64_t i = 0; i < s.in; ++i) sums.add(o * s.in + i, dy[n * s.out + o], x[n * s.in + i]);
    sums.write(dw);
  });
}

void Linear::backward_input(const float* dy, const float* w, float* dx) {
  enqueue(impl_->libraries, [=, s = impl_->shape] {
    Sums sums(s.batch * s.in);
    for (std::int64_t n = 0; n < s.batch; ++n)
      for (std::int64_t o = 0; o < s.out; ++o)
        for (std::int64_t i = 0; i < s.in; ++i) sums.add(n * s.in + i, dy[n * s.out + o], w[o * s.in + i]);
    sums.write(dx);
  });
}

}  // namespace bntrain::cuda
