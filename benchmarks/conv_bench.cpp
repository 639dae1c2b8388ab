// bntrain_conv_bench: the direct convolutions beside cuDNN's deterministic algorithms, on the GPU here.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <limits>

#include "backend/cuda/gpu.hpp"
#include "benchmarks/cudnn_conv.hpp"
#include "benchmarks/norm_timing.hpp"
#include "bntrain/error.hpp"

namespace {

using namespace bntrain;
using namespace bntrain::benchmarks;

struct Options {
  std::vector<std::string> shapes{std::begin(kConvolutions), std::end(kConvolutions)};
  int samples = 15;
  bool ours_only = false;
};

constexpr std::int64_t kLaunches = 20;  ///< of a sample, all on the same tensors: mostly in the cache
constexpr double kLargestError = 1e-3;  ///< transforms of 5x5 kernels come near it; wrong results are beyond

ConvAlgorithm ours(const ConvolutionShape& s, ConvolutionPass pass, cuda::DeviceStream& stream) {
  const kernels::Stream on = stream.kernels();
  switch (pass) {
    case ConvolutionPass::forward:
      return {"ours", [s, on](const float* x, const float* w, float* y) {
                kernels::convolution_forward(s, x, w, nullptr, y, on);
              }};
    case ConvolutionPass::backward_input:
      return {"ours", [s, on](const float* w, const float* dy, float* dx) {
                kernels::convolution_backward_input(s, dy, w, dx, on);
              }};
    case ConvolutionPass::backward_weights:
      break;
  }
  const auto workspace =
      std::make_shared<cuda::DeviceArray<std::byte>>(kernels::convolution_backward_weights_workspace(s));
  return {"ours", [s, on, workspace](const float* x, const float* dy, float* dw) {
            kernels::convolution_backward_weights(s, x, dy, dw, workspace->data(), on);
          }};
}

/// Prints a line for each algorithm, ours first, and which is the fastest. False: a result was wrong.
bool measure(const ConvolutionShape& shape, ConvolutionPass pass, const Options& options, std::uint32_t seed,
             cuda::DeviceStream& stream) {
  const ConvProblem problem(shape, pass, seed);
  const auto uploaded = [&](const std::vector<float>& values) {
    cuda::DeviceArray<float> array(static_cast<std::int64_t>(values.size()));
    stream.upload(array.data(), values.data(), array.bytes());
    return array;
  };
  std::vector<float> result(static_cast<std::size_t>(problem.result_size),
                            std::numeric_limits<float>::quiet_NaN());
  const cuda::DeviceArray<float> a = uploaded(problem.a), b = uploaded(problem.b);
  std::vector<ConvAlgorithm> algorithms{ours(shape, pass, stream)};
  if (!options.ours_only)
    for (ConvAlgorithm& peer : cudnn_algorithms(shape, pass, stream)) algorithms.push_back(std::move(peer));

  bool right = true;
  double best = std::numeric_limits<double>::infinity();
  std::string winner;
  for (const ConvAlgorithm& algorithm : algorithms) {
    const cuda::DeviceArray<float> out =
        uploaded(std::vector<float>(result.size(), std::numeric_limits<float>::quiet_NaN()));
    algorithm.run(a.data(), b.data(), out.data());
    stream.download(result.data(), out.data(), out.bytes());
    const double error = problem.error(result);
    const bool good = error <= kLargestError;
    std::printf("%-24s %-8s %-8s", to_string(shape).c_str(), to_string(pass), algorithm.name.c_str());
    if (!good) {
      std::printf("  WRONG RESULT, error %.1e\n", error);
      right = false;
      continue;
    }
    const double seconds =
        summarise(time_launches(stream, kLaunches, {.samples = options.samples}, [&](std::int64_t) {
          algorithm.run(a.data(), b.data(), out.data());
        })).median;
    std::printf(" %9.2f us  %6.2f TFLOP/s  error %.1e\n", seconds * 1e6,
                2e-12 * static_cast<double>(multiply_adds(shape)) / seconds, error);
    if (seconds < best) {
      best = seconds;
      winner = algorithm.name;
    }
  }
  if (!options.ours_only)
    std::printf("%-24s %-8s fastest: %s; the rule takes %s\n", to_string(shape).c_str(), to_string(pass),
                winner.c_str(), kernels::prefers_direct_convolution(pass, shape, false) ? "ours" : "cuDNN");
  return right;
}

int run(const Options& options) {
  std::vector<ConvolutionShape> shapes;
  for (const std::string& text : options.shapes) shapes.push_back(parse_convolution(text));
  std::printf("%s, CUDA %s; float32, launch after launch on the same tensors, median of %d\n",
              cuda::to_string(cuda::usable_gpu()).c_str(), cuda::runtime_version().c_str(), options.samples);
  cuda::DeviceStream stream;
  bool right = true;
  std::uint32_t seed = 1;
  for (const ConvolutionShape& shape : shapes)
    for (const auto pass :
         {ConvolutionPass::forward, ConvolutionPass::backward_input, ConvolutionPass::backward_weights})
      right = measure(shape, pass, options, seed++, stream) && right;
  if (right) return 0;
  std::fputs("error: a result was wrong, see the lines that say so\n", stderr);
  return static_cast<int>(ErrorKind::runtime);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Times bntrain's direct convolutions and cuDNN's deterministic algorithms on the GPU here, after "
      "checking "
      "what they compute."};
  app.add_option(
         "--shapes", options.shapes,
         "batch x channels x height x width - output channels k kernel [s stride] [p padding] of each, as "
         "in 256x20x12x12-50k3 256x16x32x32-32k3s2p1")
      ->capture_default_str();
  app.add_option("--samples", options.samples, "timings of each line")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_flag("--ours-only", options.ours_only, "without cuDNN, for sanitizers and profilers");
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
