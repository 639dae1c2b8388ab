// A model's answers to images, with the batch norm statistics of one's choice.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/metrics.hpp"
#include "bntrain/network.hpp"

namespace bntrain {

struct BatchRange;

struct ModelEvaluation {
  AverageMetrics metrics;
  std::vector<float> logits;  ///< [image][class]
};

/// The forward pass of a network, compiled for some images.
class Evaluator {
 public:
  /// Expects at least one image, of the network's input shape. Batches are taken in the images' own order.
  Evaluator(const Network& network, const BatchNormOptions& batch_norm, ImageSet images,
            std::int64_t batch_size, Backend& backend);

  Evaluator(Evaluator&&) noexcept;
  Evaluator& operator=(Evaluator&&) noexcept;
  ~Evaluator();

  /// Names what the bits depend on: "cpu x86-64-v4 (16 lanes)", or "(one image a group)" in small batches.
  std::string variant() const;
  /// One line for people about the steps so far; "" when there is nothing to say.
  std::string report() const;
  /// Expects check_state() to have passed.
  void load(const ModelState& state);
  ModelState save() const;

  /// With running statistics: what an epoch of training ends with.
  ModelEvaluation evaluate();
  /// Each batch with its own statistics, as in training: the result depends on the batch size.
  ModelEvaluation evaluate_by_batch();

  /// `state` with other running statistics: mean and variance (M2 / n) of what each batch norm meets over all
  /// images of this evaluator, layer by layer. Those of the first batch norm come first; those of the next
  /// one are taken with the first one already dividing by its new statistics, as it will in inference, and so
  /// on. They are exact but for rounding (merged over the batches by Chan's formula in double precision) and
  /// do not depend on the batch size. Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 2, estimate the
  /// same from batches: E[x] by the mean of batch means, Var[x] by the mean of batch variances times m / (m -
  /// 1).
  ModelState recompute_statistics(ModelState state);

 private:
  ModelEvaluation evaluate_with(const std::function<void(BatchRange)>& step);

  std::unique_ptr<const ImageSet> images_;  // the executable refers to them
  Network network_;
  std::int64_t batch_size_;
  std::unique_ptr<Executable> executable_;
};

}  // namespace bntrain
