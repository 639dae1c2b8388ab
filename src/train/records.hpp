// The records of a training run: JSON objects. Numbers that are not finite become null.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bntrain/dataset.hpp"
#include "bntrain/train.hpp"
#include "core/named.hpp"

namespace bntrain {

using Json = nlohmann::ordered_json;

/// The record on one line, without its end. File names need not be UTF-8; a replaced character is better than
/// no record.
std::string one_line(const Json& record);

/// Reads one_line() back. Discarded when it is not JSON, or nested more deeply than a record can be:
/// copying, comparing and printing JSON take stack for every level.
Json parse_record(const std::string& text);

Json dataset_record(const Dataset& dataset);

/// `settings`, the whole resolved configuration as the caller names it, with what the bits and the times of a
/// run depend on besides it. `jobs` is the number of runs that shared the machine.
Json start_record(const Json& settings, const Dataset& dataset, const Trainer& trainer,
                  const std::string& backend, int jobs = 1);

/// The loss has 9 significant digits: all that a float32 has.
Json step_record(std::int64_t epoch, std::int64_t step, const StepMetrics& metrics);

Json evaluation_record(const Evaluation& evaluation);

/// One object per batch norm, then one per activation layer, as docs/record.md describes them; 9 digits.
std::vector<Json> probe_records(const StepRecord& record);

/// The fields of the evaluation are called test_... or valid_..., by the images that it saw, and are null
/// when the epoch was interrupted.
Json epoch_record(const EpochResult& epoch);

Json end_record(const TrainResult& result);

inline constexpr Named<Norm> norm_names[] = {{"batch", Norm::batch}, {"none", Norm::none}};
inline constexpr Named<Init> init_names[] = {{"tutorial", Init::tutorial},
                                             {"gluon", Init::gluon},
                                             {"torch", Init::torch},
                                             {"he", Init::he},
                                             {"xavier", Init::xavier}};
std::string to_string(Norm norm);
std::string to_string(Init init);

/// "test" or "valid": how the fields of an evaluation begin.
std::string to_string(EvaluatedSet evaluated);

/// Rounded to 9 significant digits, all that a float32 has.
double nine_digits(double value);

/// Training images per second of training, without evaluation.
double images_per_second(const EpochResult& epoch);

}  // namespace bntrain
