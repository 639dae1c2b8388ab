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

}  // namespace

Contenders our_contenders(const NormCase& c, kernels::NormPass pass, cuda::DeviceStream& stream) {
  const NormVariant chosen = kernels::batch_norm_variant(pass, c.shape(), stream.kernels());
  Contenders all;
  all.push_back(std::make_unique<OurNorm>(std::string("automatic (") + to_string(chosen) + ")", c,
                                          NormVariant::automatic, stream));
  for (const NormVariant variant : {NormVariant::plain, NormVariant::resident, NormVariant::streamed})
    all.push_back(std::make_unique<OurNorm>(to_string(variant), c, variant, stream));
  return all;
}

}  // namespace bntrain::benchmarks
