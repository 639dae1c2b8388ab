// The published experiments: how each was done, what its source prints, what it claims.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "bench/grid.hpp"
#include "bench/reproduction.hpp"
#include "core/number_text.hpp"

namespace bntrain::bench {
namespace {

const char* const kTutorial = "\"Batch normalization from scratch\" (MXNet tutorials, 2017)";

ExperimentArm tutorial_arm(const std::string& name, Norm norm, Init init) {
  ExperimentArm arm{name, {}, {}};
  arm.config.norm = norm;
  arm.config.init = init;
  return arm;
}

/// One of the three runs that the tutorial prints: the defaults of the program.
Experiment tutorial(const std::string& name, const std::string& title, Norm norm, Init init,
                    std::vector<RecordedEpoch> epochs) {
  ExperimentArm arm = tutorial_arm(norm == Norm::batch ? "BN" : "no BN", norm, init);
  arm.recordings.push_back({"tutorial", std::move(epochs)});
  return {name, title, kTutorial, {std::move(arm)}, {}};
}

Experiment tutorial_bn() {
  return tutorial("tutorial-bn", "the tutorial's network with batch norm", Norm::batch, Init::tutorial,
                  {{0, 2.147481, .178408, .643457},
                   {1, .607631, .765281, .840234},
                   {2, .417004, .844886, .875586},
                   {3, .350738, .870656, .873633},
                   {4, .312399, .883760, .878516}});
}

Experiment tutorial_bn_gluon() {
  return tutorial("tutorial-bn-gluon", "its twin in Gluon: gamma 1 and beta 0 at the start", Norm::batch,
                  Init::gluon,
                  {{0, .685993, .738990, .837402},
                   {1, .388239, .855801, .875879},
                   {2, .324464, .879693, .887793},
                   {3, .287061, .893822, .901367},
                   {4, .266674, .901230, .899512}});
}

Experiment tutorial_no_bn() {
  return tutorial("tutorial-no-bn", "the same network without batch norm", Norm::none, Init::tutorial,
                  {{0, 2.302478, .101980, .185998},
                   {1, 1.473099, .448902, .699920},
                   {2, .670971, .737964, .768630},
                   {3, .535203, .793286, .821214},
                   {4, .463232, .827841, .840645}});
}

double best_accuracy(const RunRecord& run) {
  double best = 0;
  for (const EvaluationRecord& evaluation : run.evaluations) best = std::max(best, evaluation.test_accuracy);
  return best;
}

std::string percent(double value) {
  const auto tenths = std::lround(value * 1000);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + "%";
}

// What counts as trained where the question is whether a network trains at all: far from chance, and below
// what the slowest of them reaches.
constexpr double kTrained = 0.8;

/// Of arms with rising learning rates, the largest at which the run trained; 0: none.
double largest_rate(std::span<const RunRecord> runs, std::span<const double> rates) {
  double largest = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].divergence && best_accuracy(runs[i]) >= kTrained) largest = std::max(largest, rates[i]);
  }
  return largest;
}

Experiment larger_lr() {
  static const std::vector<double> rates = {0.2, 0.5, 1};
  Experiment experiment{"larger-lr", "does batch norm allow a larger learning rate?", kTutorial, {}, {}};
  for (const Norm norm : {Norm::batch, Norm::none}) {
    for (const double lr : rates) {
      const std::string name = std::string(norm == Norm::batch ? "BN" : "no BN") + " lr " + shortest_text(lr);
      experiment.arms.push_back(tutorial_arm(name, norm, Init::tutorial));
      experiment.arms.back().config.optimizer.lr = lr;
    }
  }
  experiment.claims.push_back(
      {"the largest of the learning rates 0.2, 0.5 and 1 at which the network trains, to 80% test accuracy, "
       "is larger "
       "with batch norm than without (its exercise; with the tutorial's initial values)",
       [](std::span<const RunRecord> runs) {
         const double with = largest_rate(runs.first(rates.size()), rates);
         const double without = largest_rate(runs.subspan(rates.size()), rates);
         return ClaimOutcome{with > without, "with " + (with > 0 ? shortest_text(with) : "none") +
                                                 ", without " +
                                                 (without > 0 ? shortest_text(without) : "none")};
       }});
  return experiment;
}

