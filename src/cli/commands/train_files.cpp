#include "cli/commands/train_files.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"
#include "cli/reports/event_log.hpp"
#include "cli/reports/output_files.hpp"
#include "cli/reports/run_folder.hpp"
#include "core/rescue.hpp"
#include "core/write_file.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::cli {
namespace fs = std::filesystem;
namespace {

/// m.diverged.safetensors beside m.safetensors, which may be a good model of another run.
fs::path diverged_name(const fs::path& path) {
  return path.parent_path() / (path.stem().string() + ".diverged" + path.extension().string());
}

/// Throws Error where the file is one that another run keeps in its folder.
void expect_no_file_of_a_run(const std::string& flag, const std::string& path, const std::string& out) {
  if (path.empty()) return;
  const fs::path file = followed(path);
  const fs::path folder = file.parent_path();
  std::error_code ignored;
  if (std::ranges::find(run_files, file.filename().string()) == run_files.end() || same_file(folder, out) ||
      !fs::exists(folder / run_files.front(), ignored))
    return;
  throw Error(ErrorKind::usage, flag,
              path + " belongs to the run in " + folder.string() + "; name another file");
}

}  // namespace

void check_output_files(const TrainOptions& options) {
  if (options.config.record.any() && options.metrics.empty() && options.out.empty() &&
      options.tensorboard.empty()) {
    throw Error(ErrorKind::usage, "record",
                "it needs --metrics FILE.jsonl, --out RUN or --tensorboard DIR: that is where it is written");
  }
  if (!options.out.empty() && !options.stored) expect_no_run(options.out);
  expect_event_folder(options);
  const MissingFolder folder("out", options.out), events("tensorboard", options.tensorboard);
  std::vector<TakenFile> taken = {{options.init_from, "what --init-from reads", "save"}};
  if (!options.out.empty()) {
    for (const char* name : run_files)
      taken.push_back({(fs::path(options.out) / name).string(), "what --out writes"});
  }
  for (const auto& [flag, path] :
       {std::pair("save", options.save), {"save-gradients", options.save_gradients}}) {
    const fs::path file = followed(path);
    if (is_numbered(file) && same_file(file.parent_path(), options.out))
      throw Error(ErrorKind::usage, flag, path + " has the name of a checkpoint of --out; name another file");
  }
  for (const auto& [flag, path] : {std::pair("save", options.save),
                                   {"save-gradients", options.save_gradients},
                                   {"metrics", options.metrics}})
    expect_no_file_of_a_run(flag, path, options.out);
  expect_outputs({{"save", options.save, OutputKind::safetensors},
                  {"save-gradients", options.save_gradients, OutputKind::safetensors},
                  {"metrics", options.metrics, OutputKind::appended},
                  {"tensorboard", options.tensorboard.empty() ? "" : options.tensorboard + "/events.tmp",
                   OutputKind::appended}},
                 taken);
}

Model described_model(const TrainOptions& options, const Trainer& trainer, const std::string& anew) {
  Model model = trainer.model();
  // Without its folder: models are given away.
  const fs::path from = options.init_from;
  if (!from.empty())
    model.metadata["init"] = (from.has_filename() ? from : from.parent_path()).filename().string();
  if (!anew.empty()) model.metadata[anew_key] = anew;
  return model;
}

std::string save_files(const TrainOptions& options, const Trainer& trainer, TrainEnd end,
                       const std::string& anew) {
  if (options.save.empty() && options.save_gradients.empty()) return "";
  const Model model = described_model(options, trainer, anew);
  const bool diverged = end == TrainEnd::diverged || first_non_finite(model.state) != nullptr;
  std::string problems;
  const auto save = [&](const std::string& path, const std::function<void(const fs::path&)>& write) {
    if (path.empty()) return;
    const fs::path target = diverged ? diverged_name(path) : fs::path(path);
    try {
      write_or_rescue(target, write);
      if (diverged)
        spdlog::warn("what the diverged run leaves is in {}; {} is not written", target.string(), path);
      else
        spdlog::info("saved in {}", path);
    } catch (const Error& error) {
      problems += (problems.empty() ? "" : "; ") + std::string(error.what());
    }
  };
  save(options.save, [&](const fs::path& path) { save_model(path, model); });
  save(options.save_gradients, [&](const fs::path& path) {
    const ModelState gradients = trainer.save_gradients();
    if (const Tensor* found = first_non_finite(gradients))
      spdlog::warn("--save-gradients: '{}' holds NaN or infinity", found->name);
    write_safetensors(path, {gradients, file_metadata(model)});
  });
  return problems;
}

}  // namespace bntrain::cli
