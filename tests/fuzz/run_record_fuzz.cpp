#include "bench/run_record.hpp"

#include <sstream>

#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream lines(fuzz::text_of(data, size));
  fuzz::read_or_refuse([&] { bench::read_run_record(lines, "fuzz"); });
  return 0;
}
