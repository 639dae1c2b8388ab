// Configuration files, read by a small program of every kind of flag. The program reports CLI::ParseError as
// wrong usage.
#include <sstream>

#include "cli/flags/config_file.hpp"
#include "fuzz_input.hpp"

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  CLI::App app;
  std::string text;
  double number = 0;
  bool flag = false;
  CLI::App& train = *app.add_subcommand("train");
  train.add_option("--network", text);
  train.add_option("--lr", number);
  train.add_flag("--quiet", flag);
  app.add_subcommand("bench")->add_option("--epochs", number);
  app.config_formatter(std::make_shared<cli::ConfigFile>(app));
  std::istringstream file(fuzz::text_of(data, size));
  try {
    app.parse_from_stream(file);
  } catch (const CLI::ParseError&) {
  }
  return 0;
}
