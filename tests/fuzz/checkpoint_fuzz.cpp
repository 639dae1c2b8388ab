// Whole files. Few get past their checksum; progress_fuzz.cpp reads what it protects.
#include "bntrain/model_file.hpp"
#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(data, size);
  fuzz::read_or_refuse([&] { read_checkpoint(file.path()); });
  return 0;
}
