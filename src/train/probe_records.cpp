// The records of a Probe.
#include <string>

#include "train/probe.hpp"
#include "train/records.hpp"

namespace bntrain {
namespace {

Json by_percent(const Percentiles& values) {
  Json record = Json::object();
  for (std::size_t i = 0; i < percents.size(); ++i) {
    record[std::to_string(percents[i])] = nine_digits(values[i]);
  }
  return record;
}

Json channel_record(const NormChannel& channel) {
  return {{"batch_mean", nine_digits(channel.batch_mean)},
          {"batch_var", nine_digits(channel.batch_var)},
          {"running_mean", nine_digits(channel.running_mean)},
          {"running_var", nine_digits(channel.running_var)},
          {"gamma", nine_digits(channel.gamma)},
          {"beta", nine_digits(channel.beta)}};
}

}  // namespace

std::vector<Json> probe_records(const StepRecord& record) {
  std::vector<Json> records;
  for (const NormRecord& norm : record.norms) {
    Json channels = Json::array();
    for (const NormChannel& channel : norm.channels) channels.push_back(channel_record(channel));
    records.push_back({{"event", "bn"},
                       {"step", record.step},
                       {"layer", norm.layer},
                       {"input_percentiles", by_percent(norm.input)},
                       {"channels", channels},
                       {"gradient_norm_output", nine_digits(norm.gradient_norm_output)},
                       {"gradient_norm_input", nine_digits(norm.gradient_norm_input)}});
  }
  for (const ActivationRecord& activation : record.activations) {
    records.push_back({{"event", "activation"},
                       {"step", record.step},
                       {"layer", activation.layer},
                       {"unit", 0},
                       {"percentiles", by_percent(activation.unit)},
                       {"all_percentiles", by_percent(activation.all)}});
  }
  return records;
}

}  // namespace bntrain
