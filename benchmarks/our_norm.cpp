#include <algorithm>

#include "benchmarks/norm_contender.hpp"

namespace bntrain::benchmarks {
namespace {

using kernels::NormVariant;

class OurNorm final : public NormContender {
 public:
  OurNorm(std::string name, const NormCase& c, NormVariant variant, cuda::DeviceStream& stream)
      : NormContender(std::move(name), false),
        shape_(c.shape()),
        variant_(variant),
        stream_(stream),
        workspace_(kernels::batch_norm_workspace(shape_)) {}

  void forward(const NormBuffers& b) override {
    served([&] {
      kernels::batch_norm_forward(shape_, {.eps = kEps, .momentum = kMomentum}, b.x, b.gamma, b.beta, b.y,
                                  b.mean, b.var, b.invstd, b.running_mean, b.running_var, workspace_.data(),
                                  stream_.kernels(), variant_);
    });
  }

  void backward(const NormBuffers& b) override {
    served([&] {
      kernels::batch_norm_backward(shape_, b.x, b.dy, b.gamma, b.mean, b.invstd, b.dx, b.dgamma, b.dbeta,
                                   workspace_.data(), stream_.kernels(), variant_);
    });
  }

 private:
  template <typename Call>
  static void served(const Call& call) {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      throw Unsupported(error.what());
    }
  }

  kernels::NormShape shape_;
  NormVariant variant_;
  cuda::DeviceStream& stream_;
  cuda::DeviceArray<std::byte> workspace_;
};

/// Batch norm, ReLU and max pooling as one op of the CUDA backend.
class OurBlock final : public NormContender {
 public:
  OurBlock(const NormCase& c, cuda::DeviceStream& stream)
      : NormContender("automatic (fused)", false),
        norm_shape_(c.shape()),
        shape_{c.batch, c.channels, c.height, c.width, c.pool, true},
        stream_(stream),
        moments_(c.channels),
        workspace_(std::max(kernels::batch_norm_workspace(norm_shape_),
                            kernels::batch_norm_relu_maxpool_backward_workspace(shape_))) {}

  void forward(const NormBuffers& b) override {
    const kernels::Stream stream = stream_.kernels();
    kernels::batch_norm_statistics(norm_shape_, b.x, moments_.data(), workspace_.data(), stream);
    kernels::batch_norm_finalize(1, norm_shape_.channels, moments_.data(),
                                 {.eps = kEps, .momentum = kMomentum}, b.mean, b.var, b.invstd, nullptr,
                                 nullptr, stream);
    kernels::batch_norm_relu_maxpool_forward(shape_, b.x, norm(b), b.y, b.argmax_values, stream);
  }

  void prepare_backward(const NormBuffers& b) override { forward(b); }

  void backward(const NormBuffers& b) override {
    kernels::batch_norm_relu_maxpool_backward(shape_, b.x, b.argmax_values, b.dy, norm(b), b.dgamma, b.dbeta,
                                              b.dx, workspace_.data(), stream_.kernels());
  }

 private:
  static kernels::ChannelNorm norm(const NormBuffers& b) { return {b.mean, b.invstd, b.gamma, b.beta}; }

  kernels::NormShape norm_shape_;
  kernels::PoolShape shape_;
  cuda::DeviceStream& stream_;
  cuda::DeviceArray<kernels::ChannelMoments> moments_;
  cuda::DeviceArray<std::byte> workspace_;
};

}  // namespace

Contenders our_contenders(const NormCase& c, kernels::NormPass pass, cuda::DeviceStream& stream) {
  Contenders all;
  if (c.pool > 0) {
    all.push_back(std::make_unique<OurBlock>(c, stream));
    return all;
  }
  const NormVariant chosen = kernels::batch_norm_variant(pass, c.shape(), stream.kernels());
  all.push_back(std::make_unique<OurNorm>(std::string("automatic (") + to_string(chosen) + ")", c,
                                          NormVariant::automatic, stream));
  for (const NormVariant variant : kVariants)
    all.push_back(std::make_unique<OurNorm>(to_string(variant), c, variant, stream));
  return all;
}

}  // namespace bntrain::benchmarks
