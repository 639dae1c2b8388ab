#include "cli/flags/workload.hpp"

#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "backend/cpu/isa.hpp"
#include "bntrain/error.hpp"
#include "cli/flags/experiment.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/train_options.hpp"
#include "cli/flags/values.hpp"

namespace bntrain::cli {
namespace {

// Beyond these no run would end.
constexpr std::uint64_t most_images = 1'000'000'000;
constexpr std::uint64_t most_threads = 1024, most_jobs = 1024;

Shape parse_input(const std::string& text) {
  long long channels = 0, height = 0, width = 0;
  const int count = std::sscanf(text.c_str(), "%lldx%lldx%lld", &channels, &height, &width);
  const auto side = [](long long value) { return value >= 1 && value <= 4096; };
  if (count != 3 || fmt::format("{}x{}x{}", channels, height, width) != text || !side(channels) ||
      !side(height) || !side(width))
    throw BadValue("--input", text, "allowed: CHANNELSxHEIGHTxWIDTH, each from 1 to 4096, such as 1x28x28");
  return {channels, height, width, false};
}

constexpr std::string_view cuda_number = "cuda:";
constexpr std::uint64_t most_gpus = 1024;

void parse_device(const std::string& text, BackendOptions& backend) {
  backend.gpu = 0;
  if (text.starts_with(cuda_number)) {
    backend.device = Device::cuda;
    try {
      backend.gpu =
          static_cast<int>(parse_integer("--device", text.substr(cuda_number.size()), {0, most_gpus - 1}));
    } catch (const BadValue&) {
      throw BadValue("--device", text, "allowed after cuda: is the number of a GPU, such as cuda:0");
    }
    return;
  }
  for (const auto& [name, device] : device_names)
    if (text == name) {
      backend.device = device;
      return;
    }
  throw BadValue("--device", text, "allowed: auto, cpu, cuda, cuda:N or check");
}

}  // namespace

void add_data(CLI::App& app, std::string& data) {
  add_path(app, "--data", data, "DIR|synthetic[:KEY=VALUE,...]",
           "folder with the four IDX files (DIR/NAME where they begin with NAME-), or a generated data set; "
           "default: Fashion-MNIST where it is found");
}

void add_classes(CLI::App& app, std::optional<std::int64_t>& classes, const std::string& help) {
  add_value(app, "--classes", "N", "", help, [&classes](const std::string& text) {
    classes = static_cast<std::int64_t>(parse_integer("--classes", text, {1, 256}));
  });
}

void add_normalization(CLI::App& app, Normalization& normalization, const std::string& help) {
  add_value(app, "--normalize", "MEAN[,...]/STD[,...]", "", help, [&normalization](const std::string& text) {
    try {
      normalization = Normalization::parse(text);
    } catch (const Error& error) {
      throw BadValue("--normalize", text, error.message().substr(error.message().find("allowed")));
    }
  });
}

void add_split(CLI::App& app, Split& split, const std::string& help) {
  add_choice(app, "--split", split, split_names, help);
}

void add_batch_size(CLI::App& app, std::int64_t& batch_size) {
  add_integer(app, "--batch-size", batch_size, {1, most_images}, "images in a batch");
}

void add_description(CLI::App& app, ModelDescription& description) {
  add_text(app, "--network", description.network, "NAME|LAYERS",
           "the network of a file that does not name it; takes precedence over the file's");
  add_value(app, "--bn-eps", "X", "", "the eps of its batch norms; takes precedence over the file's",
            [&description](const std::string& text) {
              description.eps = parse_number("--bn-eps", text, bn_eps_range);
            });
  add_normalization(app, description.normalization,
                    "how its images were normalised: (pixel / 255 - MEAN) / STD, one value or one a channel; "
                    "takes precedence over the file's");
}

void add_image_description(CLI::App& app, ModelDescription& description) {
  add_value(app, "--input", "CxHxW", "", "the shape of its images, where the file does not say",
            [&description](const std::string& text) { description.input = parse_input(text); });
  add_classes(app, description.classes, "the number of classes, where the file does not say");
}

void add_workload(CLI::App& app, std::string& data, std::optional<std::int64_t>& classes,
                  TrainConfig& config) {
  add_data(app, data);
  add_classes(app, classes,
              "the number of classes, where not all of them have images; default: the largest training label "
              "tells");
  add_text(app, "--network", config.network, "NAME|LAYERS",
           preset_names() + ", or layers such as conv20x5,bn,relu,maxpool2,fc10");
  add_batch_size(app, config.batch_size);
}

void add_norm(CLI::App& app, TrainConfig& config) {
  add_choice(app, "--norm", config.norm, norm_names,
             "none removes the batch norms and keeps initial weights and data order");
}

void add_machine(CLI::App& app, BackendOptions& backend) {
  add_value(
      app, "--device", "auto|cpu|cuda[:N]|check", "auto",
      "device to run on; auto: a GPU if there is one; cuda:N: the GPU of that number (bntrain info lists "
      "them); check: train on the CPU and compare every step with the GPU",
      [&backend](const std::string& text) { parse_device(text, backend); });
  add_integer(app, "--threads", backend.threads, {0, most_threads},
              "CPU threads; 0: all. Results do not depend on it");
  add_choice(app, "--cpu-isa", backend.cpu_isa, cpu::isa_names,
             "x86-64 level of the CPU kernels; auto: the best that this processor has");
  add_choice(
      app, "--conv", backend.conv, conv_names,
      "3x3 convolutions of stride 1 on the CPU; winograd: all by Winograd's algorithm, auto: where it is "
      "faster");
  add_choice(app, "--precision", backend.precision, precision_names,
             "of convolutions and matrix products; tf32: on the tensor cores of a GPU, with inputs rounded "
             "to a 10-bit mantissa (TF32)");
}

void add_output(CLI::App& app, bool& json, const std::string& json_help, LogOptions& log) {
  add_switch(app, "--json", json, json_help);
  add_log_options(app, log);
}

void add_log_options(CLI::App& app, LogOptions& options) {
  add_switch(app, "--quiet", options.quiet, "only warnings and errors on stderr");
  add_switch(app, "--no-color", options.no_color, "no colours on stderr, as NO_COLOR does");
}

void add_jobs(CLI::App& app, int& jobs) {
  const auto take = [&jobs](const std::string& text) {
    jobs = text == "auto" ? 0 : static_cast<int>(parse_integer("--jobs", text, {1, most_jobs}, "auto or "));
  };
  add_value(
      app, "--jobs", "auto|N", "auto",
      "runs at the same time on the CPU, which share --threads; auto: one per thread, the fastest; 1: times "
      "are reported too. Results do not depend on it",
      take);
}

}  // namespace bntrain::cli
