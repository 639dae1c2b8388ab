#include <variant>

#include "formats/safetensors.hpp"
#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(data, size);
  fuzz::read_or_refuse([&] {
    for (const Tensor& tensor : read_safetensors(file.path()).state.tensors) {
      const auto held = std::visit(
          [](const auto& values) { return static_cast<std::int64_t>(values.size()); }, tensor.values);
      fuzz::expect(held == tensor.size(), "a tensor holds other values than its shape says");
    }
  });
  return 0;
}
