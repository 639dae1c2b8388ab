#include "bntrain/evaluate.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "backend/executable.hpp"
#include "backend/state.hpp"
#include "bntrain/error.hpp"
#include "train/evaluation_loop.hpp"

namespace bntrain {
namespace {

/// Mean and sum of squared deviations per channel of everything merged so far. Every image has as many values
/// of a channel as every other, so that images serve as weights.
class Moments {
 public:
  /// Chan, Golub and LeVeque 1979.
  void merge(const BatchStatistics& batch, std::int64_t images) {
    mean_.resize(batch.mean.size());
    var_sum_.resize(batch.mean.size());
    const auto added = static_cast<double>(images);
    const double total = images_ + added;
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      const double delta = batch.mean[c] - mean_[c];
      mean_[c] += delta * (added / total);
      var_sum_[c] += batch.var[c] * added + delta * delta * (images_ * added / total);
    }
    images_ = total;
  }

  std::vector<float> mean() const { return {mean_.begin(), mean_.end()}; }
  std::vector<float> var() const {
    std::vector<float> result;
    for (const double sum : var_sum_) result.push_back(static_cast<float>(sum / images_));
    return result;
  }

 private:
  double images_ = 0;
  std::vector<double> mean_, var_sum_;
};

void replace(ModelState& state, const std::string& name, std::vector<float> values) {
  std::ranges::find(state.tensors, name, &Tensor::name)->floats() = std::move(values);
}

}  // namespace

Evaluator::Evaluator(const Network& network, const BatchNormOptions& batch_norm, ImageSet images,
                     std::int64_t batch_size, Backend& backend)
    : images_(std::make_unique<const ImageSet>(std::move(images))), network_(network) {
  BNTRAIN_EXPECTS(images_->count > 0 && batch_size > 0 && images_->shape == network.input());
  batch_size_ = std::min(batch_size, images_->count);
  executable_ = backend.compile({network_, batch_norm, batch_size_, Purpose::inference});
  executable_->bind_evaluation_images(*images_);
}

Evaluator::Evaluator(Evaluator&&) noexcept = default;
Evaluator& Evaluator::operator=(Evaluator&&) noexcept = default;
Evaluator::~Evaluator() = default;

std::string Evaluator::variant() const {
  return executable_->variant();
}

std::string Evaluator::report() const {
  return executable_->report();
}

void Evaluator::load(const ModelState& state) {
  load_state(*executable_, state);
}

ModelState Evaluator::save() const {
  return save_state(*executable_);
}

ModelEvaluation Evaluator::evaluate_with(const std::function<void(BatchRange)>& step) {
  ModelEvaluation result;
  result.metrics = evaluate_batches(*executable_, images_->count, batch_size_, [&](BatchRange range) {
    step(range);
    const std::vector<float> logits = executable_->logits();
    result.logits.insert(result.logits.end(), logits.begin(), logits.end());
  });
  return result;
}

ModelEvaluation Evaluator::evaluate() {
  return evaluate_with([&](BatchRange range) { executable_->eval_step(range); });
}

ModelEvaluation Evaluator::evaluate_by_batch() {
  return evaluate_with([&](BatchRange range) { executable_->diagnostics().eval_step_by_batch(range, 0); });
}

ModelState Evaluator::recompute_statistics(ModelState state) {
  load(state);
  for (const RunningStatistics& norm : network_.running()) {
    Moments moments;
    evaluate_batches(*executable_, images_->count, batch_size_, [&](BatchRange range) {
      moments.merge(executable_->diagnostics().eval_step_by_batch(range, norm.layer).front(), range.count);
    });
    const Layer& layer = network_.layer(norm.layer);
    replace(state, tensor_name(layer, TensorRole::running_mean), moments.mean());
    replace(state, tensor_name(layer, TensorRole::running_var), moments.var());
    load(state);
  }
  return state;
}

}  // namespace bntrain
