// A checkpoint as a safetensors file: tensors for what is large, strings of JSON for the rest.
#include "bntrain/model_file.hpp"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "bntrain/error.hpp"
#include "core/digest.hpp"
#include "formats/progress_json.hpp"
#include "formats/safetensors.hpp"

namespace bntrain {
namespace {

using nlohmann::json;

// Version 1 had one optimiser state without a name, under "bntrain.momentum."; versions 1 and 2 had every
// step of the epoch in progress and every epoch in the JSON of the progress.
constexpr const char* format_version = "3";
constexpr const char* generator = "Philox4x32-10";
constexpr std::string_view optimizer_prefix = "bntrain.optimizer.";
constexpr std::string_view momentum_prefix = "bntrain.momentum.";
constexpr const char* best_prefix = "bntrain.best.";
constexpr const char* measured_name = "bntrain.measured";

void append(ModelState& all, const ModelState& part, const std::string& prefix) {
  for (Tensor tensor : part.tensors) {
    tensor.name.insert(0, prefix);
    all.tensors.push_back(std::move(tensor));
  }
}

/// Over every tensor and every string but the checksum itself, each after its length, so that nothing can
/// move from one to the next.
std::string checksum(const TensorFile& file) {
  Sha256 digest;
  const auto add = [&](std::string_view text) {
    digest.update(std::to_string(text.size()) + ":");
    digest.update(text);
  };
  std::map<std::string_view, const Tensor*> tensors;  // a reader may list them in another order
  for (const Tensor& tensor : file.state.tensors) tensors.emplace(tensor.name, &tensor);
  for (const auto& [name, tensor] : tensors) {
    add(name);
    add(json(tensor->shape).dump());
    std::visit(
        [&](const auto& values) {
          add({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
        },
        tensor->values);
  }
  for (const auto& [key, text] : file.metadata) {
    if (key == "bntrain.sha256") continue;
    add(key);
    add(text);
  }
  return digest.hex();
}

/// The random streams are counters: seed and epoch are all the state that they have.
json random_state(const TrainProgress& progress) {
  return {{"generator", generator}, {"seed", progress.seed}, {"epoch", progress.epochs.count}};
}

/// A row a step: the bits of the sum of the losses, a double, then the integers.
Tensor measured_tensor(const std::vector<StepMetrics>& measured) {
  std::vector<std::int64_t> values;
  values.reserve(3 * measured.size());
  for (const StepMetrics& step : measured)
    values.insert(values.end(), {std::bit_cast<std::int64_t>(step.loss_sum), step.correct, step.count});
  return {measured_name, {static_cast<std::int64_t>(measured.size()), 3}, std::move(values)};
}

/// Nothing for a tensor of another form.
std::optional<std::vector<StepMetrics>> measured_from(const Tensor& tensor) {
  const auto* values = std::get_if<std::vector<std::int64_t>>(&tensor.values);
  if (values == nullptr || tensor.shape.size() != 2 || tensor.shape[1] != 3) return std::nullopt;
  std::vector<StepMetrics> measured;
  measured.reserve(values->size() / 3);
  for (std::size_t i = 0; i < values->size(); i += 3)
    measured.push_back({std::bit_cast<double>((*values)[i]), (*values)[i + 1], (*values)[i + 2]});
  return measured;
}

/// The state of that name, added where there is none yet.
ModelState& state_of(std::vector<OptimizerState>& optimizer, const std::string& name) {
  const auto found = std::ranges::find(optimizer, name, &OptimizerState::name);
  return found != optimizer.end() ? found->state : optimizer.emplace_back(OptimizerState{name, {}}).state;
}

/// Moves a tensor of a file to its place, its name without the prefix.
void sort_in(Tensor tensor, Checkpoint& checkpoint) {
  const auto has_prefix = [&](std::string_view prefix) {
    if (!tensor.name.starts_with(prefix)) return false;
    tensor.name.erase(0, prefix.size());
    return true;
  };
  ModelState* state = &checkpoint.model;
  if (has_prefix(best_prefix)) {
    state = &checkpoint.best;
  } else if (has_prefix(momentum_prefix)) {
    state = &state_of(checkpoint.optimizer, "momentum_buffer");
  } else if (has_prefix(optimizer_prefix)) {
    const std::size_t dot = tensor.name.find('.');
    state = &state_of(checkpoint.optimizer, tensor.name.substr(0, dot));
    tensor.name.erase(0, dot == std::string::npos ? dot : dot + 1);
  }
  state->tensors.push_back(std::move(tensor));
}

/// Takes the strings that belong to the format out of a file; every refusal names the file.
class Strings {
 public:
  Strings(const std::filesystem::path& path, std::map<std::string, std::string>& strings)
      : path_(path), strings_(strings) {}

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::data, path_.string() + ": " + problem);
  }

  std::string take(const std::string& key) {
    const auto node = strings_.extract(key);
    if (node.empty())
      fail("this is not a checkpoint: " + key + " is missing; a model alone cannot be resumed");
    return node.mapped();
  }

 private:
  const std::filesystem::path& path_;
  std::map<std::string, std::string>& strings_;
};

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const CheckpointFile& file) {
  const Checkpoint& checkpoint = file.checkpoint;
  TensorFile stored{checkpoint.model, file.metadata};
  for (auto& [key, text] : stored.metadata) text = valid_utf8(text);  // as the checksum must find it again
  for (const auto& [name, state] : checkpoint.optimizer) {
    BNTRAIN_EXPECTS(!name.empty() && name.find('.') == std::string::npos);
    append(stored.state, state, std::string(optimizer_prefix) + name + ".");
  }
  append(stored.state, checkpoint.best, best_prefix);
  stored.state.tensors.push_back(measured_tensor(checkpoint.progress.measured));
  const auto add = [&](const char* key, const std::string& text) {
    const bool is_new = stored.metadata.emplace(key, text).second;
    BNTRAIN_EXPECTS(is_new);
  };
  add("bntrain.format", format_version);
  add("bntrain.random", random_state(checkpoint.progress).dump());
  add("bntrain.progress", progress_json(checkpoint.progress).dump());
  add("bntrain.sha256", checksum(stored));
  write_safetensors(path, stored);
}

CheckpointFile read_checkpoint(const std::filesystem::path& path) {
  TensorFile stored = read_safetensors(path);
  const std::string expected = checksum(stored);
  Strings strings(path, stored.metadata);
  const std::string version = strings.take("bntrain.format");
  const bool has_lists = version == "1" || version == "2";
  if (!has_lists && version != format_version) {
    strings.fail("this checkpoint has format " + version + "; this version of bntrain reads formats 1 to " +
                 format_version);
  }
  if (strings.take("bntrain.sha256") != expected) {
    strings.fail("this checkpoint is damaged: its contents do not match its checksum");
  }

  CheckpointFile file;
  try {
    const json progress = json::parse(strings.take("bntrain.progress"));
    file.checkpoint.progress = has_lists ? progress_from_lists(progress) : progress_from(progress);
    if (json::parse(strings.take("bntrain.random")) != random_state(file.checkpoint.progress)) {
      strings.fail("it was made with another random number generator or seed");
    }
  } catch (const json::exception& error) {
    strings.fail(std::string("this checkpoint cannot be read: ") + error.what());
  }
  for (Tensor& tensor : stored.state.tensors) {
    if (tensor.name != measured_name) {
      sort_in(std::move(tensor), file.checkpoint);
    } else if (auto measured = measured_from(tensor)) {
      file.checkpoint.progress.measured = std::move(*measured);
    } else {
      strings.fail("this checkpoint cannot be read: " + tensor.name + " is not a list of steps");
    }
  }
  file.metadata = std::move(stored.metadata);
  return file;
}

}  // namespace bntrain
