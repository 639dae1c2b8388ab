#include "cli/flags/train_options.hpp"

#include "cli/flags/paths.hpp"
#include "core/number_text.hpp"

namespace bntrain::cli {
namespace {

std::string device_text(const BackendOptions& backend) {
  const std::string name = name_of(backend.device, device_names);
  return backend.gpu == 0 ? name : name + ":" + std::to_string(backend.gpu);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

}  // namespace

std::string to_string(const RecordOptions& record) {
  if (!record.activations) return record.norms ? "bn" : "";
  return record.norms ? "bn,activations" : "activations";
}

Json settings_record(const TrainOptions& options) {
  const TrainConfig& config = options.config;
  return {{"data", path_text(options.data)},
          {"classes", options.classes ? Json(*options.classes) : Json("")},
          {"network", config.network},
          {"norm", bntrain::to_string(config.norm)},
          {"init", bntrain::to_string(config.init)},
          {"normalize", config.normalization.text()},
          {"bn-momentum", config.batch_norm.momentum},
          {"bn-eps", config.batch_norm.eps},
          {"bn-variance", config.batch_norm.unbiased ? "unbiased" : "biased"},
          {"epochs", config.epochs},
          {"steps", config.steps},
          {"batch-size", config.batch_size},
          {"optimizer", name_of(config.optimizer.kind, optimizer_names)},
          {"lr", config.optimizer.lr},
          {"schedule", config.schedule.text},
          {"schedule-steps", config.schedule.steps},
          {"warmup", config.schedule.warmup},
          {"valid", config.valid},
          {"patience", config.patience},
          {"momentum", config.optimizer.momentum},
          {"nesterov", config.optimizer.nesterov},
          {"weight-decay", config.optimizer.weight_decay},
          {"decay", config.optimizer.decay_weights_only ? "weights" : "all"},
          {"betas", shortest_text(config.optimizer.beta1) + "," + shortest_text(config.optimizer.beta2)},
          {"adam-eps", config.optimizer.eps},
          {"seed", config.seed},
          {"shuffle", config.shuffle ? "on" : "none"},
          {"device", device_text(options.backend)},
          {"threads", options.backend.threads},
          {"cpu-isa", bntrain::to_string(options.backend.cpu_isa)},
          {"conv", name_of(options.backend.conv, conv_names)},
          {"precision", name_of(options.backend.precision, precision_names)},
          {"init-from", path_text(options.init_from)},
          {"init-skip", joined(options.init_skip)},
          {"save", path_text(options.save)},
          {"save-gradients", path_text(options.save_gradients)},
          {"metrics", path_text(options.metrics)},
          {"tensorboard", path_text(options.tensorboard)},
          {"log-every", config.log_every},
          {"eval-every", config.eval_every},
          {"record", to_string(config.record)},
          {"out", path_text(options.out)},
          {"save-every", config.save_every},
          {"keep", options.keep}};
}

Json settings_record(const TrainConfig& config, const std::string& data, const BackendOptions& backend) {
  TrainOptions options;
  options.config = config;
  options.data = data;
  options.backend = backend;
  return settings_record(options);
}

}  // namespace bntrain::cli
