#include "cli/layer_table.hpp"

#include <spdlog/fmt/fmt.h>

namespace bntrain::cli {
namespace {

// 171128 -> "171,128", whatever the locale.
std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto place = static_cast<std::int64_t>(text.size()) - 3; place > 0; place -= 3) {
    text.insert(static_cast<std::size_t>(place), ",");
  }
  return text;
}

std::string row(const std::string& index, const std::string& layer, const std::string& output,
                const std::string& parameters) {
  const std::string text = fmt::format("{:>3}  {:<14}  {:<22}  {:>12}", index, layer, output, parameters);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

}  // namespace

std::string layer_table(const Network& network, std::int64_t batch_size) {
  const std::vector<Layer>& layers = network.layers();
  std::vector<std::int64_t> parameters(layers.size(), 0);
  for (const Parameter& parameter : network.parameters()) {
    parameters[static_cast<std::size_t>(parameter.layer)] += parameter.size;
  }
  std::string table = row("", "layer", "output", "parameters") + "\n" +
                      row("", "input", to_string(network.input(), batch_size), "") + "\n";
  for (std::size_t i = 0; i < layers.size(); ++i) {
    table += row(std::to_string(layers[i].index), layers[i].text, to_string(layers[i].output, batch_size),
                 parameters[i] > 0 ? grouped(parameters[i]) : "") +
             "\n";
  }
  return table + row("", "trainable", "", grouped(network.parameter_count()));
}

}  // namespace bntrain::cli
