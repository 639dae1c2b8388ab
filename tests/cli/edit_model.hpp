// Model files changed by hand.
#pragma once

#include <functional>
#include <string>

#include "formats/safetensors.hpp"

namespace bntrain::test {

/// Changes the values of one tensor of a file.
inline void edit_values(const std::string& path, const std::string& name,
                        const std::function<void(std::vector<float>&)>& change) {
  TensorFile file = read_safetensors(path);
  for (Tensor& tensor : file.state.tensors)
    if (tensor.name == name) change(tensor.floats());
  write_safetensors(path, file);
}

/// Finite weights for small_run()'s network that make every logit the sum of both infinities.
inline void overflow_logits(const std::string& path) {
  edit_values(path, "1.bias", [](std::vector<float>& values) { values.assign(values.size(), 1e4F); });
  edit_values(path, "5.weight", [](std::vector<float>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? 3e38F : -3e38F;
  });
}

}  // namespace bntrain::test
