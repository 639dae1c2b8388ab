#include "benchmarks/norm_timing.hpp"

#include <algorithm>

namespace bntrain::benchmarks {
namespace {

using kernels::NormPass;

/// Moved by the launches of a sample, at most: that many bytes take a millisecond or more, against which the
/// events and the gap between launches are nothing.
constexpr std::int64_t kSampleBytes = std::int64_t{8} << 30;

void run(NormContender& contender, NormPass pass, const NormBuffers& buffers) {
  pass == NormPass::forward ? contender.forward(buffers) : contender.backward(buffers);
}

/// Fills in the error, or why there is no result.
void check(NormContender& contender, NormMemory& memory, NormRow& row) {
  try {
    if (row.pass == NormPass::backward) contender.prepare_backward(memory.buffers(0));
    memory.poison();
    run(contender, row.pass, memory.buffers(0));
    row.error = memory.error();
    if (row.wrong()) row.refusal = "WRONG RESULT";
  } catch (const Unsupported& reason) {
    row.refusal = reason.what();
  }
}

}  // namespace

const char* to_string(Cache cache) {
  return cache == Cache::cold ? "cold" : "hot";
}

std::vector<double> time_launches(cuda::DeviceStream& stream, std::int64_t launches,
                                  const TimingOptions& options,
                                  const std::function<void(std::int64_t)>& launch) {
  const cuda::Graph graph = stream.capture([&] {
    for (std::int64_t i = 0; i < launches; ++i) launch(i);
  });
  stream.launch(graph);  // the first replay is slower
  cuda::Event begin, end;
  std::vector<double> seconds;
  double total = 0;
  for (int sample = 0; sample < options.samples; ++sample) {
    if (sample >= kFewestSamples && total >= options.row_seconds) break;
    stream.record(begin);
    stream.launch(graph);
    stream.record(end);
    const double taken = end.seconds_since(begin);
    total += taken;
    seconds.push_back(taken / static_cast<double>(launches));
  }
  return seconds;
}

std::vector<NormRow> time_norm(const NormCase& c, NormPass pass, std::uint64_t seed,
                               const Contenders& contenders, const TimingOptions& options,
                               cuda::DeviceStream& stream) {
  const std::int64_t set_bytes = bytes_moved(c, pass);
  NormMemory memory(c, pass, seed, cold_sets(set_bytes, options.cache_bytes), stream);
  std::vector<Cache> caches{Cache::cold};
  if (can_be_hot(set_bytes, options.cache_bytes)) caches.push_back(Cache::hot);

  std::vector<NormRow> rows;
  for (const auto& contender : contenders) {
    NormRow row{
        .norm_case = c, .pass = pass, .contender = contender->name(), .is_peer = contender->is_peer()};
    check(*contender, memory, row);
    for (const Cache cache : caches) {
      row.cache = cache;
      if (row.timed()) {
        const std::int64_t sets = cache == Cache::cold ? memory.sets() : 1;
        const std::int64_t launches = std::min(options.launches_a_sample, 1 + kSampleBytes / set_bytes);
        const std::int64_t rounds = (launches + sets - 1) / sets;
        row.seconds = summarise(time_launches(stream, rounds * sets, options, [&](std::int64_t i) {
          run(*contender, pass, memory.buffers(i % sets));
        }));
      }
      rows.push_back(row);
    }
  }
  return rows;
}

}  // namespace bntrain::benchmarks
