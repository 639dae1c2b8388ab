// Batch norm backward in training with the channels in registers: one reading of x and of dy.
//
// Maths: gradients.cuh, with the values of a thread as its tile. Contract: batch_norm.hpp. Bytes moved: 3 S,
// for S bytes of tensor. Launches: one.
#pragma once

#include "kernels/batch_norm/gradients.cuh"
#include "kernels/batch_norm/resident.cuh"

namespace bntrain::kernels {

/// The vectors of x, in registers.
template <typename T, int kVectors, int kWidth, bool kShared>
class KeptVectors {
 public:
  SIMT_DEVICE explicit KeptVectors(simt::DynamicShared&) {}
  SIMT_DEVICE void load(int j, const T* p, bool aligned) { vectors_[j] = load_vector<kWidth>(p, aligned); }
  SIMT_DEVICE void wait() const {}
  SIMT_DEVICE Vector<T, kWidth> operator[](int j) const { return vectors_[j]; }

 private:
  Vector<T, kWidth> vectors_[kVectors] = {};
};

/// In shared memory, each thread's own.
template <typename T, int kVectors, int kWidth>
class KeptVectors<T, kVectors, kWidth, true> {
 public:
  SIMT_DEVICE explicit KeptVectors(simt::DynamicShared& dynamic)
      : vectors_(dynamic.take<T>("x", kVectors * kWidth * simt::block_size()) +
                 simt::thread_index() * kWidth) {}
  SIMT_DEVICE void load(int j, const T* p, bool aligned) {
    const simt::Shared<T> to = place(j);
    if (aligned) {
      simt::copy_async<kWidth>(to, p);
    } else {
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) to[lane] = simt::load(p + lane);
    }
  }
  SIMT_DEVICE void wait() const { simt::copies_wait(); }
  SIMT_DEVICE Vector<T, kWidth> operator[](int j) const {
    const simt::Vec<T> vec = simt::load_vec(place(j));
    Vector<T, kWidth> vector;
    SIMT_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) vector.lane[lane] = vec.lane[lane];
    return vector;
  }

 private:
  SIMT_DEVICE simt::Shared<T> place(int j) const { return vectors_ + j * kWidth * simt::block_size(); }

  simt::Shared<T> vectors_;
};

/// Whether x waits in shared memory.
template <int kVectors, int kWidth>
inline constexpr bool kSharedVectors = kWidth > 1 && kVectors > kVectorsInRegisters;

