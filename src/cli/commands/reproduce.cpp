// bntrain reproduce: published experiments against what was recorded.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "bench/grid.hpp"
#include "bench/reproduction.hpp"
#include "bench/run_list.hpp"
#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/commands/interrupt.hpp"
#include "cli/flags/names.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/train_options.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/output_files.hpp"
#include "cli/reports/reproduce_report.hpp"
#include "cli/reports/runs_page.hpp"
#include "cli/reports/tables.hpp"
#include "core/rescue.hpp"
#include "core/write_file.hpp"

namespace bntrain::cli {
namespace {

struct ReproduceOptions {
  std::vector<std::string> names;  ///< of experiments; none: all
  bool list = false;               ///< print what there is and end
  std::int64_t seeds = 5;          ///< runs of each arm, with seeds from 0 on
  std::string data;                ///< see load_dataset()
  BackendOptions backend;
  int jobs = 0;     ///< runs at the same time; 0: as many as pays
  std::string out;  ///< folder for the records of the runs; "" = none
  bool json = false;
  LogOptions log;
};

std::vector<bench::Experiment> chosen(const std::vector<std::string>& names) {
  std::vector<bench::Experiment> all = bench::experiments();
  if (names.empty()) return all;
  std::vector<std::string> known;
  for (const bench::Experiment& experiment : all) known.push_back(experiment.name);
  std::vector<bench::Experiment> result;
  for (const std::string& name : names) {
    const auto place = std::find(known.begin(), known.end(), name);
    if (place == known.end()) {
      throw Error(ErrorKind::usage, "unknown experiment '" + name + "'" + suggestion(name, known) +
                                        " (bntrain reproduce --list shows all)");
    }
    result.push_back(all[static_cast<std::size_t>(place - known.begin())]);
  }
  return result;
}

/// Keeps the records of the runs and shows how far they are.
class Collector : public bench::RunListObserver {
 public:
  Collector(const bench::Experiment& experiment, std::size_t runs, const ReproduceOptions& options)
      : experiment_(experiment), records_(runs), options_(options), progress_(shows_progress(options.log)) {}

  void on_progress(std::size_t index, std::int64_t steps, std::int64_t total_steps) override {
    steps_[index] = {steps, total_steps};
    std::int64_t done = 0, total = 0;
    for (const auto& [number, run] : steps_) {
      done += run.first;
      total += run.second;
    }
    // Runs that have not begun will take as long as those that have.
    total = total / static_cast<std::int64_t>(steps_.size()) * static_cast<std::int64_t>(records_.size());
    progress_.update(experiment_.name, done, total, run_text(index));
  }

  void on_run(const bench::EndedRun& run) override {
    std::istringstream lines(run.records);
    records_[run.index] = bench::read_run_record(lines, run_text(run.index));
    if (!options_.out.empty()) keep(run);
    ++finished_;
    progress_.clear();
    const double accuracy = run.result.epochs.empty() ? 0 : run.result.epochs.back().test.accuracy;
    spdlog::info(
        "[{}/{}] {} {}: {} ({:.0f} s)", finished_, records_.size(), experiment_.name, run_text(run.index),
        run.result.end == TrainEnd::diverged ? "diverged" : fmt::format("test accuracy {:.4f}", accuracy),
        run.seconds);
  }

  std::size_t finished() const { return finished_; }
  const std::vector<bench::RunRecord>& records() const { return records_; }

 private:
  std::string run_text(std::size_t index) const {
    const std::size_t arms = experiment_.arms.size();
    return fmt::format("{} seed {}", experiment_.arms[index % arms].name, index / arms);
  }

  void keep(const bench::EndedRun& run) const {
    std::string name = run_text(run.index);
    std::replace(name.begin(), name.end(), ' ', '-');
    try {
      write_or_rescue(std::filesystem::path(options_.out) / (experiment_.name + "-" + name + ".jsonl"),
                      [&](const std::filesystem::path& file) { write_file(file, run.records); });
    } catch (const Error& error) {
      spdlog::warn("{}", error.what());
    }
  }

