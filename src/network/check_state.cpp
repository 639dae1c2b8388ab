#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "bntrain/error.hpp"
#include "bntrain/network.hpp"
#include "core/first_few.hpp"
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

/// The same extents in another order are another framework's layout.
std::string order_note(std::vector<std::int64_t> held, std::vector<std::int64_t> wanted) {
  const std::size_t rank = held.size();
  std::ranges::sort(held);
  std::ranges::sort(wanted);
  if (rank < 2 || held != wanted) return "";
  return rank == 2 ? " (it is transposed, as in Keras, TensorFlow and Flax: save its transpose)"
                   : " (its dimensions have another order: PyTorch's is out, in, height, width)";
}

std::int64_t held(const Tensor& tensor) {
  return std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); },
                    tensor.values);
}

}  // namespace

void check_state(const Network& network, const ModelState& state, const std::string& where) {
  std::map<std::string, StateEntry> missing;
  for (StateEntry& entry : state_layout(network)) missing.emplace(entry.name, entry);

  std::vector<std::string> misfits, unknown, absent;
  std::set<std::string> seen;
  for (const Tensor& tensor : state.tensors) {
    if (!seen.insert(tensor.name).second) {
      misfits.push_back("tensor '" + tensor.name + "' appears twice");
      continue;
    }
    const auto found = missing.find(tensor.name);
    if (found == missing.end()) {
      unknown.push_back("unknown tensor '" + tensor.name + "' (" + describe(tensor) + ")");
      continue;
    }
    if (describe(tensor) != describe(found->second)) {
      misfits.push_back("tensor '" + tensor.name + "' is " + describe(tensor) + ", not " +
                        describe(found->second) + order_note(tensor.shape, found->second.shape));
    } else if (held(tensor) != found->second.size) {
      misfits.push_back("tensor '" + tensor.name + "' holds " + std::to_string(held(tensor)) +
                        " values, not " + std::to_string(found->second.size));
    }
    missing.erase(found);
  }
  for (const auto& [name, entry] : missing) {
    const bool bias = entry.role == TensorRole::bias;
    absent.push_back("missing tensor '" + name + "' (" + describe(entry) +
                     (bias ? "; a layer without it ends in 'nobias')" : ")"));
  }
  std::string problems;
  for (const auto& kind : {misfits, unknown, absent})
    if (!kind.empty()) problems += (problems.empty() ? "" : "; ") + first_few(kind, "; ");
  if (problems.empty()) return;
  throw Error(ErrorKind::data, where + ": does not fit the network " + network.text() + ": " + problems);
}

}  // namespace bntrain
