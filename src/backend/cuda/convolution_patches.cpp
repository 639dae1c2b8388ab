// Convolutions as matrix products, per image, with P the number of places of the kernel in the image and K
// the elements of a patch; patches are [K, P]:
//   y [O, P] = w [O, K] patches,   dw [O, K] = sum over images of dy [O, P] patches^T,
//   dx = sum_patches(w^T [K, O] dy [O, P]).
// Some images at a time, so that the patches, kernel^2 / stride^2 times the image, fit beside the network.
// The products of dw are added to the sums of as many images, in the order of the images, and those sums to
// one in double.
#include <algorithm>
#include <optional>

#include "backend/cuda/convolution.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {
namespace {

/// Of patches and sums together: about an L2 cache.
constexpr std::int64_t kChunkBytes = std::int64_t{64} << 20;
/// Every chunk but the last begins on 16 bytes in tensors of any size.
constexpr std::int64_t kChunkUnit = 4;
constexpr std::int64_t kFloat = sizeof(float);

std::int64_t aligned(std::int64_t floats) {
  return (floats + kChunkUnit - 1) / kChunkUnit * kChunkUnit;
}

class PatchConvolution final : public Convolution {
 public:
  PatchConvolution(MathLibraries& libraries, const ConvolutionShape& s, ConvolutionPass pass)
      : libraries_(libraries),
        pass_(pass),
        batch_(s.batch),
        image_{1, s.in_channels, s.height, s.width, s.kernel, s.stride, s.padding},
        outputs_(s.out_channels),
        chunk_(images_at_once()),
        whole_(libraries, product(std::min(chunk_, batch_)), 0) {
    if (batch_ > chunk_ && batch_ % chunk_ != 0) rest_.emplace(libraries, product(batch_ % chunk_), 0);
    if (!libraries.workspace.reserve(bytes(chunk_)))
      throw Error(ErrorKind::runtime, "the GPU has no " + std::to_string(bytes(chunk_)) +
                                          " bytes of memory left for the " + to_string(pass) + " of a " +
                                          to_string(s) + "; try a smaller --batch-size or --device cpu");
  }

  void compute(const float* a, const float* b, float* result) override {
    const kernels::Stream stream = libraries_.stream.kernels();
    for (std::int64_t first = 0; first < batch_; first += chunk_) {
      const std::int64_t images = std::min(chunk_, batch_ - first);
      Product& product = images < chunk_ && rest_ ? *rest_ : whole_;
      kernels::PatchShape shape = image_;
      shape.batch = images;
      if (pass_ == ConvolutionPass::backward_input) {
        product.multiply(b + first * output(), a, patches());
        kernels::sum_patches(shape, patches(), result + first * input(), stream);
        continue;
      }
      kernels::gather_patches(shape, a + first * input(), patches(), stream);
      if (pass_ == ConvolutionPass::forward)
        product.multiply(patches(), b, result + first * output());
      else
        product.multiply(patches(), b + first * output(), sums(), first > 0);
    }
    if (pass_ == ConvolutionPass::backward_weights)
      kernels::bias_backward(sums_shape(), sums(), result, sums() + aligned(chunk_ * weights()), stream);
  }

  std::string algorithm() const override { return "patches"; }

 private:
  // Elements of an image's tensors.
  std::int64_t input() const { return image_.channels * image_.height * image_.width; }
  std::int64_t output() const { return outputs_ * image_.places(); }
  std::int64_t patch_floats() const { return image_.patch() * image_.places(); }
  std::int64_t weights() const { return outputs_ * image_.patch(); }

  kernels::BiasShape sums_shape() const { return {chunk_, weights(), 1}; }

  // In the workspace, one after the other: patches, sums, and what adding these up needs.
  float* patches() const { return reinterpret_cast<float*>(libraries_.workspace.data()); }
  float* sums() const { return patches() + aligned(chunk_ * patch_floats()); }
  std::int64_t bytes(std::int64_t images) const {
    const std::int64_t all_patches = aligned(images * patch_floats()) * kFloat;
    if (pass_ != ConvolutionPass::backward_weights) return all_patches;
    return all_patches + aligned(images * weights()) * kFloat +
           kernels::bias_backward_workspace({images, weights(), 1});
  }

  std::int64_t images_at_once() const {
    const std::int64_t fit = kChunkBytes / bytes(1) / kChunkUnit * kChunkUnit;
    return std::min(std::max(fit, kChunkUnit), batch_);
  }

  ProductShape product(std::int64_t images) const {
    const std::int64_t places = image_.places(), patch = image_.patch();
    switch (pass_) {
      case ConvolutionPass::forward:
        return {.rows = places,
                .columns = outputs_,
                .inner = patch,
                .count = images,
                .a_stride = patch_floats(),
                .b_stride = 0,
                .d_stride = output()};
      case ConvolutionPass::backward_weights:
        return {.rows = patch,
                .columns = outputs_,
                .inner = places,
                .transpose_a = true,
                .count = images,
                .a_stride = patch_floats(),
                .b_stride = output(),
                .d_stride = weights()};
      case ConvolutionPass::backward_input:
        break;
    }
    return {.rows = places,
            .columns = patch,
            .inner = outputs_,
            .transpose_b = true,
            .count = images,
            .a_stride = output(),
            .b_stride = 0,
            .d_stride = patch_floats()};
  }

  MathLibraries& libraries_;
  const ConvolutionPass pass_;
  const std::int64_t batch_;
  const kernels::PatchShape image_;  ///< of one
  const std::int64_t outputs_, chunk_;
  Product whole_;
  std::optional<Product> rest_;
};

}  // namespace

std::unique_ptr<Convolution> make_patch_convolution(MathLibraries& libraries, const ConvolutionShape& shape,
                                                    ConvolutionPass pass) {
  return std::make_unique<PatchConvolution>(libraries, shape, pass);
}

}  // namespace bntrain::cuda
