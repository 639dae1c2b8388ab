#include "bench/run_list.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <sstream>
#include <system_error>
#include <thread>

#include "backend/cpu/backend.hpp"
#include "bntrain/error.hpp"
#include "train/record_writer.hpp"

namespace bntrain::bench {
namespace {

/// Ends a run whose results will not be used, because another one failed.
struct Abandoned {};

class RunList {
 public:
  RunList(std::span<const TrainConfig> runs, const SettingsRecord& settings, const Dataset& dataset,
          const Backends& backends, RunListObserver& observer, const std::atomic<bool>& stop)
      : runs_(runs),
        settings_(settings),
        dataset_(dataset),
        backends_(backends),
        observer_(observer),
        stop_(stop) {}

  /// Takes runs from the list until there is none left.
  void work(Backend& backend) {
    try {
      while (!stop_ && !failed_) {
        const std::size_t index = next_++;
        if (index >= runs_.size()) return;
        train(index, backend);
      }
    } catch (const Abandoned&) {
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

  template <class Call>
  void tell(const Call& call) {
    if (failed_) throw Abandoned{};
    const std::lock_guard lock(mutex_);
    call(observer_);
  }

 private:
  void train(std::size_t index, Backend& backend);

  std::span<const TrainConfig> runs_;
  const SettingsRecord& settings_;
  const Dataset& dataset_;
  const Backends& backends_;
  RunListObserver& observer_;
  const std::atomic<bool>& stop_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
  std::mutex mutex_;  ///< of the observer and the failure
};

/// Writes the records of one run and passes its progress on.
class RunObserver : public RecordWriter {
 public:
  RunObserver(std::ostream& out, const TrainConfig& run, const Json& start, RunList& list, std::size_t index,
              std::int64_t total_steps)
      : RecordWriter(out, run_name(run), run.log_every > 0, start),
        list_(list),
        index_(index),
        total_steps_(total_steps) {}

  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override {
    RecordWriter::on_steps(epoch, first_step, steps);
    const std::int64_t done = first_step + static_cast<std::int64_t>(steps.size());
    list_.tell([&](RunListObserver& observer) { observer.on_progress(index_, done, total_steps_); });
  }

 private:
  RunList& list_;
  std::size_t index_;
  std::int64_t total_steps_;
};

void RunList::train(std::size_t index, Backend& backend) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Trainer trainer(runs_[index], dataset_, backend);
  std::ostringstream records;
  const Json start = start_record(settings_(runs_[index]), dataset_, trainer, backend.description(),
                                  static_cast<int>(backends_.size()));
  RunObserver observer(records, runs_[index], start, *this, index, trainer.total_steps());
  EndedRun run{.index = index, .result = trainer.run(observer, stop_), .records = {}, .seconds = 0};
  if (run.result.end == TrainEnd::interrupted) return;
  observer.on_end(run.result);
  run.records = records.str();
  run.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  tell([&](RunListObserver& told) { told.on_run(run); });
}

}  // namespace

Backends make_backends(const BackendOptions& options, int jobs, std::size_t runs, std::string& note) {
  Backends backends;
  backends.push_back(make_backend(options, note));
  const bool on_cpu = options.device == Device::cpu || (options.device == Device::automatic && !note.empty());
  if (!on_cpu) {
    if (jobs > 1) {
      throw Error(ErrorKind::usage, "jobs",
                  std::to_string(jobs) + " runs at a time on a GPU, which trains one; allowed: auto and 1");
    }
    return backends;
  }
  const int threads = options.threads > 0 ? options.threads : cpu::usable_cores();
  const auto most = static_cast<int>(std::clamp<std::size_t>(runs, 1, 1024));
  const int count = std::min(jobs > 0 ? jobs : threads, most);
  if (count == 1) return backends;
  backends.clear();
  for (int job = 0; job < count; ++job) {
    // The first ones take the threads that are left over.
    const int share = threads / count + (job < threads % count ? 1 : 0);
    backends.push_back(cpu::make_cpu_backend(std::max(1, share), options.cpu_isa, options.conv));
  }
  return backends;
}

void run_list(std::span<const TrainConfig> runs, const SettingsRecord& settings, const Dataset& dataset,
              const Backends& backends, RunListObserver& observer, const std::atomic<bool>& stop) {
  BNTRAIN_EXPECTS(!backends.empty());
  RunList list(runs, settings, dataset, backends, observer, stop);
  {
    std::vector<std::jthread> others;
    try {
      for (std::size_t job = 1; job < backends.size(); ++job)
        others.emplace_back([&list, &backend = *backends[job]] { list.work(backend); });
    } catch (const std::system_error&) {
      // No more threads are to be had: those that there are share the runs.
    }
    list.work(*backends.front());
  }
  list.rethrow_failure();
}

}  // namespace bntrain::bench
