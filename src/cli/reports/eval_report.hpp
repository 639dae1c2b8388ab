// The results of bntrain eval as tables, as JSON and as CSV.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/metrics.hpp"
#include "core/confusion.hpp"
#include "core/named.hpp"
#include "train/records.hpp"

namespace bntrain::cli {

/// What batch norms divide by; docs/eval.md defines them.
enum class NormStatistics { running, batch, recomputed };
inline constexpr Named<NormStatistics> statistics_names[] = {{"running", NormStatistics::running},
                                                             {"batch", NormStatistics::batch},
                                                             {"recomputed", NormStatistics::recomputed}};
std::string to_string(NormStatistics statistics);

/// One way of evaluating the model.
struct EvalResult {
  NormStatistics statistics = NormStatistics::running;
  AverageMetrics metrics;
  ConfusionMatrix confusion;
};

struct EvalReport {
  std::string model, network;
  std::string dataset, split;
  std::int64_t batch_size = 0;
  std::string backend, variant;
  std::vector<std::string> classes;  ///< names
  std::vector<EvalResult> results;   ///< at least one; the tables of classes are the first one's
};

/// Loss and accuracy, one line for each result; scores by class; the confusion matrix.
std::string eval_tables(const EvalReport& report);

/// Scores that are 0 / 0 are 0, a loss that is not finite is null.
Json eval_record(const EvalReport& report);

/// A heading and a row a class: its scores, then its row of the confusion matrix.
std::string eval_csv(const EvalReport& report);

}  // namespace bntrain::cli
