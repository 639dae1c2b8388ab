#include <cmath>

#include "bntrain/model_file.hpp"
#include "fuzz_input.hpp"

using namespace bntrain;

/// A model of one small network, under whatever names, of whatever element types.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(data, size);
  const ModelDescription known{
      .network = "conv2x2,bn,fc2,fc2", .eps = 1e-5, .input = Shape{1, 3, 3, false}, .classes = 2};
  try {
    const Model model = load_model(file.path(), known);
    check_state(model.network, model.state, "what was read");
    for (const Tensor& tensor : model.state.tensors) {
      const auto* floats = std::get_if<std::vector<float>>(&tensor.values);
      if (floats == nullptr || tensor.name.ends_with("running_var")) continue;
      for (const float value : *floats)
        fuzz::expect(std::isfinite(value), "a value that is not finite was taken");
    }
  } catch (const Error&) {  // of usage too, where the network does not fit the images that the file names
  }
  return 0;
}
