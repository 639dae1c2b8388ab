// The devices: what a training step is compiled for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bntrain {

/// The x86-64 psABI levels: v2 = SSE4.2 (4 lanes), v3 = AVX2 + FMA (8 lanes), v4 = AVX-512 (16 lanes).
/// On other processors `automatic` and v2 mean the compiler's baseline with 4 lanes.
enum class CpuIsa { automatic, v2, v3, v4 };

/// Instruction sets that this processor can run, from the smallest to the best; never empty.
std::vector<CpuIsa> available_cpu_isas();

/// "auto", "v2", "v3", "v4".
std::string to_string(CpuIsa isa);

/// How the CPU computes convolutions of 3x3 with stride 1; all others are direct sums.
enum class ConvMethod {
  automatic,  ///< by Winograd's algorithm where that is faster
  direct,     ///< direct sums only
  winograd,   ///< by Winograd's algorithm wherever it can be; needs AVX2
};

struct DevicePeaks;
struct PlanRequest;
class Executable;

/// A device that compiles training steps. Trainer and Evaluator call it; users only make one and pass it on.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Throws Error(runtime) of "batch_size" with both figures where the device has not the memory.
  virtual std::unique_ptr<Executable> compile(const PlanRequest& request) = 0;
  /// Bytes of the device's memory that compile() would take, the working memory of its libraries apart.
  virtual std::int64_t memory_bytes(const PlanRequest& request) = 0;
  /// Measures them: a copy between two arrays too large for the caches, and independent chains of
  /// multiply-adds in registers. Takes seconds. Throws Error(runtime) when a result is wrong.
  virtual DevicePeaks measure_peaks() = 0;
  /// One line for people: "CPU, 2 threads, x86-64-v4 (16 lanes)".
  virtual std::string description() const = 0;
};

/// `check` trains on the CPU and has every step made by CUDA too, from the same state: a step that differs by
/// more than float32 explains throws Error(runtime).
enum class Device { automatic, cpu, cuda, check };

/// How products of convolutions and matrices are computed. The CPU backend always takes fp32.
enum class Precision {
  fp32,  ///< float32 throughout
  tf32,  ///< inputs rounded to a 10-bit mantissa, sums in float32: for the tensor cores of a GPU
};

struct BackendOptions {
  Device device = Device::automatic;
  int gpu = 0;  ///< with Device::cuda: which, as cuda_facts() lists them
  Precision precision = Precision::fp32;
  int threads = 0;  ///< CPU: 0 = every core that this process may use, as far as its quota goes
  CpuIsa cpu_isa = CpuIsa::automatic;
  ConvMethod conv = ConvMethod::automatic;  ///< CPU
};

/// The backend for these options. Throws Error(runtime) with the reason when the device cannot be had and
/// Error(usage) when there is no GPU of that number, this processor lacks the instruction set or the device
/// has no Winograd algorithms. `note`
/// receives why `automatic` took the CPU.
std::unique_ptr<Backend> make_backend(const BackendOptions& options, std::string& note);

/// A name and what there is to say about it.
using Fact = std::pair<std::string, std::string>;
using Facts = std::vector<Fact>;

/// "cuda": the description of the CUDA backend, or why it cannot be had. Then what there is of it, also where
/// it cannot be had: the module, versions, devices.
Facts cuda_facts();

}  // namespace bntrain
