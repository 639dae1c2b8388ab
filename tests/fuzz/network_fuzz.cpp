// A network's text: parsed, or refused with Error(usage).
#include "bntrain/network.hpp"
#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Shape input{3, 12, 11, false};
  try {
    const Network network = Network::parse(fuzz::text_of(data, size), input, 4);
    const Network again = Network::parse(network.text(), input, 4);
    fuzz::expect(again.text() == network.text(), "the canonical text changes when it is parsed again");
    fuzz::expect(again.layers().size() == network.layers().size() &&
                     again.parameter_floats() == network.parameter_floats(),
                 "the canonical text is another network");
    Network::parse(network.text(), input, 4, Norm::none);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
  }
  return 0;
}
