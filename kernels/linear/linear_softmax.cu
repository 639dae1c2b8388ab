// The last fully connected layer, its loss and all their gradients.
//
// Maths: z = x w^T + bias; loss and gradient g of z as in softmax_cross_entropy.cu;
//   dx[n, i] = sum over o of g[n, o] * w[o, i];  dw[o, i] = sum over n of g[n, o] * x[n, i];  dbias[o] = sum
//   of g
//
// Contract: linear.hpp. One launch for what would be six (two products and bias forward, loss, three
// gradients): each of them reads tens of kilobytes, and takes the time of a launch. A block has w in shared
// memory and takes the images of one part, eight at a time, a warp an image; it leaves the part's dw and
// dbias, which a second launch adds. The last block to finish adds the losses in the order of a tree over the
// batch. Bytes moved: 8 * batch * in, and twice the parts' sums.
#include <algorithm>
#include <climits>

#include "kernels/convolution/shared_layout.hpp"
#include "kernels/kernels.hpp"
#include "kernels/linear/sum_parts.hpp"
#include "kernels/loss/image_loss.cuh"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct LinearSoftmaxTuning {
  static constexpr int kWarps = 8;  ///< images at a time
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kBlocksPerSm = 4;
  static constexpr std::int64_t kMostParts = 128;
};

using Tuning = LinearSoftmaxTuning;

struct Head {
  std::int64_t batch, part_images, parts;
  int in, out;
  Divider by_in;

  SIMT_HOST_DEVICE std::int64_t part_floats() const { return static_cast<std::int64_t>(out) * (in + 1); }
};

Head head_of(const LinearShape& s) {
  const auto parts_of = [](std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; };
  const std::int64_t part_images =
      std::max<std::int64_t>(1, parts_of(s.batch, Tuning::kWarps * Tuning::kMostParts)) * Tuning::kWarps;
  const int in = static_cast<int>(s.in);
  return {s.batch, part_images, parts_of(s.batch, part_images), in, static_cast<int>(s.out), Divider(in)};
}

/// partial: [parts, out * in + out], or null: neither dw nor dbias is wanted. No __restrict__ on what one
/// block writes and another reads: such reads may be cached.
SIMT_KERNEL(Tuning::kThreads)
linear_softmax_kernel(Head head, const float* __restrict__ x, const float* __restrict__ w,
                      const float* __restrict__ bias, const std::uint8_t* __restrict__ labels,
                      const std::int64_t* __restrict__ order, BatchState* state, LossOutput loss,
                      float* __restrict__ logits, float* __restrict__ dx, float* __restrict__ partial,
                      Pair<double>* losses, unsigned* arrivals) {
  SIMT_SHARED(unsigned, flag, 1);
  SIMT_SHARED(Pair<double>, scratch, kMaxWarps);
  DynamicShared dynamic;
  const int in = head.in, out = head.out;
  const Shared<float> weights = dynamic.take<float>("weights", out * in);
  const Shared<float> rows = dynamic.take<float>("rows", Tuning::kWarps * in);
  const Shared<float> z = dynamic.take<float>("logits", Tuning::kWarps * out) + warp_index() * out;
  const Shared<float> gradients = dynamic.take<float>("gradients", Tuning::kWarps * out);
  const Shared<float> row = rows + warp_index() * in, gradient = gradients + warp_index() * out;
  const std::int64_t first = state->first;
  const double scale = state->gradient_scale;
  for (int i = thread_index(); i < out * in; i += block_size()) copy_async<1>(weights + i, w + i);

  for (std::int64_t part = block_index(); part < head.parts; part += grid_size()) {
    const std::int64_t end =
        (part + 1) * head.part_images < head.batch ? (part + 1) * head.part_images : head.batch;
    for (std::int64_t n0 = part * head.part_images; n0 < end; n0 += Tuning::kWarps) {
      const std::int64_t n = n0 + warp_index();
      const bool exists = n < end;
      block_sync();  // before the rows and gradients are overwritten
      for (int i = lane_index(); i < in; i += kWarpSize) {
        if (exists)
          copy_async<1>(row + i, x + n * in + i);
        else
          row[i] = 0.0f;
      }
      copies_wait();
      block_sync();
      if (exists) {
        for (int o = 0; o < out; ++o) {
          float sum = 0;
          for (int i = lane_index(); i < in; i += kWarpSize) {
            const float a = row[i], b = weights[o * in + i];
            sum += a * b;
          }
          sum = warp_sum(sum) + (bias != nullptr ? bias[o] : 0.0f);
          if (lane_index() == 0) z[o] = sum;
        }
        warp_sync();
        const std::int64_t image = order != nullptr ? order[first + n] : first + n;
        const Pair<double> of_image = image_loss(
            out,
            [&](int o) {
              const float logit = z[o];
              return logit;
            },
            labels[image], scale, true, [&](int o, float g) { gradient[o] = g; });
        if (lane_index() == 0) losses[n] = of_image;
        for (int o = lane_index(); o < out; o += kWarpSize) {
          if (logits != nullptr) logits[n * out + o] = z[o];
          if (loss.gradient != nullptr) loss.gradient[n * out + o] = gradient[o];
        }
        warp_sync();
        if (dx != nullptr)
          for (int i = lane_index(); i < in; i += kWarpSize) {
            float sum = 0;
            for (int o = 0; o < out; ++o) {
              const float g = gradient[o], b = weights[o * in + i];
              sum += g * b;
            }
            dx[n * in + i] = sum;
          }
      } else {
        for (int o = lane_index(); o < out; o += kWarpSize) gradient[o] = 0.0f;
      }
      if (partial == nullptr) continue;
      block_sync();  // before other warps' rows and gradients are read
      float* sums = partial + part * head.part_floats();
      for (int i = thread_index(); i < out * in + out; i += block_size()) {
        const bool is_bias = i >= out * in;
        const int o = is_bias ? i - out * in : head.by_in.quotient(i), column = head.by_in.remainder(i, o);
        float sum = n0 > part * head.part_images ? sums[i] : 0.0f;
        SIMT_UNROLL
        for (int k = 0; k < Tuning::kWarps; ++k) {
          const float g = gradients[k * out + o];
          float value = 1;
          if (!is_bias) value = rows[k * in + column];
          sum += g * value;
        }
        sums[i] = sum;
      }
    }
  }
  if (!is_last_block(arrivals, static_cast<unsigned>(grid_size()), flag)) return;
  Pair<double> sum{0, 0};
  for (std::int64_t n = thread_index(); n < head.batch; n += block_size()) sum = Add{}(sum, losses[n]);
  sum = block_sum(sum, scratch);
  if (thread_index() == 0) record(sum, head.batch, state, loss);
}

