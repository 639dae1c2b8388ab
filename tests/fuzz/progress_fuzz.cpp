// The JSON string of a checkpoint that says how far its run had come. read_checkpoint() turns JSON's
// exceptions into Error(data).
#include "formats/progress_json.hpp"
#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const nlohmann::json stored =
        progress_json(progress_from(nlohmann::json::parse(fuzz::text_of(data, size))));
    fuzz::expect(progress_json(progress_from(stored)).dump() == stored.dump(),
                 "progress changes when it is read again");
  } catch (const nlohmann::json::exception&) {
  }
  return 0;
}
