#include "cli/bench_command.hpp"

#include <spdlog/spdlog.h>

#include <string>

#include "bench/bench.hpp"
#include "bench/bench_config.hpp"
#include "bench/results_files.hpp"
#include "bntrain/error.hpp"
#include "cli/bench_progress.hpp"
#include "cli/bench_table.hpp"
#include "cli/data_search.hpp"
#include "cli/interrupt.hpp"
#include "cli/logging.hpp"
#include "cli/report_script.hpp"
#include "cli/train_report.hpp"

namespace bntrain::cli {
namespace {

struct Compiled {
  std::string variant;
  std::int64_t total_steps = 0;
};

/// Compiles a run of every norm, so that what does not fit together shows before a folder is made.
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
  print_result(options.json ? json : bench_table(results));
}

}  // namespace

int run_bench(const BenchOptions& options) {
  const bench::BenchConfig& config = options.config;
  adjust_logging(options.log);
  const Dataset dataset = load_dataset(config.train.data, default_data_search());
  std::string note;
  const bench::Backends backends =
      bench::make_backends(config.train.backend, options.jobs, bench::runs_of(config).size(), note);
  if (!note.empty()) spdlog::info("{}", note);
  const Compiled compiled = compile_once(config, dataset, *backends.front());

  bench::BenchFolder folder(options.out, bench::bench_record(config, dataset, compiled.variant));
  bench::Bench bench(config, dataset, folder);
  log_plan(bench, options, backends.size(), backends.front()->description());
  const InterruptGuard interrupt;
  {
    BenchProgress progress(bench, compiled.total_steps, shows_progress(options.log));
    bench.run(backends, progress, interrupt.requested());
  }
  const bench::Results results = bench.results();
  if (results.runs_finished > 0) write_results(results, dataset, options, folder);
  if (interrupt.requested() && !bench.left().empty()) {
    spdlog::warn("interrupted: {} of {} runs are finished in {}; the same command runs the rest",
                 results.runs_finished, results.runs_planned, options.out);
    return 128 + interrupt.signal();
  }
  if (options.report) make_report(folder.path());
  return 0;
}

}  // namespace bntrain::cli