std::int64_t shared_bytes(const LinearShape& s) {
  return carved_bytes<float>(s.out * s.in) + carved_bytes<float>(Tuning::kWarps * s.in) +
         2 * carved_bytes<float>(Tuning::kWarps * s.out);
}

}  // namespace

bool has_linear_softmax(const LinearShape& s) {
  constexpr std::int64_t kMost = kSharedFloats;  // of any one size, so that no product overflows
  return s.batch >= 0 && s.batch <= INT_MAX && s.in >= 1 && s.in <= kMost && s.out >= 1 && s.out <= kMost &&
         shared_bytes(s) <= kSharedFloats * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t linear_softmax_workspace(const LinearShape& shape) {
  require(has_linear_softmax(shape), "linear_softmax_workspace", "the layer is too large");
  const Head head = head_of(shape);
  return head.batch * static_cast<std::int64_t>(sizeof(Pair<double>)) +
         head.parts * head.part_floats() * static_cast<std::int64_t>(sizeof(float));
}

void linear_softmax_cross_entropy(const LinearShape& shape, const float* x, const float* w, const float* bias,
                                  const std::uint8_t* labels, const std::int64_t* order, BatchState* state,
                                  const LossOutput& loss, const LinearSoftmaxOutput& output, void* workspace,
                                  unsigned* arrivals, const Stream& stream) {
  constexpr const char* kName = "linear_softmax_cross_entropy";
  require(has_linear_softmax(shape), kName, "a size is not positive, or the layer is too large");
  if (shape.batch == 0) return;
  require(workspace != nullptr && is_aligned(workspace), kName,
          "the workspace is null or not 16-byte aligned");
  const Head head = head_of(shape);
  auto* losses = static_cast<Pair<double>*>(workspace);
  const bool sums = output.dw != nullptr || output.dbias != nullptr;
  auto* partial = sums ? reinterpret_cast<float*>(losses + shape.batch) : nullptr;
  launch(linear_softmax_kernel,
         {.name = kName,
          .grid = strided_grid(head.parts, 1, Tuning::kBlocksPerSm, stream),
          .block = Tuning::kThreads,
          .shared_bytes = shared_bytes(shape)},
         stream, head, x, w, bias, labels, order, state, loss, output.logits, output.dx, partial, losses,
         arrivals);
  if (sums)
    sum_parts(kName,
              {.partial = partial,
               .parts = head.parts,
               .size = head.part_floats(),
               .out = output.dw,
               .out_size = shape.out * shape.in,
               .rest = output.dbias},
              stream);
}

}  // namespace bntrain::kernels
