// bntrain bench: batch norm against none, over learning rates, initial values and seeds.
#include <spdlog/spdlog.h>

#include <string>

#include "bench/bench.hpp"
#include "bench/bench_config.hpp"
#include "bench/grid.hpp"
#include "bench/results_files.hpp"
#include "bntrain/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/commands/interrupt.hpp"
#include "cli/flags/experiment.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/train_options.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/bench_report.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/report_script.hpp"
#include "cli/reports/runs_page.hpp"

namespace bntrain::cli {
namespace {

struct BenchOptions {
  bench::BenchConfig config;
  std::string data;                     ///< see load_dataset()
  std::optional<std::int64_t> classes;  ///< see DataNeeds
  BackendOptions backend;
  std::string out = "bntrain-bench";  ///< the folder of the bench
  int jobs = 0;                       ///< runs at the same time; 0: as many as pays
  bool report = false;                ///< make report.html too
  bool json = false;                  ///< results.json instead of the table on stdout
  LogOptions log;
};

struct Compiled {
  std::string variant;
  std::int64_t total_steps = 0;
};

/// Compiles a run of every norm, so that settings that do not fit together are refused before a folder is
/// made.
Compiled compile_once(const bench::BenchConfig& config, const Dataset& dataset, Backend& backend) {
  Compiled compiled;
  for (const Norm norm : config.norms) {
    TrainConfig run = config.train;
    run.norm = norm;
    const Trainer trainer(run, dataset, backend);
    compiled = {trainer.variant(), trainer.total_steps()};
  }
  if (compiled.total_steps > 0) return compiled;
  throw Error(ErrorKind::usage, "a bench needs training steps; --epochs is 0");
}

void log_plan(const bench::Bench& bench, const BenchOptions& options, std::size_t jobs,
              const std::string& backend) {
  const std::size_t runs = bench.runs().size(), left = bench.left().size();
  if (left == 0) {
    spdlog::info("all {} runs are finished in {}", runs, options.out);
    return;
  }
  spdlog::info("{}{}", jobs > 1 ? fmt::format("{} runs at the same time, each on: ", jobs) : "", backend);
  spdlog::info("{} runs{}, to {}", left, left < runs ? fmt::format(" are left of {}", runs) : "",
               options.out);
}

void write_results(const bench::Results& results, const Dataset& dataset, const BenchOptions& options,
                   const bench::BenchFolder& folder) {
  const std::string json =
      bench::results_json(results, dataset).dump(2, ' ', false, Json::error_handler_t::replace);
  folder.write("results.json", json + "\n");
  folder.write("results.csv", bench::results_csv(results));
  write_runs_page(folder.path());
  print_result(options.json ? json : bench_table(results));
}

constexpr std::uint64_t most_seeds = 1000;

/// Binds several of several names, with commas between them.
template <class Value, std::size_t count>
void add_choices(CLI::App& app, const std::string& flag, std::vector<Value>& target,
                 const Named<Value> (&table)[count], const std::string& help) {
  std::vector<std::string> defaults;
  for (const Value value : target) defaults.push_back(name_of(value, table));
  const auto take = [flag, &target, &table](const std::string& text) {
    target = parse_choices<Value>(flag, text, table);
  };
  add_value(app, flag, CLI::detail::join(names_of<Value>(table), "|") + ",...",
            CLI::detail::join(defaults, ","), help, take);
}

void add_grid(CLI::App& app, bench::BenchConfig& config) {
  add_choices(app, "--norm", config.norms, norm_names,
              "none removes the batch norms and keeps initial weights and data order");
  add_choices(app, "--init", config.inits, init_names, "initial values");
  add_numbers(app, "--lr", config.learning_rates, learning_rates, "learning rates");
  add_integer(app, "--seeds", config.seeds, {1, most_seeds}, "runs of each kind, with seeds from --seed on");
  add_number(app, "--target", config.target, {0, 1},
             "test accuracy that a run must reach to count as trained");
}

void add_results(CLI::App& app, BenchOptions& options) {
  add_path(app, "--out", options.out, "DIR",
           "folder of the results; what is finished there is not run again");
  add_switch(app, "--report", options.report,
             "make report.html with plots in DIR too (needs Python, matplotlib)");
  add_output(app, options.json, "results.json instead of the table on stdout", options.log);
}

/// Takes the folder of the bench; the library does not know which flag names it.
bench::BenchFolder open_folder(const std::string& path, const Json& record) {
  try {
    return {path, record};
  } catch (const Error& error) {
    if (!error.message().ends_with(" folder")) throw;
    if (error.setting().empty()) throw Error(error.kind(), error.message() + " with --out");
    throw Error(error.kind(), error.setting(), error.message() + " with --out");
  }
}

int run(const BenchOptions& options) {
  bench::BenchConfig config = options.config;
  config.settings = [&](const TrainConfig& run) {
    return settings_record(run, options.data, options.backend);
  };
  adjust_logging(options.log);
  if (options.report) expect_report_tools();
  const Dataset dataset = load_data(options.data, {.classes = options.classes});
  std::string note;
  const bench::Backends backends =
      bench::make_backends(options.backend, options.jobs, bench::runs_of(config).size(), note);
  if (!note.empty()) spdlog::info("{}", note);
  const Compiled compiled = compile_once(config, dataset, *backends.front());

  bench::BenchFolder folder =
      open_folder(options.out, bench::bench_record(config, dataset, compiled.variant));
  bench::Bench bench(config, dataset, folder);
  log_plan(bench, options, backends.size(), backends.front()->description());
  const InterruptGuard interrupt;
  {
    BenchProgress progress(bench, compiled.total_steps, shows_progress(options.log));
    bench.run(backends, progress, interrupt.requested());
  }
  const bench::Results results = bench.results();
  const bool interrupted = interrupt.requested() && !bench.left().empty();
  try {
    if (results.runs_finished > 0) write_results(results, dataset, options, folder);
  } catch (const ClosedPipe&) {  // the reader may have ended by the same Ctrl-C
    if (!interrupted) throw;
  }
  if (interrupted) {
    spdlog::warn("interrupted: {} of {} runs are finished in {}; the same command runs the rest",
                 results.runs_finished, results.runs_planned, options.out);
    return 128 + interrupt.signal();
  }
  if (options.report) make_report(folder.path());
  return 0;
}

void bind_flags(CLI::App& app, BenchOptions& options) {
  TrainConfig& train = options.config.train;
  train.eval_every = 100;
  CLI::App& command =
      add_command(app, "bench", "compare batch norm with none over learning rates, initial values and seeds");
  in_group(command, "Grid", [&] { add_grid(command, options.config); });
  in_group(command, "Experiment", [&] {
    add_workload(command, options.data, options.classes, train);
    add_experiment(command, train);
    add_eval_every(command, train,
                   "also evaluate every N steps, for the steps to --target; 0: only after epochs");
    add_record(command, train.record, "DIR/runs");
    add_log_every(command, train,
                  "write the loss of every step to DIR/runs, N steps at a time; 0: do not write them");
  });
  in_group(command, "Machine", [&] {
    add_machine(command, options.backend);
    add_jobs(command, options.jobs);
  });
  in_group(command, "Output", [&] { add_results(command, options); });
  set_footer(
      command,
      {"DIR/results.json and results.csv hold the results, DIR/runs the records of every run. After Ctrl-C",
       "or a crash the same command continues; --norm, --init, --lr and --seeds may then name more, and",
       "--target may change, but no other flag that results depend on.", sources_note(command),
       "Exit codes: 0 done, whatever became of the runs, 1 failure, 2 usage, 3 bad data or file,",
       "130 Ctrl-C."});
}

}  // namespace

Run add_bench(CLI::App& app) {
  return command<BenchOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
