// The options of bntrain train.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/model_file.hpp"
#include "bntrain/train.hpp"
#include "cli/reports/output.hpp"
#include "train/records.hpp"

namespace bntrain::cli {

inline constexpr Named<Device> device_names[] = {
    {"auto", Device::automatic}, {"cpu", Device::cpu}, {"cuda", Device::cuda}, {"check", Device::check}};
inline constexpr Named<ConvMethod> conv_names[] = {
    {"auto", ConvMethod::automatic}, {"direct", ConvMethod::direct}, {"winograd", ConvMethod::winograd}};
inline constexpr Named<Precision> precision_names[] = {{"fp32", Precision::fp32}, {"tf32", Precision::tf32}};
inline constexpr Named<OptimizerKind> optimizer_names[] = {{"sgd", OptimizerKind::sgd},
                                                           {"adamw", OptimizerKind::adamw}};

struct TrainOptions {
  TrainConfig config;
  std::string data;                     ///< see load_dataset()
  std::optional<std::int64_t> classes;  ///< see DataNeeds
  BackendOptions backend;

  // what is read and written ("" = nothing)
  std::string init_from;               ///< initial values in place of config.init
  std::vector<std::string> init_skip;  ///< layers or tensors that do not take theirs from init_from
  std::string save;                    ///< the model at the end
  std::string save_gradients;          ///< of the last step
  std::string metrics;                 ///< the records of the run
  std::string tensorboard;             ///< the folder of its event files
  std::string out;                     ///< the run's folder
  std::int64_t keep = 0;               ///< numbered checkpoints that are kept beside the last
  bool no_report = false;              ///< no page in the run's folder

  std::string resume;                    ///< folder of the run to continue; "" begins one
  std::optional<CheckpointFile> stored;  ///< its last checkpoint
  std::string stored_events;             ///< the folder of its event files, where the run is now
  Json changes = Json::array();          ///< what resuming it changed: step, setting, from, to

  std::optional<double> assert_accuracy;  ///< the last test accuracy must reach this
  bool summary = false;                   ///< print the layers and end
  bool json = false;                      ///< JSON objects instead of text lines on stdout
  LogOptions log;
};

/// The settings of a run by the names of their flags, without dashes: what records and checkpoints say of it.
Json settings_record(const TrainOptions& options);
/// Of one of many runs, which differ in `config`.
Json settings_record(const TrainConfig& config, const std::string& data, const BackendOptions& backend);

/// "bn,activations", "" for nothing
std::string to_string(const RecordOptions& record);

}  // namespace bntrain::cli
