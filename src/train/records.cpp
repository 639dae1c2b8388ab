#include "train/records.hpp"

#include <array>
#include <charconv>
#include <string>

#include "core/processor.hpp"

namespace bntrain {
namespace {

double rate(std::int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

}  // namespace

std::string to_string(EvaluatedSet evaluated) {
  return evaluated == EvaluatedSet::test ? "test" : "valid";
}

std::string to_string(Norm norm) {
  return name_of(norm, norm_names);
}

std::string to_string(Init init) {
  return name_of(init, init_names);
}

// nlohmann writes the shortest text that reads back the same, so rounding the value shortens the text.
double nine_digits(double value) {
  std::array<char, 32> text{};
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 9);
  std::from_chars(text.data(), end, value);
  return value;
}

double images_per_second(const EpochResult& epoch) {
  return rate(epoch.train.count, epoch.train_seconds);
}

Json dataset_record(const Dataset& dataset) {
  return {{"name", dataset.name},
          {"source", dataset.source},
          {"known_digests", dataset.known_digests},
          {"image", to_string(dataset.train.shape)},
          {"classes", dataset.classes},
          {"train", dataset.train.count},
          {"test", dataset.test.count}};
}

Json start_record(const Json& settings, const Dataset& dataset, const Trainer& trainer,
                  const std::string& backend, int jobs) {
  return {{"event", "start"},
          {"config", settings},
          {"seed", trainer.config().seed},
          {"versions", {{"bntrain", BNTRAIN_VERSION}, {"compiler", __VERSION__}}},
          {"processor", processor_name()},
          {"backend", backend},
          {"variant", trainer.variant()},
          {"jobs", jobs},
          {"network", trainer.network().text()},
          {"parameters", trainer.network().parameter_count()},
          {"memory_bytes", trainer.memory_bytes()},
          {"dataset", dataset_record(dataset)},
          {"steps_per_epoch", trainer.steps_per_epoch()},
          {"total_steps", trainer.total_steps()}};
}

Json step_record(std::int64_t epoch, std::int64_t step, const StepMetrics& metrics) {
  return {{"event", "step"},
          {"epoch", epoch},
          {"step", step},
          {"loss", nine_digits(metrics.loss())},
          {"accuracy", metrics.accuracy()},
          {"lr", metrics.lr}};
}

Json evaluation_record(const Evaluation& evaluation) {
  const std::string set = to_string(evaluation.evaluated);
  return {{"event", "evaluation"},
          {"epoch", evaluation.epoch},
          {"step", evaluation.steps},
          {set + "_loss", evaluation.test.loss},
          {set + "_accuracy", evaluation.test.accuracy},
          {"train_seconds", evaluation.train_seconds},
          {"eval_seconds", evaluation.eval_seconds}};
}

Json epoch_record(const EpochResult& epoch) {
  const std::string set = to_string(epoch.evaluated);
  const bool tested = epoch.test.count > 0;
  const auto test = [&](double value) { return tested ? Json(value) : Json(nullptr); };
  return {{"event", "epoch"},
          {"epoch", epoch.epoch},
          {"steps", epoch.steps},
          {"train_loss", epoch.train.loss},
          {"train_accuracy", epoch.train.accuracy},
          {set + "_loss", test(epoch.test.loss)},
          {set + "_accuracy", test(epoch.test.accuracy)},
          {"train_loss_batch_mean", epoch.train.loss_batch_mean},
          {"train_accuracy_batch_mean", epoch.train.accuracy_batch_mean},
          {set + "_loss_batch_mean", test(epoch.test.loss_batch_mean)},
          {set + "_accuracy_batch_mean", test(epoch.test.accuracy_batch_mean)},
          {"seconds", epoch.train_seconds},
          {"images_per_second", images_per_second(epoch)},
          {"eval_seconds", test(epoch.eval_seconds)},
          {"eval_images_per_second", test(rate(epoch.test.count, epoch.eval_seconds))}};
}

Json end_record(const TrainResult& result) {
  const char* status = result.end == TrainEnd::finished      ? "finished"
                       : result.end == TrainEnd::interrupted ? "interrupted"
                                                             : "diverged";
  const std::string set =
      to_string(result.history.last ? result.history.last->evaluated : EvaluatedSet::test);
  Json record = {{"event", "end"},
                 {"status", status},
                 {"steps", result.steps},
                 {"best_" + set + "_accuracy", nullptr},
                 {"best_epoch", nullptr},
                 {"last_" + set + "_accuracy", nullptr},
                 {"last_train_loss", nullptr},
                 {"divergence", nullptr}};
  if (const auto& [count, seconds, best, last] = result.history; last) {
    record["last_train_loss"] = last->train.loss;
    record["last_" + set + "_accuracy"] = last->test.accuracy;
    record["best_" + set + "_accuracy"] = best->test.accuracy;
    record["best_epoch"] = best->epoch;
  }
  if (!result.epochs.empty()) record["last_train_loss"] = result.epochs.back().train.loss;
  const bool tested = result.final_test.count > 0;
  if (tested || (result.end == TrainEnd::finished && set == "valid")) {
    record["test_loss"] = tested ? Json(result.final_test.loss) : Json(nullptr);
    record["test_accuracy"] = tested ? Json(result.final_test.accuracy) : Json(nullptr);
    record["out_of_patience"] = result.out_of_patience;
  }
  if (const auto& divergence = result.divergence) {
    record["divergence"] = {{"epoch", divergence->epoch},
                            {"step", divergence->step},
                            {"lr", divergence->lr},
                            {"layer", divergence->layer}};
  }
  return record;
}

}  // namespace bntrain
