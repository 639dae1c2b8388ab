// Prints the float32 GFLOP/s that THREADS threads reach together with nothing but fused multiply-adds in
// registers: the ceiling of the processor at the clock it has now. Compile with -O3 -march=native -pthread.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vector __attribute__((vector_size(4 * kLanes)));

// Enough independent chains to hide a latency of 4 or 5 cycles on two units, few enough for 16 registers.
constexpr int kChains = 12;
constexpr long kRounds = 20'000'000;

float multiply_and_add(float seed) {
  Vector sums[kChains], factor, term;
  for (int lane = 0; lane < kLanes; ++lane) {
    factor[lane] = 0.999f + seed;
    term[lane] = 0.001f;
  }
  for (Vector& sum : sums) sum = term;
  for (long round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (Vector& sum : sums) sum = sum * factor + term;
  }
  float total = 0;
  for (const Vector& sum : sums)
    for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
  return total;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  double best = 0;
  std::atomic<float> sink{0};  // keeps the result alive
  for (int repetition = 0; repetition < 5; ++repetition) {
    std::vector<std::thread> workers;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < threads; ++i)
      workers.emplace_back([&] { sink.store(multiply_and_add(sink.load() * 1e-12f)); });
    for (std::thread& worker : workers) worker.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const double gflops = 2e-9 * kLanes * kChains * kRounds * threads / seconds.count();
    if (gflops > best) best = gflops;
  }
  std::printf("%.1f\n", best);
}
