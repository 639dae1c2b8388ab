#include "formats/adapt_state.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "bntrain/error.hpp"
#include "core/first_few.hpp"
#include "network/state_layout.hpp"

namespace bntrain {
namespace {

constexpr std::string_view batches_tracked = "num_batches_tracked";

/// The layer and the tensor of "3.body.0.weight".
std::pair<std::string, std::string> split(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

/// Without counts, which some programs do not write.
std::set<std::string> names_of(const Network& network) {
  std::set<std::string> names;
  for (const StateEntry& entry : state_layout(network))
    if (entry.role != TensorRole::batches_tracked) names.insert(entry.name);
  return names;
}

bool is_number(std::string_view part) {
  return !part.empty() && part.find_first_not_of("0123456789") == part.npos;
}

/// The prefixes, ending with a dot or empty, under which all tensors of the network are there.
std::vector<std::string> whole_networks(const ModelState& state, const std::set<std::string>& names) {
  std::map<std::string, std::size_t> counts;
  for (const Tensor& tensor : state.tensors) {
    std::size_t rest = 0;
    do {
      if (names.contains(tensor.name.substr(rest))) ++counts[tensor.name.substr(0, rest)];
      rest = tensor.name.find('.', rest) + 1;
    } while (rest != 0);
  }
  std::vector<std::string> whole;
  for (const auto& [prefix, count] : counts)
    if (count == names.size()) whole.push_back(prefix);
  return whole;
}

/// The words, "model.net.", that all names with a dot begin with.
std::string shared_words(const ModelState& state) {
  std::string shared;
  bool first = true;
  for (const Tensor& tensor : state.tensors) {
    if (tensor.name.find('.') == std::string::npos) continue;
    if (first) shared = tensor.name;
    first = false;
    const auto [end, ignored] = std::ranges::mismatch(shared, tensor.name);
    shared.erase(end, shared.end());
  }
  std::size_t words = 0;
  for (std::size_t dot = 0; (dot = shared.find('.', words)) != std::string::npos; words = dot + 1)
    if (is_number(std::string_view(shared).substr(words, dot - words))) break;
  return shared.substr(0, words);
}

/// What is before the names of the network's tensors.
std::string find_prefix(const ModelState& state, const std::set<std::string>& names,
                        const std::string& where) {
  std::vector<std::string> whole = whole_networks(state, names);
  if (whole.empty()) return shared_words(state);
  if (whole.size() == 1 || whole.front().empty()) return whole.front();
  for (std::string& prefix : whole) prefix = "'" + prefix + "'";
  throw Error(ErrorKind::data, where + ": holds the whole network several times, under " + first_few(whole) +
                                   "; save one of them alone");
}

void take_prefix_off(const Network& network, ModelState& state, const std::string& where,
                     std::vector<Remark>& remarks) {
  const std::string prefix = find_prefix(state, names_of(network), where);
  if (prefix.empty()) return;
  std::vector<std::string> left_out;
  std::erase_if(state.tensors, [&](const Tensor& tensor) {
    const bool other = !tensor.name.starts_with(prefix);
    if (other) left_out.push_back(tensor.name);
    return other;
  });
  for (Tensor& tensor : state.tensors) tensor.name.erase(0, prefix.size());
  remarks.push_back({where + ": the prefix '" + prefix + "' is taken off the names of its tensors"});
  if (!left_out.empty())
    remarks.push_back({where + ": tensors without the prefix are not read: " + first_few(left_out), true});
}

/// Whether layers of an nn.Sequential come in the order a, b: by their numbers, part by part.
bool comes_before(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const std::string_view x = a.substr(0, a.find('.')), y = b.substr(0, b.find('.'));
    std::int64_t left = -1, right = -1;
    std::from_chars(x.data(), x.data() + x.size(), left);
    std::from_chars(y.data(), y.data() + y.size(), right);
    if (left != right) return left < right;
    if (x != y) return x < y;  // "body", "shortcut"
    a.remove_prefix(std::min(a.size(), x.size() + 1));
    b.remove_prefix(std::min(b.size(), y.size() + 1));
  }
  return a.size() < b.size();
}

struct ByPlace {
  bool operator()(const std::string& a, const std::string& b) const { return comes_before(a, b); }
};

/// A layer's tensors: their shapes by their names.
using LayerShapes = std::map<std::string, std::vector<std::int64_t>>;
using Layers = std::map<std::string, LayerShapes, ByPlace>;

void add(Layers& layers, const std::string& name, const std::vector<std::int64_t>& shape) {
  const auto [layer, tensor] = split(name);
  if (tensor != batches_tracked) layers[layer][tensor] = shape;
}

bool agree(LayerShapes a, LayerShapes b, bool last) {
  if (last) {
    for (LayerShapes* layer : {&a, &b})
      for (auto& [name, shape] : *layer)
        if (!shape.empty()) shape.front() = 0;
  }
  return a == b;
}

/// Numbers alone have an order; "body" and "shortcut" are those of residual blocks.
bool has_place(const std::string& layer) {
  std::string_view rest = layer;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('.'));
    if (!is_number(part) && part != "body" && part != "shortcut") return false;
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  return !layer.empty();
}

void match_by_order(const Network& network, ModelState& state, const std::string& where,
                    std::vector<Remark>& remarks) {
  Layers wanted, held;
  for (const StateEntry& entry : state_layout(network)) add(wanted, entry.name, entry.shape);
  for (const Tensor& tensor : state.tensors) add(held, tensor.name, tensor.shape);
  if (wanted.size() != held.size()) return;
  std::map<std::string, std::string> new_names;
  std::vector<std::string> changes;
  for (auto from = held.begin(), to = wanted.begin(); from != held.end(); ++from, ++to) {
    if (!has_place(from->first) || !agree(from->second, to->second, std::next(to) == wanted.end())) return;
    new_names[from->first] = to->first;
    if (from->first != to->first) changes.push_back(from->first + " as " + to->first);
  }
  if (changes.empty()) return;
  for (Tensor& tensor : state.tensors) {
    const auto [layer, name] = split(tensor.name);
    if (const auto found = new_names.find(layer); found != new_names.end())
      tensor.name = found->second + "." + name;
  }
  remarks.push_back(
      {where + ": the layers have other numbers than in " + network.text() +
           " and are taken in their order, " + first_few(changes) +
           "; make sure that only layers without weights, such as Dropout, are not in the network",
       true});
}

/// An integer scalar, where the tensor holds one whole number of whatever type.
void make_count(Tensor& tensor) {
  if (tensor.size() != 1) return;
  if (const auto* floats = std::get_if<std::vector<float>>(&tensor.values)) {
    constexpr float exact = 1 << 24;
    if (std::trunc(floats->at(0)) != floats->at(0) || std::abs(floats->at(0)) > exact) return;
    tensor.values = std::vector<std::int64_t>{static_cast<std::int64_t>(floats->at(0))};
  }
  tensor.shape.clear();
}

void complete_counts(const Network& network, ModelState& state, const std::string& where,
                     std::vector<Remark>& remarks) {
  std::vector<std::string> missing;
  for (const StateEntry& entry : state_layout(network)) {
    if (entry.role != TensorRole::batches_tracked) continue;
    const auto found = std::ranges::find(state.tensors, entry.name, &Tensor::name);
    if (found != state.tensors.end()) {
      make_count(*found);
    } else {
      missing.push_back(entry.name);
      state.tensors.push_back({entry.name, {}, std::vector<std::int64_t>{0}});
    }
  }
  if (!missing.empty())
    remarks.push_back({where + ": counted as 0 because it is missing: " + first_few(missing)});
}

}  // namespace

ModelState adapt_state(const Network& network, ModelState state, const std::string& where,
                       std::vector<Remark>& remarks) {
  std::erase_if(state.tensors, [](const Tensor& tensor) { return tensor.size() == 0; });
  take_prefix_off(network, state, where, remarks);
  match_by_order(network, state, where, remarks);
  complete_counts(network, state, where, remarks);
  return state;
}

}  // namespace bntrain
