// What a run begins with, what it refuses, and the model that it leaves.
#include <map>
#include <string>

#include "train/trainer_fixture.hpp"

namespace bntrain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(TrainerTest, AWarmupLongerThanTheRunIsRefused) {
  config.schedule.warmup = 7;
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { run(); }),
              AllOf(HasSubstr("warmup: 7"), HasSubstr("more than the schedule has: 6")));
}

TEST_F(TrainerTest, LoadsTheInitialStateOfTheSeed) {
  config.seed = 3;
  const Trainer trainer(config, dataset, backend);
  const ModelState expected = initial_state(trainer.network(), Init::tutorial, 3);
  EXPECT_TRUE(test::same_bits(trainer.save(), expected));
}

TEST_F(TrainerTest, BeginsWithTheValuesThatItIsGiven) {
  const Network network = Network::parse("fc3", dataset.train.shape, 3);
  const ModelState state = initial_state(network, Init::he, 1);
  const Trainer trainer(config, dataset, backend, state);
  EXPECT_TRUE(test::same_bits(trainer.save(), state));
}

TEST_F(TrainerTest, TheModelSaysHowItWasTrained) {
  config.network = "bn,fc3";
  config.seed = 4;
  config.init = Init::gluon;
  Trainer trainer(config, dataset, backend);
  trainer.run(observer, stop);
  const Model model = trainer.model();
  EXPECT_EQ(model.network.text(), trainer.network().text());
  EXPECT_EQ(model.metadata, (std::map<std::string, std::string>{{"dataset", "fake"},
                                                                {"init", "gluon"},
                                                                {"seed", "4"},
                                                                {"steps", "6"},
                                                                {"bn-eps", "1e-05"},
                                                                {"bn-momentum", "0.9"},
                                                                {"bn-variance", "biased"},
                                                                {"bn-values", "16"}}));
}

TEST_F(TrainerTest, RefusesABatchLargerThanTheTrainingSet) {
  config.batch_size = 11;
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { Trainer(config, dataset, backend); }),
              HasSubstr("batch_size: 11"));
}

TEST_F(TrainerTest, RefusesANetworkThatDoesNotFitTheClasses) {
  config.network = "fc4";
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { Trainer(config, dataset, backend); }), HasSubstr("fc4"));
}

TEST_F(TrainerTest, RefusesInitialValuesOfAnotherNetwork) {
  const Network other = Network::parse("fc5,relu,fc3", dataset.train.shape, 3);
  const ModelState state = initial_state(other, Init::he, 1);
  EXPECT_THAT(error_message(ErrorKind::data, [&] { Trainer(config, dataset, backend, state); }),
              HasSubstr("the initial values"));
}

}  // namespace
}  // namespace bntrain
