// What the resident kernels share: which vectors a thread has, and the sums of a cluster.
//
// The sums of a block are of 2 M values a thread: M pairs, one for each channel of its vectors. Halving: at
// each step of the shuffle chain a lane sends half of the sums that it still has and adds up the other half,
// so that two sums cost five shuffles and not ten. Warps, then blocks, are added in their order. One exchange
// through distributed shared memory: every block writes its sums into all blocks of the cluster, one barrier.
#pragma once

#include "kernels/batch_norm/resident.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

SIMT_DEVICE unsigned divide(unsigned n, const FastDivision& by) {
  const auto product = static_cast<std::uint64_t>(n) * by.multiplier;
  return (static_cast<unsigned>(product >> 32) + n) >> by.shift;
}

template <typename T, int kWidth>
struct Vector {
  T lane[kWidth];

  SIMT_DEVICE float operator[](int i) const { return static_cast<float>(lane[i]); }
};

template <int kWidth, typename T>
SIMT_DEVICE Vector<T, kWidth> load_vector(const T* p, bool aligned) {
  Vector<T, kWidth> vector;
  if (kWidth > 1 && aligned) {
    if constexpr (kWidth > 1) {
      const simt::Vec<T> vec = simt::load_vec(p);
      SIMT_UNROLL
      for (int i = 0; i < kWidth; ++i) vector.lane[i] = vec.lane[i];
    }
  } else {
    SIMT_UNROLL
    for (int i = 0; i < kWidth; ++i) vector.lane[i] = simt::load(p + i);
  }
  return vector;
}

template <typename T, int kWidth>
SIMT_DEVICE void store_vector(T* p, const float (&values)[kWidth], bool aligned) {
  if (kWidth > 1 && aligned) {
    if constexpr (kWidth > 1) {
      simt::Vec<T> vec;
      SIMT_UNROLL
      for (int i = 0; i < kWidth; ++i) vec.lane[i] = static_cast<T>(values[i]);
      simt::store_vec(p, vec);
    }
  } else {
    SIMT_UNROLL
    for (int i = 0; i < kWidth; ++i) simt::store(p + i, static_cast<T>(values[i]));
  }
}

/// The vectors of a thread in its cluster's group of channels.
template <int kVectors, int kWidth, int kChannels>
struct ThreadVectors {
  unsigned group;
  unsigned channel;  ///< of the vectors' first value
  unsigned first, end, step;
  std::int64_t base;  ///< offset of the channel's first value

  SIMT_DEVICE explicit ThreadVectors(const ResidentSpace& space) {
    const auto thread = static_cast<unsigned>(simt::thread_index());
    const unsigned column = thread & static_cast<unsigned>(space.columns - 1);
    const unsigned begin = rank(space) * space.share;
    group = space.first_group + (static_cast<unsigned>(simt::block_index()) >> space.cluster_log2);
    channel = (group * static_cast<unsigned>(space.columns) + column) * kChannels;
    first = begin + (thread >> space.columns_log2);
    step = static_cast<unsigned>(simt::block_size()) >> space.columns_log2;
    end = begin + space.share < space.vectors ? begin + space.share : space.vectors;
    if (channel >= space.channels) end = 0;
    base = static_cast<std::int64_t>(channel) * space.channel_stride;
  }

  /// Of this block in its cluster.
  SIMT_DEVICE static unsigned rank(const ResidentSpace& space) {
    return static_cast<unsigned>(simt::block_index()) & static_cast<unsigned>(space.cluster - 1);
  }
  SIMT_DEVICE bool has_channel(const ResidentSpace& space) const { return channel < space.channels; }
  SIMT_DEVICE bool has(int j) const { return first + static_cast<unsigned>(j) * step < end; }
  SIMT_DEVICE int count() const {
    int vectors = 0;
    SIMT_UNROLL
    for (int j = 0; j < kVectors; ++j) vectors += has(j) ? 1 : 0;
    return vectors;
  }
  /// From `base`. In 32 bits, because a thread has as many of them as vectors in registers.
  SIMT_DEVICE unsigned offset(const ResidentSpace& space, int j) const {
    const unsigned vector = first + static_cast<unsigned>(j) * step;
    return (vector + divide(vector, space.row) * space.row_gap) * kWidth;
  }
};