/// dx may be x or dy.
template <typename T, int kVectors, int kWidth, int kChannels>
SIMT_KERNEL(resident_threads(kVectors), resident_blocks(kVectors, kChannels))
resident_backward_kernel(ResidentSpace space, float inverse_count, const T* x, const T* dy,
                         const float* gamma, Means means, const float* inv_std, T* dx, float* dgamma,
                         float* dbeta) {
  using namespace simt;
  using Thread = ThreadVectors<kVectors, kWidth, kChannels>;
  DynamicShared dynamic;
  ClusterSums<2 * kChannels> cluster_sums(space, dynamic);
  const int owners = space.columns * kChannels;
  const auto constants = dynamic.take<Pair<float>>("constants", owners);
  KeptVectors<T, kVectors, kWidth, kSharedVectors<kVectors, kWidth>> values(dynamic);
  const Thread thread(space);
  grid_dependency_launch();
  grid_dependency_wait();
  Vector<T, kWidth> gradients[kVectors] = {};
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    if (!thread.has(j)) continue;
    values.load(j, x + thread.base + thread.offset(space, j), space.aligned);
    gradients[j] = load_vector<kWidth>(dy + thread.base + thread.offset(space, j), space.aligned);
  }
  Standardizer standardizers[kChannels] = {};
  float scales[kChannels] = {};
  if (thread.has_channel(space)) {
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t channel = thread.channel + static_cast<unsigned>(k);
      standardizers[k] = standardizer(means.at(channel), load(inv_std + channel));
      scales[k] = load(gamma + channel) * standardizers[k].inv_std;
    }
  }
  values.wait();

  // Each lane has sums of its own, so that additions do not wait for each other.
  Pair<float> lanes[kWidth] = {};
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    if (!thread.has(j)) continue;
    const Vector<T, kWidth> vector = values[j];
    SIMT_UNROLL
    for (int lane = 0; lane < kWidth; ++lane) {
      const float dy_value = gradients[j][lane];
      lanes[lane].first += dy_value;
      lanes[lane].second += dy_value * standardizers[kChannels == 1 ? 0 : lane](vector[lane]);
    }
  }
  double sums[2 * kChannels];
  SIMT_UNROLL
  for (int k = 0; k < kChannels; ++k) {
    Pair<float> sum = lanes[k];
    SIMT_UNROLL
    for (int lane = 1; lane < kWidth / kChannels; ++lane) sum = Add{}(sum, lanes[k + lane]);
    sums[2 * k] = static_cast<double>(sum.first);
    sums[2 * k + 1] = static_cast<double>(sum.second);
  }
  cluster_sums.add(sums);
  const unsigned channel =
      thread.group * static_cast<unsigned>(owners) + static_cast<unsigned>(thread_index());
  if (thread_index() < owners && channel < space.channels) {
    const GradientSums total = cluster_sums.total(thread_index());
    const auto sum_dy = static_cast<float>(total.first), sum_dy_xhat = static_cast<float>(total.second);
    constants[thread_index()] = Pair<float>{sum_dy * inverse_count, sum_dy_xhat * inverse_count};
    if (Thread::rank(space) == 0) {
      store(dbeta + channel, sum_dy);
      store(dgamma + channel, sum_dy_xhat);
    }
  }
  block_sync();

  InputGradient input_gradients[kChannels] = {};
  if (thread.has_channel(space)) {
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const Pair<float> terms = constants[(thread_index() & (space.columns - 1)) * kChannels + k];
      input_gradients[k] = {standardizers[k], scales[k], terms.first, terms.second};
    }
  }
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    if (!thread.has(j)) continue;
    const Vector<T, kWidth> vector = values[j];
    float result[kWidth];
    SIMT_UNROLL
    for (int lane = 0; lane < kWidth; ++lane)
      result[lane] = input_gradients[kChannels == 1 ? 0 : lane](vector[lane], gradients[j][lane]);
    store_vector(dx + thread.base + thread.offset(space, j), result, space.aligned);
  }
}

/// The instance for the space's vectors.
template <typename T>
auto resident_backward_kernel_for(const ResidentSpace& space, int vectors) {
  constexpr int kSize = simt::Vec<T>::kSize;
  return with_vectors(vectors, [&]<int kVectors>() {
    return space.width == 1                 ? resident_backward_kernel<T, kVectors, 1, 1>
           : space.channels_per_vector == 1 ? resident_backward_kernel<T, kVectors, kSize, 1>
                                            : resident_backward_kernel<T, kVectors, kSize, kSize>;
  });
}

inline LaunchConfig resident_backward_config(const ResidentSpace& space, const ResidentTuning& tuning) {
  const bool shared = space.width > 1 && tuning.vectors > kVectorsInRegisters;
  return resident_config("batch_norm_resident_backward", space, tuning, sizeof(simt::Pair<float>),
                         shared ? std::int64_t{tuning.vectors} * tuning.threads * simt::kVecBytes : 0);
}

template <typename T>
void launch_resident_backward(ResidentSpace space, const ResidentTuning& tuning, std::int64_t count,
                              const T* x, const T* dy, const float* gamma, const float* mean,
                              const float* inv_std, T* dx, float* dgamma, float* dbeta,
                              const Stream& stream) {
  space.aligned = simt::is_aligned(x) && simt::is_aligned(dy) && simt::is_aligned(dx);
  const auto inverse_count = static_cast<float>(1.0 / static_cast<double>(count));
  const auto kernel = resident_backward_kernel_for<T>(space, tuning.vectors);
  const Means means = two_floats(mean, space.channels);
  launch_groups(space, resident_backward_config(space, tuning), stream,
                [&](const ResidentSpace& groups, const LaunchConfig& config) {
                  launch(kernel, config, stream, groups, inverse_count, x, dy, gamma, means, inv_std, dx,
                         dgamma, dbeta);
                });
}

}  // namespace bntrain::kernels
