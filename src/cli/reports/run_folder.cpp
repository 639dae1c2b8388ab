#include "cli/reports/run_folder.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"
#include "core/rescue.hpp"
#include "core/write_file.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* last_name = "last.safetensors";
constexpr const char* best_name = "best.safetensors";
constexpr const char* config_name = "config.toml";

/// Records are flushed to the system line by line, which a killed process cannot undo; a lost machine can.
void sync(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

void keep_newest(const fs::path& folder, std::int64_t count) {
  std::vector<fs::path> numbered;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (is_numbered(entry.path())) numbered.push_back(entry.path());
  }
  // Longer names are larger numbers: steps beyond eight digits.
  std::sort(numbered.begin(), numbered.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.string(), y = b.string();
    return x.size() != y.size() ? x.size() < y.size() : x < y;
  });
  for (std::size_t i = 0; i + static_cast<std::size_t>(count) < numbered.size(); ++i)
    fs::remove(numbered[i], ignored);
}

/// The folder, once it is there.
const fs::path& made(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (fs::is_directory(folder)) return folder;
  throw Error(ErrorKind::data, "out",
              "the folder " + folder.string() +
                  " cannot be made: " + (error ? error.message() : "there is a file of that name"));
}

/// As a string of TOML.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char letter : text) {
    if (letter == '\n')
      result += "\\n";
    else if (letter == '\t')
      result += "\\t";
    else if (letter == '\r')
      result += "\\r";
    else
      (letter == '"' || letter == '\\' ? result += '\\' : result) += letter;
  }
  return result + "\"";
}

}  // namespace

bool is_numbered(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with("step-") && name.ends_with(".safetensors");
}

std::string config_file_text(const Json& config) {
  std::string text = "[train]\n";
  for (const auto& [key, value] : config.items()) {
    if (value.is_string() && value.get_ref<const std::string&>().empty()) continue;  // not given
    text += key + " = " + (value.is_string() ? quoted(value.get<std::string>()) : value.dump()) + "\n";
  }
  return text;
}

RunFolder::RunFolder(const TrainOptions& options, Model model, Metadata metadata)
    : options_(options),
      path_(options.out),
      model_(std::move(model)),
      metadata_(std::move(metadata)),
      lock_(made(path_)) {
  model_.state = {};
  if (options.stored) {
    remove_temporary_files(path_);
    return;
  }
  for (const char* name : run_files) {
    if (!fs::exists(path_ / name)) continue;
    throw Error(ErrorKind::usage, "out",
                "the folder " + options.out + " already holds a run (" + name + "); --resume " + options.out +
                    " continues it, or name another folder");
  }
}

Model RunFolder::model_after(std::int64_t steps, const ModelState& state) const {
  Model model = model_;
  model.state = state;
  model.metadata["steps"] = std::to_string(steps);
  return model;
}

CheckpointFile RunFolder::file_of(Checkpoint checkpoint) const {
  Metadata metadata = file_metadata(model_after(checkpoint.progress.steps, {}));
  metadata.insert(metadata_.begin(), metadata_.end());
  return {std::move(checkpoint), std::move(metadata)};
}

void RunFolder::begin(const Trainer& trainer) {
  const CheckpointFile start = file_of(trainer.checkpoint());
  write_checkpoint(path_ / last_name, start);
  // The model of the checkpoint, where a killed run had written a better one of an epoch that comes again.
  write_best(start.checkpoint);
  Json config = settings_record(options_);
  config.erase("out");
  write_file(path_ / config_name, config_file_text(config));
}

void RunFolder::write_best(const Checkpoint& checkpoint) const {
  const EpochResult* epoch = best_epoch(checkpoint.progress.epochs);
  if (epoch == nullptr || checkpoint.best.tensors.empty()) return;
  save_model(path_ / best_name, model_after(epoch->steps, checkpoint.best));
}

void RunFolder::attempt(const std::function<void()>& write) {
  try {
    write();
    failure_.clear();
  } catch (const Error& error) {
    if (failure_.empty()) spdlog::warn("{}; the run goes on, and tries it again", error.what());
    failure_ = error.what();
  }
}

void RunFolder::save(const Trainer& trainer) {
  sync(metrics());
  const CheckpointFile file = file_of(trainer.checkpoint());
  if (first_non_finite(file.checkpoint.model) != nullptr) return;
  attempt([&] {
    if (options_.keep > 0) {
      const std::int64_t steps = file.checkpoint.progress.steps;
      write_checkpoint(path_ / fmt::format("step-{:08}.safetensors", steps), file);
      keep_newest(path_, options_.keep);
    }
    write_checkpoint(path_ / last_name, file);
    if (best_is_due_) write_best(file.checkpoint);
    best_is_due_ = false;
  });
}

void RunFolder::save_best(std::int64_t steps, const ModelState& state) {
  best_is_due_ = true;
  attempt([&] {
    save_model(path_ / best_name, model_after(steps, state));
    best_is_due_ = false;
  });
}

std::string RunFolder::rescue(const Trainer& trainer) const {
  if (failure_.empty()) return "";
  const CheckpointFile file = file_of(trainer.checkpoint());
  if (first_non_finite(file.checkpoint.model) != nullptr) return failure_;
  const std::string folder = rescue_folder().string();
  try {
    if (folder.empty()) return failure_ + "; nor can a temporary folder be made";
    write_checkpoint(fs::path(folder) / last_name, file);
    return failure_ + "; the last checkpoint was written to " + folder + " instead, and --resume " + folder +
           " continues from there";
  } catch (const Error& error) {
    return failure_ + "; " + error.what() + "; the steps since the last checkpoint are lost";
  }
}

}  // namespace bntrain::cli
