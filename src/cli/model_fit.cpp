#include "cli/model_fit.hpp"

#include <spdlog/fmt/fmt.h>

#include "bntrain/error.hpp"

namespace bntrain::cli {

void expect_fit(const Model& model, const std::string& path, const Dataset& dataset) {
  const Network& network = model.network;
  if (network.input() == dataset.test.shape && network.classes() == dataset.classes) return;
  throw Error(
      ErrorKind::data,
      fmt::format("{} was trained on images {} of {} classes, and the data set {} holds images {} of {} "
                  "classes; name the right one with --data",
                  path, bntrain::to_string(network.input()), network.classes(), dataset.name,
                  bntrain::to_string(dataset.test.shape), dataset.classes));
}

}  // namespace bntrain::cli
