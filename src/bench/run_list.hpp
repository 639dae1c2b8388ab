// Many training runs on one data set, several at the same time where that is faster.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/grid.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/train.hpp"

namespace bntrain::bench {

using Backends = std::vector<std::unique_ptr<Backend>>;

/// One backend for each of the runs that train at the same time. `jobs` is their number; 0: as many as there
/// are CPU threads, because runs on one thread each never wait for another thread. The CPU threads of
/// `options` are shared out among them. A GPU takes one run at a time: Error(usage) for more `jobs`. Never
/// more than `runs`. Otherwise as make_backend().
Backends make_backends(const BackendOptions& options, int jobs, std::size_t runs, std::string& note);

/// One run that ended by itself: finished or diverged.
struct EndedRun {
  std::size_t index = 0;  ///< in the list
  TrainResult result;
  std::string records;  ///< as a RecordWriter writes them
  double seconds = 0;   ///< from its compilation to its end
};

/// Is told what happens. Calls never overlap, but come from several threads.
class RunListObserver {
 public:
  virtual ~RunListObserver() = default;
  /// Run `index` has made `steps` of its `total_steps` steps.
  virtual void on_progress(std::size_t /*index*/, std::int64_t /*steps*/, std::int64_t /*total_steps*/) {}
  virtual void on_run(const EndedRun&) {}
};

/// Trains the runs, whose records state `settings` of each, started in their order, as many at the same time
/// as there are backends. What a run computes depends on neither the others nor their number. Returns when
/// all have ended; or, once `stop` is true, after the steps that are being made: runs that were cut short are
/// not reported. An Error of one run ends all and is thrown here, as is one that the observer throws.
void run_list(std::span<const TrainConfig> runs, const SettingsRecord& settings, const Dataset& dataset,
              const Backends& backends, RunListObserver& observer, const std::atomic<bool>& stop);

}  // namespace bntrain::bench
