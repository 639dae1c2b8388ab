// bntrain info: what this build and this machine have.
#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "bntrain/backend.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/flags/values.hpp"
#include "cli/reports/output.hpp"
#include "core/machine_limits.hpp"
#include "train/records.hpp"

namespace bntrain::cli {
namespace {

using Json = nlohmann::ordered_json;

struct InfoOptions {
  bool json = false;
};

std::string describe_cpu() {
  return open_backend({.device = Device::cpu})->description();
}

std::string describe_memory() {
  const MemoryLeft left = memory_left();
  return memory_text(left.bytes) + " left, as far as " + left.limit + " goes";
}

std::string describe_data(const std::filesystem::path& folder) {
  std::error_code refusal;
  if (!std::filesystem::is_directory(folder, refusal)) {
    const bool missing = !refusal || refusal == std::errc::no_such_file_or_directory;
    return folder.string() + ": " +
           (missing ? "no such folder" : "cannot be looked at: " + refusal.message());
  }
  try {
    const Dataset dataset = load_idx_dataset(folder);
    return fmt::format("{}: {}, {} training and {} test images{}", folder.string(), dataset.name,
                       dataset.train.count, dataset.test.count,
                       dataset.known_digests ? ", published digests" : ", unknown digests");
  } catch (const Error& error) {
    return folder.string() + ": unusable: " + error.what();
  }
}

std::string describe_isas() {
  std::string text;
  for (const CpuIsa isa : available_cpu_isas()) text += (text.empty() ? "" : " ") + to_string(isa);
  return text;
}

void bind_flags(CLI::App& app, InfoOptions& options) {
  CLI::App& info =
      add_command(app, "info", "show the version, the build, the devices and the data sets found");
  info.add_flag("--json", options.json, "one JSON object instead of text");
}

int run(const InfoOptions& options) {
  Facts facts = {{"version", BNTRAIN_VERSION},  {"compiler", "g++ " __VERSION__},
                 {"build", BNTRAIN_BUILD_TYPE}, {"cpu", describe_cpu()},
                 {"cpu-isa", describe_isas()},  {"memory", describe_memory()}};
  for (const Fact& fact : cuda_facts()) facts.push_back(fact);
  Json data = Json::array();
  for (const auto& folder : default_data_search().folders) data.push_back(describe_data(folder));

  if (options.json) {
    Json record;
    for (const auto& [name, text] : facts) record[name] = text;
    record["data"] = data;
    print_result(one_line(record));
    return 0;
  }
  for (const auto& place : data) facts.emplace_back("data", place.get<std::string>());
  for (const auto& [name, text] : facts) print_result(fmt::format("{:<18} {}", name, text));
  return 0;
}

}  // namespace

Run add_info(CLI::App& app) {
  return command<InfoOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
