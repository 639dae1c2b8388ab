// The flags of bntrain bench. Every default is the reference experiment's value, or makes the default grid.
#include "cli/bench_command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/logging.hpp"
#include "cli/option_values.hpp"
#include "cli/record_option.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {
namespace {

constexpr std::uint64_t most_seeds = 1000;

void add_grid(CLI::App& app, bench::BenchConfig& config) {
  add_choices<Norm>(app, "--norm", config.norms, norm_choices(),
                    "none takes the batch norms out and keeps weights and data order");
  add_choices<Init>(app, "--init", config.inits, init_choices(), "initial values");
  add_numbers(app, "--lr", config.learning_rates, learning_rates, "learning rates");
  add_integer(app, "--seeds", config.seeds, {1, most_seeds}, "runs of each kind, with seeds from --seed on");
  add_number(app, "--target", config.target, {0, 1},
             "test accuracy that a run must reach to count as trained");
}

void add_output(CLI::App& app, BenchOptions& options) {
  add_text(app, "--out", options.out, "DIR",
           "folder of the results; what is finished there is not run again");
  add_switch(app, "--report", options.report,
             "make report.html with plots in DIR too (needs Python, matplotlib)");
  add_switch(app, "--json", options.json, "results.json instead of the table on stdout");
  add_log_options(app, options.log);
}

}  // namespace

void setup_bench(CLI::App& app, BenchOptions& options) {
  TrainConfig& train = options.config.train;
  train.eval_every = 100;
  CLI::App& command =
      add_command(app, "bench", "compare batch norm with none over learning rates, initial values and seeds");
  in_group(command, "Grid", [&] { add_grid(command, options.config); });
  in_group(command, "Experiment", [&] {
    add_workload(command, train);
    add_experiment(command, train);
    add_eval_every(command, train,
                   "look at the test set every N steps too, for the steps to --target; 0: only after epochs");
    add_record(command, train.record, "DIR/runs");
    add_log_every(command, train,
                  "look at the losses every N steps and write each step's to DIR/runs; 0: do not write them");
  });
  in_group(command, "Machine", [&] {
    add_machine(command, train.backend);
    add_jobs(command, options.jobs);
  });
  in_group(command, "Output", [&] { add_output(command, options); });
  set_footer(
      command,
      {"DIR/results.json and results.csv hold the results, DIR/runs the records of every run. After Ctrl-C",
       "or a crash the same command goes on; --norm, --init, --lr and --seeds may then name more, and",
       "--target may change, but no other flag that results depend on.", sources_note(command),
       "Exit codes: 0 done, whatever became of the runs, 1 failure, 2 usage, 3 bad data or file,",
       "130 Ctrl-C."});
}

}  // namespace bntrain::cli
