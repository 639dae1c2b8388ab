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

/// Finite weights for small_run()'s network that make every logit a sum of both infinities.
inline void overflow_logits(const std::string& path) {
  for (const char* name : {"1.weight", "1.bias"})
    edit_values(path, name, [](std::vector<float>& values) { values.assign(values.size(), 3e38F); });
  edit_values(path, "5.weight", [](std::vector<float>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? 1.0F : -1.0F;
  });
}

}  // namespace bntrain::test
