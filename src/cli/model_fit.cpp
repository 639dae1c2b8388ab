#include "cli/model_fit.hpp"

#include <spdlog/fmt/fmt.h>

#include "bntrain/error.hpp"

namespace bntrain::cli {

void expect_fit(const std::string& model, const Network& network, const Dataset& dataset) {
  if (network.input() == dataset.train.shape && network.classes() == dataset.classes) return;
  throw Error(
      ErrorKind::data,
      fmt::format("{} takes images {} of {} classes, and the data set {} holds images {} of {} classes; "
                  "name the right one with --data",
                  model, to_string(network.input()), network.classes(), dataset.name,
                  to_string(dataset.train.shape), dataset.classes));
}

}  // namespace bntrain::cli