/// The mean of the test accuracies over the course of training: the higher, the sooner it rose.
double mean_accuracy(const RunRecord& run) {
  double sum = 0;
  for (const EvaluationRecord& evaluation : run.evaluations) sum += evaluation.test_accuracy;
  return sum / static_cast<double>(std::max<std::size_t>(run.evaluations.size(), 1));
}

/// How far the median of the inputs to the last activation's first unit moved over the course of training, in
/// units of the mean distance between their 15th and 85th percentiles.
double drift(const RunRecord& run) {
  const std::vector<InputPercentiles> inputs = last_activation_inputs(run);
  if (inputs.empty()) return 0;
  const auto [least, most] = std::minmax_element(
      inputs.begin(), inputs.end(),
      [](const InputPercentiles& a, const InputPercentiles& b) { return a.median < b.median; });
  double width = 0;
  for (const InputPercentiles& record : inputs) width += record.high - record.low;
  return (most->median - least->median) / (width / static_cast<double>(inputs.size()));
}

Experiment ioffe_figure_1() {
  Experiment experiment{"ioffe-fig1",
                        "three hidden layers of 100 sigmoid units, 50,000 steps of 60 images",
                        "Ioffe and Szegedy 2015, arXiv 1502.03167, figure 1 (there on MNIST)",
                        {},
                        {}};
  for (const Norm norm : {Norm::batch, Norm::none}) {
    ExperimentArm arm{norm == Norm::batch ? "BN" : "no BN", {}, {}};
    TrainConfig& config = arm.config;
    config.network = "mlp3-sigmoid";
    config.norm = norm;
    // "Small random Gaussian values" says the paper, and neither how small nor the learning rate. With N(0,
    // 0.01^2) the network without batch norm stays at chance, which its figure does not show.
    config.init = Init::he;
    config.batch_size = 60;
    config.steps = 50'000;
    config.optimizer.lr = 0.1;
    config.log_every = 1000;
    config.record.activations = true;
    experiment.arms.push_back(std::move(arm));
  }
  const auto compare = [](const char* text, auto quantity, bool larger, auto print) {
    return Claim{text, [=](std::span<const RunRecord> runs) {
                   const double with = quantity(runs[0]), without = quantity(runs[1]);
                   return ClaimOutcome{larger ? with > without : with < without,
                                       "with " + print(with) + ", without " + print(without)};
                 }};
  };
  experiment.claims = {
      compare("(a) with batch norm the network reaches a higher test accuracy", best_accuracy, true, percent),
      compare("(a) and reaches it sooner: its test accuracy, averaged over the course of training, is higher",
              mean_accuracy, true, percent),
      compare("(b, c) the inputs of a sigmoid of the last hidden layer keep their place: the median moves by "
              "fewer times "
              "the distance of the 15th and 85th percentiles",
              drift, false, [](double value) { return shortest_text(std::round(value * 100) / 100); })};
  return experiment;
}

Experiment d2l_lenet() {
  ExperimentArm arm{"BN", {}, {}};
  arm.config.network = "d2l-lenet";
  arm.config.init = Init::xavier;
  arm.config.epochs = 10;
  arm.config.optimizer.lr = 1;
  // What three readers' committed notebooks print of the last epoch.
  arm.recordings = {{"reader 1", {{9, .267, .901, .858}}, false},
                    {"reader 2", {{9, .273, .899, .807}}, false},
                    {"reader 3", {{9, .267, .902, .708}}, false}};
  return {"d2l-lenet",
          "LeNet with sigmoids and batch norm at learning rate 1",
          "\"Dive into Deep Learning\", chapter on batch normalization, as readers ran it",
          {std::move(arm)},
          {}};
}

}  // namespace

std::vector<Experiment> experiments() {
  return {tutorial_bn(), tutorial_bn_gluon(), tutorial_no_bn(), larger_lr(), ioffe_figure_1(), d2l_lenet()};
}

}  // namespace bntrain::bench