/// The sums of a cluster: kSums values a thread, pairs for the channels of its vectors, a power of two.
template <int kSums>
class ClusterSums {
 public:
  SIMT_DEVICE ClusterSums(const ResidentSpace& space, simt::DynamicShared& dynamic)
      : cluster_(space.cluster),
        columns_(space.columns),
        values_log2_(space.columns_log2 + kSumsLog2),
        warps_(dynamic.take<double>("warp sums", simt::warp_count() << values_log2_)),
        blocks_(dynamic.take<double>("block sums", cluster_ << values_log2_)) {
    if (cluster_ > 1) simt::cluster_announce();
  }

  /// Adds up the sums of all threads of the cluster for total(). Collective.
  SIMT_DEVICE void add(double (&sums)[kSums]) {
    add_warp(sums);
    simt::block_sync();
    if (cluster_ > 1) simt::cluster_wait_started();
    const int values = 1 << values_log2_;
    const int rank = simt::block_index() & (cluster_ - 1);
    // A thread for each value and each block that it goes to.
    for (int i = simt::thread_index(); i < cluster_ << values_log2_; i += simt::block_size()) {
      const int value = i & (values - 1);
      double total = 0;
      for (int warp = 0; warp < simt::warp_count(); ++warp) {
        const double part = warps_[(warp << values_log2_) + value];
        total += part;
      }
      (cluster_ > 1 ? simt::map_shared(blocks_, i >> values_log2_)
                    : blocks_)[(rank << values_log2_) + value] = total;
    }
    if (cluster_ > 1)
      simt::cluster_sync();
    else
      simt::block_sync();
  }

  /// Of the group's channel `owner`, counted from its first.
  SIMT_DEVICE simt::Pair<double> total(int owner) const {
    simt::Pair<double> total{0, 0};
    for (int block = 0; block < cluster_; ++block) {
      const double first = blocks_[(block << values_log2_) + 2 * owner];
      const double second = blocks_[(block << values_log2_) + 2 * owner + 1];
      total = simt::Add{}(total, simt::Pair<double>{first, second});
    }
    return total;
  }

 private:
  static constexpr int kSumsLog2 = kSums == 2 ? 1 : kSums == 8 ? 3 : 4;
  static_assert(kSums == 1 << kSumsLog2);

  /// Over the lanes of a warp that have the same column, into warps_.
  SIMT_DEVICE void add_warp(double (&sums)[kSums]) {
    const int lane = simt::lane_index();
    int index = 0, live = kSums;
    SIMT_UNROLL
    for (int step = 0; step < 5; ++step) {
      const int bit = simt::kWarpSize / 2 >> step, half = kSums >> step >> 1;
      if (bit < columns_) break;
      if (half > 0) {
        const bool upper = (lane & bit) != 0;
        SIMT_UNROLL
        for (int i = 0; i < half; ++i) {
          const double other = simt::shuffle_xor(upper ? sums[i] : sums[half + i], bit);
          sums[i] = (upper ? sums[half + i] : sums[i]) + other;
        }
        index += upper ? half : 0;
        live = half;
      } else {
        sums[0] += simt::shuffle_xor(sums[0], bit);
      }
    }
    // Lanes that differ in the other bits of their row have the same sums.
    const int copies = (simt::kWarpSize / kSums - 1) & ~(columns_ - 1);
    const int place = (simt::warp_index() << values_log2_) + (lane & (columns_ - 1)) * kSums + index;
    if ((lane & copies) == 0) {
      SIMT_UNROLL
      for (int i = 0; i < kSums; ++i)
        if (i < live) warps_[place + i] = sums[i];
    }
  }

  int cluster_, columns_, values_log2_;
  simt::Shared<double> warps_, blocks_;  ///< [warps or blocks][columns][kSums]
};

/// Calls work.template operator()<kVectors>().
template <typename Work>
auto with_vectors(int vectors, const Work& work) {
  switch (vectors) {
    case 1:
      return work.template operator()<1>();
    case 4:
      return work.template operator()<4>();
    case 5:
      return work.template operator()<5>();
    case 7:
      return work.template operator()<7>();
    default:
      return work.template operator()<9>();
  }
}

}  // namespace bntrain::kernels