  const bench::Experiment& experiment_;
  std::vector<bench::RunRecord> records_;
  const ReproduceOptions& options_;
  std::map<std::size_t, std::pair<std::int64_t, std::int64_t>> steps_;
  std::size_t finished_ = 0;
  Progress progress_;
};

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(ErrorKind::data, "out", path + " cannot be made: " + error.message());
  expect_outputs({{"out", (std::filesystem::path(path) / "tried.jsonl").string(), OutputKind::replaced}}, {});
}

void bind_flags(CLI::App& app, ReproduceOptions& options) {
  CLI::App& command =
      add_command(app, "reproduce", "run published experiments and compare them with the recorded results");
  add_argument(command, "NAME", options.names, "experiments, see --list; default: all");
  in_group(command, "Experiments", [&] {
    add_switch(command, "--list", options.list, "show the experiments, what they claim and cost, and end");
    add_integer(command, "--seeds", options.seeds, {2, 1000}, "runs of each kind, with seeds from 0 on");
    add_data(command, options.data);
  });
  in_group(command, "Machine", [&] {
    add_machine(command, options.backend);
    add_jobs(command, options.jobs);
  });
  in_group(command, "Output", [&] {
    add_path(command, "--out", options.out, "DIR", "folder for the records of every run");
    add_output(command, options.json, "one JSON object an experiment instead of the tables on stdout",
               options.log);
  });
  set_footer(
      command,
      {"An experiment is reproduced when the recorded last train loss lies within max(3 standard",
       "deviations, 0.03) of our mean, the recorded best test accuracy within 0.02 of our mean best, and",
       "every claim holds for every seed. Other epochs are shown, not judged.", sources_note(command),
       "Exit codes: 0 all reproduced, 1 failure, 2 usage, 3 bad data or file, 5 not reproduced,",
       "130 Ctrl-C."});
}

int run(const ReproduceOptions& options) {
  adjust_logging(options.log);
  const std::vector<bench::Experiment> experiments = chosen(options.names);
  const Dataset dataset = load_data(options.data);
  if (options.list) {
    print_result(wrapped(experiment_list(experiments, options.seeds, dataset)));
    return 0;
  }
  if (!options.out.empty()) make_folder(options.out);
  std::vector<std::uint64_t> seeds(static_cast<std::size_t>(options.seeds));
  std::iota(seeds.begin(), seeds.end(), 0);
  const auto settings = [&](const TrainConfig& run) {
    return settings_record(run, options.data, options.backend);
  };
  const InterruptGuard interrupt;
  std::vector<std::string> failed;
  for (const bench::Experiment& experiment : experiments) {
    const std::vector<TrainConfig> runs = bench::runs_of(experiment, seeds);
    std::string note;
    const bench::Backends backends = bench::make_backends(options.backend, options.jobs, runs.size(), note);
    if (!note.empty()) spdlog::info("{}", note);
    Collector collector(experiment, runs.size(), options);
    bench::run_list(runs, settings, dataset, backends, collector, interrupt.requested());
    if (collector.finished() < runs.size()) {
      spdlog::warn("interrupted: {} of {} runs of {} were finished", collector.finished(), runs.size(),
                   experiment.name);
      return 128 + interrupt.signal();
    }
    const bench::Judgement judgement = bench::judge(experiment, collector.records());
    print_result(options.json ? one_line(reproduction_record(experiment, judgement))
                              : reproduction_table(experiment, judgement));
    if (!judgement.passed) failed.push_back(experiment.name);
  }
  if (!options.out.empty()) write_runs_page(options.out);
  if (failed.empty()) return 0;
  throw Error(ErrorKind::gate, "not reproduced: " + list_names(failed, "and"));
}

}  // namespace

Run add_reproduce(CLI::App& app) {
  return command<ReproduceOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
