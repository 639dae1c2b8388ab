// What was measured, as a table and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/norm_timing.hpp"

namespace bntrain::benchmarks {

/// Of the copy's bandwidth, for tensors that no cache holds.
inline constexpr double kCopyTarget = 0.75;

struct NormReport {
  std::string device, versions;
  int multiprocessors = 0, compute_capability = 0;
  std::uint64_t seed = 0;
  TimingOptions options;
  double copy_bytes_per_second = 0;  ///< measured in the same run
  std::vector<NormRow> rows;
};

double bytes_per_second(const NormRow& row);

/// How many times as fast as cuDNN's better mode for the same pass of the same case; empty where neither was
/// timed.
std::optional<double> against_peer(const NormRow& row, const std::vector<NormRow>& rows);

/// Rows whose result was not right.
bool any_wrong(const NormReport& report);

/// The setting, a line a row, and which targets our automatic choice reaches: kCopyTarget of the copy for
/// tensors beyond the cache, and at no shape slower than cuDNN.
std::string norm_table(const NormReport& report);

nlohmann::ordered_json norm_record(const NormReport& report);

}  // namespace bntrain::benchmarks
