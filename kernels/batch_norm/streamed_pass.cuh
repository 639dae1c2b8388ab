// What the streamed kernels compute of the vectors that they hold: the sums of a thread, a channel's
// constants from the totals, the results. Contract: batch_norm.hpp.
//
// Forward. A thread adds up d = x - center and d^2 in float32 over a window of at most 32 vectors per lane,
// then moves both to the channel's first value as origin, in fp64: with n values in the window, shift =
// center - origin,
//   sum(x - origin) = sum(d) + n shift,  sum((x - origin)^2) = sum(d^2) + shift (2 sum(d) + n shift)
// ("shifted data" of Chan, Golub, LeVeque 1983). A window's center is the mean of the one before, the first
// one's is the thread's first value. A constant channel has d = 0 throughout and a variance of exactly 0. A
// window whose squares overflow float32 is read again in fp64. Over the threads and blocks everything is
// fp64. Backward. dy and dy * xhat in float32 over a window, then in fp64.
//
// A pass is the arguments of a kernel; its Thread is the state of one thread for kChannels channels: one
// (channels first) or those of a vector (channels last).
#pragma once

#include <cfloat>

#include "kernels/batch_norm/gradients.cuh"
#include "kernels/batch_norm/moments.cuh"

namespace bntrain::kernels::streamed {

/// The 16 bytes of a vector in registers: as 16-bit values each would take a register of its own.
using Bits = simt::Vec<std::uint32_t>;

template <typename T>
SIMT_DEVICE Bits bits_of(const simt::Vec<T>& vector) {
  Bits bits;
  memcpy(&bits, &vector, sizeof bits);
  return bits;
}
template <typename T>
SIMT_DEVICE float lane_of(const Bits& bits, int lane) {
  constexpr int kOfWord = sizeof(std::uint32_t) / sizeof(T);
  const std::uint32_t word = bits.lane[lane / kOfWord];
  T value;
  if constexpr (kOfWord == 1) {
    memcpy(&value, &word, sizeof value);
  } else {
    const auto half = static_cast<std::uint16_t>(word >> 16 * (lane % 2));
    memcpy(&value, &half, sizeof value);
  }
  return static_cast<float>(value);
}

template <typename T>
struct ForwardArguments {
  const T* x;
  const float *gamma, *beta;
  T* y;
  StatisticsOutput output;
  double count, inverse_count;
};

/// kVectorChannels: 1 or the values of a vector.
template <typename T, int kVectorChannels>
struct ForwardPass : ForwardArguments<T> {
  using Value = T;
  using Arguments = ForwardArguments<T>;
  static constexpr const char* kName = "batch_norm_forward_streamed";
  static constexpr int kWidth = simt::Vec<T>::kSize, kChannels = kVectorChannels, kInputs = 1;

  using Constants = Normalizer;
  struct Prepared {
    float gamma, beta;
  };

  SIMT_DEVICE const T* input(int) const { return this->x; }
  SIMT_DEVICE T* result() const { return this->y; }
  SIMT_DEVICE Prepared prepare(std::int64_t channel) const {
    return {this->gamma[channel], this->beta[channel]};
  }
  /// total: of x - origin and its square. write: whether the statistics are stored.
  SIMT_DEVICE Constants finish(std::int64_t channel, const Prepared& prepared, simt::Pair<double> total,
                               float origin, bool write) const {
    const ChannelStatistics statistics =
        statistics_about(static_cast<double>(origin), total, this->inverse_count);
    if (write) this->output.write(channel, this->count, statistics);
    return normalizer(split_mean(statistics.mean), inv_std_of(statistics.var, this->output.options.eps),
                      prepared.gamma, prepared.beta);
  }

  class Thread {
   public:
    template <typename ChannelOf>
    SIMT_DEVICE Thread(const ForwardPass&, const ChannelOf&) {}

