// Shapes, sets of images, and named tensors on the host: what is saved, loaded and compared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bntrain {

/// (C, H, W) of one image; after flattening (C), with height and width 1. The batch is never part of it.
struct Shape {
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  bool flat = false;  ///< a vector of `channels` features rather than an image

  std::int64_t spatial() const { return height * width; }
  std::int64_t size() const { return channels * height * width; }
  bool operator==(const Shape&) const = default;
};

/// Images of one shape with one label each. Pixels stay bytes until a batch is gathered (pixel / 255).
struct ImageSet {
  Shape shape;
  std::int64_t count = 0;
  std::vector<std::uint8_t> pixels;  ///< [count][channels][height][width]
  std::vector<std::uint8_t> labels;  ///< [count], each below Dataset::classes
};

/// "(20, 12, 12)" or "(1250)"; with a batch "(256, 20, 12, 12)".
std::string to_string(const Shape& shape);
std::string to_string(const Shape& shape, std::int64_t batch);

/// A dense row-major tensor with its name. The shape [] is a scalar of one element.
struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::variant<std::vector<float>, std::vector<std::int64_t>> values;

  /// Number of elements that the shape promises.
  std::int64_t size() const;
  /// The float32 values; a precondition is broken when the tensor holds integers.
  const std::vector<float>& floats() const;
  std::vector<float>& floats();
};

/// Tensors in a fixed order, by PyTorch's names and layouts: convolution weights OIHW, linear weights
/// [out, in], batch norm `weight` (gamma), `bias` (beta), `running_mean`, `running_var`,
/// `num_batches_tracked`.
struct ModelState {
  std::vector<Tensor> tensors;

  /// The tensor of that name or nullptr.
  const Tensor* find(std::string_view name) const;
};

/// The first tensor with a NaN or an infinity, or nullptr.
const Tensor* first_non_finite(const ModelState& state);
const Tensor* first_non_finite(ModelState&& state) = delete;  // the tensor would be gone

/// What a reader has to say about a file that it took.
struct Remark {
  std::string text;
  bool warning = false;  ///< what the file holds may be another thing than the user means
};

/// One tensor that an optimiser keeps for every parameter, under the parameters' names.
struct OptimizerState {
  std::string name;  ///< torch.optim's, such as "momentum_buffer" of SGD; without dots
  ModelState state;
};

}  // namespace bntrain
