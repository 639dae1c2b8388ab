#include <algorithm>
#include <cmath>

#include "bntrain/error.hpp"
#include "bntrain/network.hpp"
#include "core/first_few.hpp"
#include "network/state_layout.hpp"

namespace bntrain {
namespace {

bool is_running(TensorRole role) {
  return role == TensorRole::running_mean || role == TensorRole::running_var;
}

/// "tensor '1.running_var' of 1 bn"
std::string describe(const Network& network, const StateEntry& entry) {
  const std::string name = entry.name.substr(0, entry.name.rfind('.'));
  const auto layer = std::ranges::find(network.layers(), name, &Layer::name);
  BNTRAIN_EXPECTS(layer != network.layers().end());
  return "tensor '" + entry.name + "' of " + name + " " + layer->text;
}

/// What no network can compute with, and what is worth a word, of one tensor.
struct Findings {
  std::string problem, remark;
};

Findings examine(const StateEntry& entry, const std::vector<float>& values, StatisticsUse use) {
  std::size_t nan = 0, infinite = 0, negative = 0, zero = 0;
  for (const float value : values) {
    nan += std::isnan(value) ? 1 : 0;
    infinite += std::isinf(value) ? 1 : 0;
    negative += value < 0 ? 1 : 0;
    zero += value == 0 ? 1 : 0;
  }
  const auto count_of = [&](std::size_t count) {
    return std::to_string(count) + " of " + std::to_string(values.size()) +
           (values.size() == 1 ? " value" : " values");
  };
  if (nan > 0) return {count_of(nan) + " NaN", ""};
  if (entry.role != TensorRole::running_var)
    return {infinite > 0 ? count_of(infinite) + " not finite (infinity)" : "", ""};
  if (negative > 0) return {count_of(negative) + " negative, which no variance is", ""};
  if (infinite > 0)
    return {"", count_of(infinite) + " infinite; in inference the output of such a channel is constant"};
  if (zero == values.size() && use == StatisticsUse::inference)
    return {"", "all values are 0; no training step has written it"};
  return {};
}

}  // namespace

std::vector<Remark> check_values(const Network& network, const ModelState& state, const std::string& where,
                                 StatisticsUse use) {
  std::vector<std::string> problems;
  std::vector<Remark> remarks;
  for (const StateEntry& entry : state_layout(network)) {
    const Tensor* tensor = state.find(entry.name);
    BNTRAIN_EXPECTS(tensor != nullptr);
    if (entry.role == TensorRole::batches_tracked) {
      if (std::get<std::vector<std::int64_t>>(tensor->values).at(0) < 0)
        problems.push_back(describe(network, entry) + ": a count below 0");
      continue;
    }
    const auto [problem, remark] = examine(entry, tensor->floats(), use);
    const std::string what = describe(network, entry) + ": ";
    const bool unused = is_running(entry.role) && use == StatisticsUse::none;
    if (!problem.empty() && !unused) problems.push_back(what + problem);
    if (!problem.empty() && unused) remarks.push_back({where + ": " + what + problem, true});
    if (!remark.empty()) remarks.push_back({where + ": " + what + remark, true});
  }
  if (problems.empty()) return remarks;
  throw Error(ErrorKind::data, where + ": nothing can be computed with " + first_few(problems, "; "));
}

}  // namespace bntrain
