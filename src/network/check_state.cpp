#include <map>
#include <set>

#include "bntrain/error.hpp"
#include "bntrain/network.hpp"
#include "network/state_layout.hpp"

namespace bntrain {
namespace {

std::string to_string(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

std::string describe(const StateEntry& entry) {
  return (entry.role == TensorRole::batches_tracked ? "int64 " : "float32 ") + to_string(entry.shape);
}

std::string describe(const Tensor& tensor) {
  const bool integers = std::holds_alternative<std::vector<std::int64_t>>(tensor.values);
  return (integers ? "int64 " : "float32 ") + to_string(tensor.shape);
}

std::int64_t held(const Tensor& tensor) {
  return std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); },
                    tensor.values);
}

}  // namespace

void check_state(const Network& network, const ModelState& state, const std::string& where) {
  std::map<std::string, StateEntry> missing;
  for (StateEntry& entry : state_layout(network)) missing.emplace(entry.name, entry);

  std::string problems;
  const auto complain = [&](const std::string& problem) {
    problems += (problems.empty() ? "" : "; ") + problem;
  };
  std::set<std::string> seen;
  for (const Tensor& tensor : state.tensors) {
    if (!seen.insert(tensor.name).second) {
      complain("tensor '" + tensor.name + "' appears twice");
      continue;
    }
    const auto found = missing.find(tensor.name);
    if (found == missing.end()) {
      complain("unknown tensor '" + tensor.name + "' (" + describe(tensor) + ")");
      continue;
    }
    if (describe(tensor) != describe(found->second)) {
      complain("tensor '" + tensor.name + "' is " + describe(tensor) + ", not " + describe(found->second));
    } else if (held(tensor) != found->second.size) {
      complain("tensor '" + tensor.name + "' holds " + std::to_string(held(tensor)) + " values, not " +
               std::to_string(found->second.size));
    }
    missing.erase(found);
  }
  for (const auto& [name, entry] : missing) {
    const bool bias = entry.role == TensorRole::bias;
    complain("missing tensor '" + name + "' (" + describe(entry) +
             (bias ? "; a layer without it ends in 'nobias')" : ")"));
  }
  if (problems.empty()) return;
  throw Error(ErrorKind::data, where + ": does not fit the network " + network.text() + ": " + problems);
}

}  // namespace bntrain
