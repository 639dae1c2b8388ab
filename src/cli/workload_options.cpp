#include "cli/workload_options.hpp"

#include <string>

#include "cli/experiment_options.hpp"
#include "cli/option_values.hpp"

namespace bntrain::cli {
namespace {

// Beyond these no run would end.
constexpr std::uint64_t most_images = 1'000'000'000;
constexpr std::uint64_t most_threads = 1024;

}  // namespace

void add_data(CLI::App& app, std::string& data) {
  add_text(
      app, "--data", data, "DIR|synthetic[:KEY=VALUE,...]",
      "folder with the four IDX files, or a generated data set; default: Fashion-MNIST where it is found");
}

std::string to_string(Split split) {
  return split == Split::test ? "test" : "train";
}

void add_split(CLI::App& app, Split& split, const std::string& help) {
  add_choice<Split>(app, "--split", split, {{"test", Split::test}, {"train", Split::train}}, help);
}

void add_batch_size(CLI::App& app, std::int64_t& batch_size) {
  add_integer(app, "--batch-size", batch_size, {1, most_images}, "images in a batch");
}

void add_description(CLI::App& app, ModelDescription& description) {
  add_text(app, "--network", description.network, "NAME|LAYERS",
           "the network of a file that does not name it; goes before what the file says");
  add_value(app, "--bn-eps", "X", "", "its batch norms' eps, likewise",
            [&description](const std::string& text) {
              description.eps = parse_number("--bn-eps", text, bn_eps_range);
            });
}

void add_workload(CLI::App& app, TrainConfig& config) {
  add_data(app, config.data);
  add_text(app, "--network", config.network, "NAME|LAYERS",
           preset_names() + ", or layers such as conv20x5,bn,relu,maxpool2,fc10");
  add_batch_size(app, config.batch_size);
}

void add_norm(CLI::App& app, TrainConfig& config) {
  add_choice<Norm>(app, "--norm", config.norm, norm_choices(),
                   "none takes the batch norms out and keeps weights and data order");
}

void add_machine(CLI::App& app, BackendOptions& backend) {
  add_choice<Device>(
      app, "--device", backend.device,
      {{"auto", Device::automatic}, {"cpu", Device::cpu}, {"cuda", Device::cuda}, {"check", Device::check}},
      "where it runs; auto: a GPU if there is one; check: on the CPU, and compare every step "
      "with the GPU's");
  add_integer(app, "--threads", backend.threads, {0, most_threads},
              "CPU threads; 0: all. Results do not depend on it");
  add_choice<CpuIsa>(
      app, "--cpu-isa", backend.cpu_isa,
      {{"auto", CpuIsa::automatic}, {"v2", CpuIsa::v2}, {"v3", CpuIsa::v3}, {"v4", CpuIsa::v4}},
      "x86-64 level of the CPU kernels; auto: the best that this processor has");
  add_choice<Precision>(
      app, "--precision", backend.precision, {{"fp32", Precision::fp32}, {"tf32", Precision::tf32}},
      "of convolutions and matrix products; tf32: on the tensor cores of a GPU, with factors "
      "of 10 bits of mantissa");
}

}  // namespace bntrain::cli
