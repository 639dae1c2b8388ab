#include "cli/reports/run_folder.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"
#include "cli/flags/config_file.hpp"
#include "cli/flags/paths.hpp"
#include "cli/reports/live_page.hpp"
#include "core/rescue.hpp"
#include "core/write_file.hpp"
#include "formats/safetensors.hpp"
#include "report/page.hpp"
#include "train/mistakes.hpp"

namespace bntrain::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* last_name = "last.safetensors";
constexpr const char* best_name = "best.safetensors";
constexpr const char* config_name = "config.toml";
constexpr const char* evaluation_name = "evaluation.json";

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

}  // namespace

bool is_numbered(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with("step-") && name.ends_with(".safetensors");
}

void expect_no_run(const std::string& folder) {
  std::error_code ignored;
  for (const char* name : run_files) {
    const fs::path file = fs::path(folder) / name;
    if (!fs::exists(file, ignored)) continue;
    std::string problem = " already holds a run (" + std::string(name) + "); ";
    if (name == std::string(last_name))
      problem += "--resume " + folder + " continues it, or name another folder";
    else if (name == std::string(page_name) && !report::is_page(file))
      problem = " holds a " + std::string(page_name) +
                " that is no page of bntrain's, and the run would write one; move it away, or name another "
                "folder";
    else
      problem += "it has no checkpoint to resume from: name another folder, or move the file away";
    throw Error(ErrorKind::usage, "out", "the folder " + folder + problem);
  }
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
  expect_no_run(options.out);
}

Model RunFolder::model_after(std::int64_t steps, const ModelState& state) const {
  Model model = model_;
  model.state = state;
  model.metadata["steps"] = std::to_string(steps);
  return model;
}

CheckpointFile RunFolder::file_of(Checkpoint checkpoint, const fs::path& folder) const {
  Metadata metadata = file_metadata(model_after(checkpoint.progress.steps, {}));
  metadata.insert(metadata_.begin(), metadata_.end());
  // The way to where relative names begin.
  std::error_code ignored;
  const fs::path here = fs::current_path(ignored);
  metadata["bntrain.start"] = percent_encoded(fs::relative(here, here / folder, ignored).string());
  return {std::move(checkpoint), std::move(metadata)};
}

void RunFolder::begin(const Trainer& trainer) {
  const CheckpointFile start = file_of(trainer.checkpoint(), path_);
  write_checkpoint(path_ / last_name, start);
  // The model of the checkpoint, where a killed run had written a better one of an epoch that comes again.
  write_best(start.checkpoint);
  Json config = settings_record(options_);
  config.erase("out");
  config.erase("tensorboard");  // as well a folder of this run alone
  // A resumed run has the number of steps that its schedule began with; where that is the run's, no one said
  // it.
  if (options_.stored && options_.config.schedule.text != "constant" &&
      trainer.schedule().steps() == trainer.total_steps())
    config["schedule-steps"] = 0;
  std::string text = config_file_text(config);
  for (const Json& change : options_.changes)
    text += fmt::format("# {} was {} up to step {}\n", change.at("setting").get<std::string>(),
                        change.at("from").dump(), change.at("step").dump());
  write_file(path_ / config_name, text);
}

void RunFolder::write_best(const Checkpoint& checkpoint) const {
  const auto& [model, optimizer, best, progress] = checkpoint;
  if (!best.tensors.empty()) save_model(path_ / best_name, model_after(progress.epochs.best->steps, best));
}

void RunFolder::attempt(const std::function<void()>& write) {
  std::string failure;
  try {
    write();
  } catch (const Error& error) {
    failure = error.what();
  } catch (const std::bad_alloc&) {
    failure = path_.string() + ": there is not enough memory for a checkpoint";
  }
  if (failure_.empty() && !failure.empty()) spdlog::warn("{}; the run goes on, and tries it again", failure);
  failure_ = failure;
}

void RunFolder::save(const Trainer& trainer) {
  sync(metrics());
  attempt([&] {
    const CheckpointFile file = file_of(trainer.checkpoint(), path_);
    if (first_non_finite(file.checkpoint.model) != nullptr) return;
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

void RunFolder::save_evaluation(const Trainer& trainer, const EpochResult& epoch,
                                const std::vector<float>& logits) {
  std::string failure;
  try {
    write_file(path_ / evaluation_name, one_line(evaluation_details(epoch, trainer.data(), logits)) + "\n");
  } catch (const Error& error) {
    failure = error.what();
  } catch (const std::bad_alloc&) {
    failure = (path_ / evaluation_name).string() + ": there is not enough memory for it";
  }
  if (!failure.empty() && !evaluation_failed_)
    spdlog::warn("{}; the run goes on without the details of its evaluations", failure);
  evaluation_failed_ = evaluation_failed_ || !failure.empty();
}

std::string RunFolder::rescue(const Trainer& trainer) {
  if (failure_.empty()) return "";
  const std::string reason = failure_;
  std::string where;
  attempt([&] {
    const fs::path folder = rescue_folder();
    const CheckpointFile file = file_of(trainer.checkpoint(), folder);
    if (folder.empty() || first_non_finite(file.checkpoint.model) != nullptr) return;
    write_checkpoint(folder / last_name, file);
    where = folder.string();
  });
  if (where.empty()) return reason + "; the steps since the last checkpoint are lost";
  return reason + "; the last checkpoint was written to " + where + " instead, and --resume " + where +
         " continues from there";
}

}  // namespace bntrain::cli
