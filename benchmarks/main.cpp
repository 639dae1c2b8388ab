// bntrain_kernel_bench: the batch norm kernels beside cuDNN's, on the GPU here.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <random>

#include "backend/cuda/gpu.hpp"
#include "backend/cuda/math_handles.hpp"
#include "backend/cuda/peaks.hpp"
#include "benchmarks/cudnn_norm.hpp"
#include "benchmarks/norm_report.hpp"
#include "bntrain/error.hpp"
#include "kernels/simt/launch.hpp"

namespace {

using namespace bntrain;
using namespace bntrain::benchmarks;

struct Options {
  std::vector<std::string> shapes{std::begin(kNormShapes), std::end(kNormShapes)};
  std::vector<std::string> variants;  ///< of ours; all when empty
  std::vector<std::string> tunings;   ///< of the resident kernels, or "all"
  int samples = 25;
  bool ours_only = false;
  std::string json;
};

std::vector<std::string> variant_names() {
  std::vector<std::string> names{"automatic"};
  for (const kernels::NormVariant variant : kVariants) names.emplace_back(to_string(variant));
  return names;
}

/// "automatic" of "automatic (resident)".
std::string variant_of(const NormContender& contender) {
  return contender.name().substr(0, contender.name().find(' '));
}

bool is_asked_for(const std::vector<std::string>& tunings, const NormContender& tuned) {
  return std::ranges::any_of(tunings, [&](const std::string& tuning) {
    return tuning == "all" || tuned.name() == "tuning " + tuning;
  });
}

Contenders contenders(const NormCase& c, kernels::NormPass pass, const Options& options,
                      cuda::DeviceStream& stream, cuda::MathLibraries& libraries) {
  Contenders all = our_contenders(c, pass, stream);
  if (!options.variants.empty())
    std::erase_if(all, [&](const auto& one) {
      return std::ranges::find(options.variants, variant_of(*one)) == options.variants.end();
    });
  for (auto& tuned : tuned_contenders(c, pass, stream))
    if (is_asked_for(options.tunings, *tuned)) all.push_back(std::move(tuned));
  if (options.ours_only) return all;
  for (auto& peer : cudnn_contenders(c, libraries)) all.push_back(std::move(peer));
  return all;
}

NormReport measure(const Options& options) {
  std::vector<NormCase> cases;
  for (const std::string& shape : options.shapes)
    for (const NormCase& c : layouts_of(parse_norm_case(shape))) cases.push_back(c);

  const cuda::Gpu gpu = cuda::usable_gpu();
  cuda::DeviceStream stream;
  cuda::MathLibraries libraries(stream, Precision::fp32);
  const kernels::DeviceLimits limits = kernels::device_limits(stream.kernels());
  const std::int64_t cache_bytes = limits.l2_bytes;
  NormReport report{
      .device = cuda::to_string(gpu),
      .versions = "CUDA " + cuda::runtime_version() + ", cuDNN " + cuda::cudnn_version() + ", cuBLASLt " +
                  cuda::cublas_version(),
      .seed = std::random_device{}(),
      .options = {.samples = options.samples, .cache_bytes = cache_bytes},
      .copy_bytes_per_second = cuda::measure_peaks(stream, kCacheFill * cache_bytes).copy_bytes_per_second,
      .rows = {}};
  for (const NormCase& c : cases) {
    std::fprintf(stderr, "%s, %s ...\n", to_string(c).c_str(), to_string(c.layout));
    for (const auto pass : {kernels::NormPass::forward, kernels::NormPass::backward}) {
      const std::vector<NormRow> rows = time_norm(
          c, pass, report.seed, contenders(c, pass, options, stream, libraries), report.options, stream);
      report.rows.insert(report.rows.end(), rows.begin(), rows.end());
    }
  }
  return report;
}

int run(const Options& options) {
  std::ofstream json;
  if (!options.json.empty()) {
    json.open(options.json);
    if (!json) throw Error(ErrorKind::data, "--json: cannot write " + options.json);
  }
  const NormReport report = measure(options);
  std::fputs(norm_table(report).c_str(), stdout);
  if (json.is_open() && !(json << norm_record(report).dump(1) << std::endl))
    throw Error(ErrorKind::data, "--json: cannot write " + options.json);
  if (!any_wrong(report)) return 0;
  std::fputs("error: a result was wrong, see the rows that say so\n", stderr);
  return static_cast<int>(ErrorKind::runtime);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Times bntrain's batch norm kernels and cuDNN's on the GPU here, after checking what they compute."};
  app.add_option(
         "--shapes", options.shapes,
         "batch x channels [x height x width] of each, as in 256x20x24x24 65536x1024, with pooling as in "
         "256x20x24x24+relu+maxpool2")
      ->capture_default_str();
  app.add_option("--variant", options.variants, "of bntrain's kernels, only these; cuDNN's always")
      ->check(CLI::IsMember(variant_names()));
  app.add_option(
      "--tuning", options.tunings,
      "also the resident kernels with clusters of so many blocks x threads x vectors x columns, as in "
      "16x256x9x1, in the rule's tuning, as in rule, or in all that can run");
  app.add_option("--samples", options.samples, "timings of each row, at most")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_flag("--ours-only", options.ours_only, "without cuDNN, for sanitizers and profilers");
  app.add_option("--json", options.json, "also write the figures to this file");
  try {
    app.parse(argc, argv);
    return run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::usage);
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(ErrorKind::runtime);
  }
}