    SIMT_DEVICE void add(const Bits (&inputs)[1]) {
      if (!centered_) {
        SIMT_UNROLL
        for (int k = 0; k < kChannels; ++k) center_[k] = lane_of<T>(inputs[0], k);
        centered_ = true;
      }
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) {
        const float d = lane_of<T>(inputs[0], lane) - center_[lane % kChannels];
        sum_[lane] += d;
        squares_[lane] += d * d;
      }
      ++vectors_;
    }
    /// Ends a window. origins(k): the first value of channel k; read_again(visit) calls visit(inputs) for
    /// every vector that was added since the last call.
    template <typename Origins, typename ReadAgain>
    SIMT_DEVICE void flush(const Origins& origins, const ReadAgain& read_again) {
      constexpr int kLanes = kWidth / kChannels;
      const auto values = static_cast<float>(vectors_ * kLanes);
      unsigned overflowed = 0;  // a bit for each channel
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k) {
        float sum = sum_[k], squares = squares_[k];
        SIMT_UNROLL
        for (int i = 1; i < kLanes; ++i) {
          sum += sum_[k + i];
          squares += squares_[k + i];
        }
        if (!(squares <= FLT_MAX)) {
          overflowed |= 1u << k;
          continue;
        }
        const double shift = static_cast<double>(center_[k]) - static_cast<double>(origins(k));
        const double d = sum, n = values;
        total_[k].first += d + n * shift;
        total_[k].second += static_cast<double>(squares) + shift * (2 * d + n * shift);
        if (vectors_ > 0) center_[k] += sum * (1 / values);
      }
      if (overflowed != 0)
        read_again([&](const Bits(&inputs)[1]) {
          SIMT_UNROLL
          for (int lane = 0; lane < kWidth; ++lane) {
            const int k = lane % kChannels;
            const double d =
                static_cast<double>(lane_of<T>(inputs[0], lane)) - static_cast<double>(origins(k));
            if ((overflowed >> k & 1) == 0) continue;
            total_[k].first += d;
            total_[k].second += d * d;
          }
        });
      vectors_ = 0;
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) sum_[lane] = squares_[lane] = 0;
    }
    SIMT_DEVICE simt::Pair<double> total(int k) const { return total_[k]; }

    SIMT_DEVICE void take(int k, const Constants& constants) { constants_[k] = constants; }
    SIMT_DEVICE simt::Vec<T> apply(const Bits (&inputs)[1]) const {
      simt::Vec<T> result;
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) {
        const Constants& c = constants_[lane % kChannels];
        result.lane[lane] =
            static_cast<T>(c.mean.deviation(lane_of<T>(inputs[0], lane)) * c.scale + c.offset);
      }
      return result;
    }

   private:
    float center_[kChannels] = {}, sum_[kWidth] = {}, squares_[kWidth] = {};
    int vectors_ = 0;
    bool centered_ = false;
    simt::Pair<double> total_[kChannels] = {};
    Constants constants_[kChannels];
  };
};

template <typename T>
struct BackwardArguments {
  const T *x, *dy;
  const float* gamma;
  Means means;
  const float* inv_std;
  T* dx;
  float *dgamma, *dbeta;
  double inverse_count;
};

template <typename T, int kVectorChannels>
struct BackwardPass : BackwardArguments<T> {
  using Value = T;
  using Arguments = BackwardArguments<T>;
  static constexpr const char* kName = "batch_norm_backward_streamed";
  static constexpr int kWidth = simt::Vec<T>::kSize, kChannels = kVectorChannels, kInputs = 2;

  /// With the standardizer again, so that threads need not keep theirs meanwhile.
  using Constants = InputGradient;
  struct Prepared {
    Standardizer standardizer;
    float gamma;
  };

  SIMT_DEVICE const T* input(int i) const { return i == 0 ? this->x : this->dy; }
  SIMT_DEVICE T* result() const { return this->dx; }
  SIMT_DEVICE Prepared prepare(std::int64_t channel) const {
    return {standardizer_of(channel), this->gamma[channel]};
  }
  SIMT_DEVICE Standardizer standardizer_of(std::int64_t channel) const {
    return standardizer(this->means.at(channel), this->inv_std[channel]);
  }
  SIMT_DEVICE Constants finish(std::int64_t channel, const Prepared& prepared, simt::Pair<double> total,
                               float, bool write) const {
    if (write) {
      this->dbeta[channel] = to_float(total.first);
      this->dgamma[channel] = to_float(total.second);
    }
    return {prepared.standardizer, prepared.gamma * prepared.standardizer.inv_std,
            to_float(total.first * this->inverse_count), to_float(total.second * this->inverse_count)};
  }

  class Thread {
   public:
    /// channel_of(k): the number of channel k.
    template <typename ChannelOf>
    SIMT_DEVICE Thread(const BackwardPass& pass, const ChannelOf& channel_of) {
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k) standardizers_[k] = pass.standardizer_of(channel_of(k));
    }

    SIMT_DEVICE void add(const Bits (&inputs)[2]) {
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) {
        const float dy = lane_of<T>(inputs[1], lane);
        sum_[lane] += dy;
        products_[lane] += dy * standardizers_[lane % kChannels](lane_of<T>(inputs[0], lane));
      }
    }
    template <typename Origins, typename ReadAgain>
    SIMT_DEVICE void flush(const Origins&, const ReadAgain&) {
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k) SIMT_UNROLL
      for (int lane = k; lane < kWidth; lane += kChannels) {
        total_[k].first += static_cast<double>(sum_[lane]);
        total_[k].second += static_cast<double>(products_[lane]);
      }
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) sum_[lane] = products_[lane] = 0;
    }
    SIMT_DEVICE simt::Pair<double> total(int k) const { return total_[k]; }

    SIMT_DEVICE void take(int k, const Constants& constants) { constants_[k] = constants; }
    SIMT_DEVICE simt::Vec<T> apply(const Bits (&inputs)[2]) const {
      simt::Vec<T> result;
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane)
        result.lane[lane] = static_cast<T>(
            constants_[lane % kChannels](lane_of<T>(inputs[0], lane), lane_of<T>(inputs[1], lane)));
      return result;
    }

   private:
    Standardizer standardizers_[kChannels];
    float sum_[kWidth] = {}, products_[kWidth] = {};
    simt::Pair<double> total_[kChannels] = {};
    Constants constants_[kChannels];
  };
};

}  // namespace bntrain::kernels::streamed
