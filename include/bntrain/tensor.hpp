// Named tensors on the host: what is saved, loaded and compared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bntrain {

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

/// One tensor that an optimiser keeps for every parameter, under the parameters' names.
struct OptimizerState {
  std::string name;  ///< torch.optim's, such as "momentum_buffer" of SGD; without dots
  ModelState state;
};

}  // namespace bntrain
