#include "benchmarks/norm_contender.hpp"
#include "benchmarks/tuned_norm.hpp"

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

/// Batch norm, ReLU and max pooling in one.
class OurBlock final : public NormContender {
 public:
  OurBlock(const NormCase& c, cuda::DeviceStream& stream)
      : NormContender("automatic (fused)", false),
        shape_{c.batch, c.channels, c.height, c.width, c.pool},
        stream_(stream),
        workspace_(kernels::batch_norm_maxpool_workspace(shape_)) {}

  void forward(const NormBuffers& b) override {
    kernels::batch_norm_maxpool_forward(shape_, kRelu, kEps, b.x, b.gamma, b.beta, b.y, b.mean, b.var,
                                        b.invstd, workspace_.data(), stream_.kernels());
  }

  void backward(const NormBuffers& b) override {
    kernels::batch_norm_maxpool_backward(shape_, kRelu, b.x, b.dy, {b.mean, b.invstd, b.gamma, b.beta}, b.dx,
                                         b.dgamma, b.dbeta, workspace_.data(), stream_.kernels());
  }

 private:
  static constexpr Activation kRelu{.kind = ActivationKind::relu};

  kernels::PoolShape shape_;
  cuda::DeviceStream& stream_;
  cuda::DeviceArray<std::byte> workspace_;
};

class TunedNorm final : public NormContender {
 public:
  TunedNorm(const std::string& name, const NormCase& c, const kernels::ResidentTuning& tuning,
            cuda::DeviceStream& stream)
      : NormContender("tuning " + name, false), case_(c), tuning_(tuning), stream_(stream) {}

  void forward(const NormBuffers& b) override { forward_tuned(case_, tuning_, b, stream_.kernels()); }
  void backward(const NormBuffers& b) override { backward_tuned(case_, tuning_, b, stream_.kernels()); }

 private:
  NormCase case_;
  kernels::ResidentTuning tuning_;
  cuda::DeviceStream& stream_;
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

Contenders tuned_contenders(const NormCase& c, kernels::NormPass pass, cuda::DeviceStream& stream) {
  Contenders all;
  const kernels::ResidentTuning rule = rule_tuning(c, pass, stream.kernels());
  if (rule.vectors > 0) all.push_back(std::make_unique<TunedNorm>("rule", c, rule, stream));
  for (const kernels::ResidentTuning& tuning : resident_tunings(c, pass, stream.kernels()))
    all.push_back(std::make_unique<TunedNorm>(to_string(tuning), c, tuning, stream));
  return all;
}

}  // namespace bntrain::benchmarks
