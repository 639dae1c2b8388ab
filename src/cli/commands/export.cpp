// bntrain export: a model for other programs.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"
#include "bntrain/evaluate.hpp"
#include "bntrain/model_file.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/flags/experiment.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/output_files.hpp"
#include "formats/onnx.hpp"
#include "network/batch_norm_convention.hpp"
#include "network/fold_batch_norm.hpp"
#include "train/logit_difference.hpp"

namespace bntrain::cli {
namespace {

struct ExportOptions {
  std::string model;
  std::string output;
  std::int64_t opset = kOnnxOpset;                ///< of an ONNX file
  bool fold = false;                              ///< folds the batch norms and compares the logits
  std::optional<BatchNormConvention> convention;  ///< whose running_var is written
  ModelDescription description;
  std::string data;  ///< images to compare logits on; also tells shape and classes
  BackendOptions backend;
  LogOptions log;
};

namespace fs = std::filesystem;

constexpr std::int64_t batch_size = 256;  // of the comparison

enum class Format { safetensors, onnx };

Format format_of(const std::string& path) {
  if (path.empty())
    throw Error(ErrorKind::usage, "export needs --output: the name of the file, .safetensors or .onnx");
  const std::string extension = fs::path(path).extension().string();
  if (extension == ".safetensors") return Format::safetensors;
  if (extension == ".onnx") return Format::onnx;
  throw Error(ErrorKind::usage, "output",
              path + " does not tell the format; allowed: a name that ends with .safetensors or .onnx");
}

Model load(const ExportOptions& options, const std::optional<Dataset>& dataset) {
  ModelDescription known = options.description;
  if (dataset) {
    known.input = dataset->test.shape;
    known.classes = dataset->classes;
  }
  Model model = open_model(options.model, known);
  if (dataset) expect_fit(options.model, model.network, *dataset);
  return model;
}

/// Writes running_var as the convention has it.
void convert(Model& model, const ExportOptions& options) {
  if (model.network.running().empty())
    throw Error(ErrorKind::usage, "bn-convention", options.model + " has no batch norm");
  const auto recorded = recorded_variance(model.network, model.metadata, options.model);
  if (!recorded) {
    throw Error(ErrorKind::usage, "bn-convention",
                options.model +
                    " does not say which variance running_var holds and of how many values, as "
                    "files of bntrain train --save do in bn-variance and bn-values");
  }
  const bool unbiased = options.convention->options.unbiased;
  model.state = convert_running_variance(model.network, std::move(model.state), *recorded, unbiased);
  for (auto& [name, text] : metadata_of({unbiased, recorded->values})) model.metadata[name] = text;
}

std::vector<float> logits(const Network& network, const BatchNormOptions& batch_norm, const ModelState& state,
                          const Dataset& dataset, Backend& backend) {
  Evaluator evaluator(network, batch_norm, dataset.test, batch_size, backend);
  evaluator.load(state);
  return evaluator.evaluate().logits;
}

std::string list(const std::vector<std::string>& names) {
  return list_names(names, "and");
}

/// Keeps what the file says of the variances of the batch norms that stay, if anything.
void keep_variances(Model& model, const FoldedNetwork& folded, const std::string& where) {
  const auto recorded = recorded_variance(model.network, model.metadata, where);
  if (!recorded) return;
  RecordedVariance kept{recorded->unbiased, {}};
  for (std::size_t i = 0; i < recorded->values.size(); ++i) {
    const std::string name = model.network.layer(model.network.running()[i].layer).name + " bn";
    if (std::ranges::find(folded.kept, name) != folded.kept.end()) kept.values.push_back(recorded->values[i]);
  }
  for (const auto& [name, text] : metadata_of(kept)) model.metadata[name] = text;
}

/// Replaces the model by its folded form; returns the lines that report it. Throws Error(runtime) when
/// the two do not compute the same.
std::string fold(Model& model, const ExportOptions& options, const Dataset& dataset) {
  FoldedNetwork folded = fold_batch_norm(model.network, model.state, model.batch_norm.eps);
  if (folded.folded.empty()) {
    throw Error(ErrorKind::usage, "fold",
                options.model + " has no batch norm directly after a conv or fc" +
                    (folded.kept.empty() ? "" : "; it has " + list(folded.kept)));
  }
  const auto backend = open_backend(options.backend);
  const LogitDifference difference =
      compare_logits(folded.network, logits(model.network, model.batch_norm, model.state, dataset, *backend),
                     logits(folded.network, model.batch_norm, folded.state, dataset, *backend));
  const std::string found = fmt::format(
      "largest difference of a logit {:.2g} over {} images of {}; rounding explains {:.2g} (logits up to "
      "{:.3g})",
      difference.largest, dataset.test.count, dataset.name, difference.allowed, difference.logit);
  if (!difference.is_rounding()) {
    throw Error(ErrorKind::runtime, "fold",
                "the folded network does not compute the same, so nothing was written: " + found +
                    ". Rounding errors are large where a running_mean is far larger than the root of "
                    "its running_var; export without it");
  }
  keep_variances(model, folded, options.model);
  model.network = std::move(folded.network);
  model.state = std::move(folded.state);
  model.metadata["folded"] = list(folded.folded);
  return fmt::format(
      "folded      {}\n{}proof       {}\n", list(folded.folded),
      folded.kept.empty() ? "" : "kept        " + list(folded.kept) + ", not directly after a conv or fc\n",
      found);
}

/// The line that gives a framework what the file does not hold.
std::string in_words_of(const BatchNormConvention& convention, double eps, const std::string& momentum) {
  const double old_weight = std::strtod(momentum.c_str(), nullptr);
  if (convention.name == "torch")
    return fmt::format("torch.nn.BatchNorm2d(channels, eps={}, momentum={:.6g})", eps, 1 - old_weight);
  if (convention.name == "keras")
    return fmt::format("keras.layers.BatchNormalization(epsilon={}, momentum={})", eps, momentum);
  if (convention.name == "caffe")
    return fmt::format("batch_norm_param {{ eps: {} moving_average_fraction: {} }}", eps, momentum);
  if (convention.name == "onnx")
    return fmt::format("BatchNormalization epsilon={} momentum={}", eps, momentum);
  return fmt::format("bntrain --bn-eps {} --bn-momentum {}", eps, momentum);
}

std::string batch_norm_lines(const Model& model, const ExportOptions& options) {
  if (model.network.running().empty()) return "";
  const auto recorded = recorded_variance(model.network, model.metadata, options.model);
  std::string lines = fmt::format("batch norm  eps {}, {}\n", model.batch_norm.eps,
                                  !recorded            ? "running_var as in the model file"
                                  : recorded->unbiased ? "running_var unbiased (M2 / (n - 1))"
                                                       : "running_var biased (M2 / n)");
  const auto momentum = model.metadata.find("bn-momentum");
  if (options.convention && momentum != model.metadata.end()) {
    lines += fmt::format("{:<11} {}\n", options.convention->name,
                         in_words_of(*options.convention, model.batch_norm.eps, momentum->second));
  }
  return lines;
}

std::string format_lines(const Model& model, Format format, std::int64_t opset) {
  if (format == Format::safetensors) return "format      safetensors, PyTorch's names and layouts\n";
  const Shape& image = model.network.input();
  return fmt::format(
      "format      ONNX, operator set {}, passed ONNX's checker\n"
      "input       {}: float32 [batch, {}, {}, {}], pixels divided by 255{}\n"
      "output      {}: float32 [batch, {}]\n",
      opset, kOnnxInput, image.channels, image.height, image.width,
      model.network.normalization().any() ? "; the graph normalises them" : "", kOnnxOutput,
      model.network.classes());
}

void bind_flags(CLI::App& app, ExportOptions& options) {
  CLI::App& command = add_command(app, "export", "write a model for other programs: safetensors or ONNX");
  add_argument(command, "MODEL", options.model,
               "a safetensors file, such as train --save writes, or the folder of a run")
      ->required();
  in_group(command, "Output", [&] {
    add_value(command, "-o,--output", "FILE.safetensors|FILE.onnx", "",
              "the file to write; its extension tells the format",
              [&options](const std::string& path) { options.output = path_of("--output", path); });
    add_switch(
        command, "--fold", options.fold,
        "fold each bn into the conv or fc directly before it, and compare the logits on the test images");
    add_integer(command, "--opset", options.opset,
                {static_cast<std::uint64_t>(kOldestOnnxOpset), static_cast<std::uint64_t>(kOnnxOpset)},
                "the operator set of an ONNX file, for programs that know only older ones");
    add_convention(
        command,
        "write running_var as this framework records it, biased or unbiased: tutorial, torch, keras, "
        "caffe or onnx; without it running_var and the logits stay unchanged",
        [&options](const BatchNormConvention& convention) { options.convention = convention; });
    add_log_options(command, options.log);
  });
  in_group(command, "Model", [&] {
    add_description(command, options.description);
    add_image_description(command, options.description);
  });
  in_group(command, "Comparison of --fold", [&] {
    add_data(command, options.data);
    add_machine(command, options.backend);
  });
  set_footer(command, {sources_note(command)});
}

int run(const ExportOptions& given) {
  adjust_logging(given.log);
  ExportOptions options = given;
  options.model = model_file(given.model);
  const Format format = format_of(options.output);
  if (format != Format::onnx && options.opset != kOnnxOpset)
    throw Error(ErrorKind::usage, "opset", "it needs an --output that ends with .onnx");
  expect_outputs({{"output", options.output, OutputKind::replaced}}, {});
  if (options.fold && options.convention)
    throw Error(ErrorKind::usage, "bn-convention",
                "it cannot be given with --fold: a folded batch norm has no running_var to convert");
  std::optional<Dataset> dataset;
  if (options.fold || !options.data.empty())
    dataset = load_data(options.data, needs_of_model(options.model, options.description.classes, true));
  Model model = load(options, dataset);
  if (options.convention) convert(model, options);
  const std::string folded = options.fold ? fold(model, options, *dataset) : "";
  if (model.network.running().empty())
    std::erase_if(model.metadata, [](const auto& entry) { return entry.first.starts_with("bn-"); });
  if (format == Format::onnx) {
    write_onnx(options.output, model.network, model.state, model.batch_norm.eps, file_metadata(model),
               options.opset);
  } else {
    save_model(options.output, model);
  }
  print_result(fmt::format("{}\nnetwork     {}\n{}{}{}size        {} bytes", options.output,
                           model.network.text(), format_lines(model, format, options.opset),
                           batch_norm_lines(model, options), folded, fs::file_size(options.output)));
  return 0;
}

}  // namespace

Run add_export(CLI::App& app) {
  return command<ExportOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
