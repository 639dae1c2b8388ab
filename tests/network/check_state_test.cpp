#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bntrain/network.hpp"
#include "support/error_message.hpp"

namespace bntrain {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CheckState : public testing::Test {
 protected:
  Tensor& tensor(const std::string& name) { return *const_cast<Tensor*>(state_.find(name)); }
  std::string refusal() const {
    return error_message(ErrorKind::data, [&] { check_state(network_, state_, "model.safetensors"); });
  }

  Network network_ = Network::parse("lenet-bn", {1, 28, 28, false}, 10);
  ModelState state_ = initial_state(network_, Init::tutorial, 0);
};

TEST_F(CheckState, TakesItsOwnInAnyOrder) {
  EXPECT_NO_THROW(check_state(network_, state_, "model.safetensors"));
  std::swap(state_.tensors.front(), state_.tensors.back());
  EXPECT_NO_THROW(check_state(network_, state_, "model.safetensors"));
}

TEST_F(CheckState, NamesEveryProblem) {
  tensor("4.weight").shape = {20, 50, 3, 3};
  tensor("9.bias").name = "9.offset";
  tensor("5.running_var").values = std::vector<std::int64_t>(50);
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("model.safetensors: does not fit the network conv20x5,bn"),
                    HasSubstr("tensor '4.weight' is float32 [20, 50, 3, 3], not float32 [50, 20, 3, 3]"),
                    HasSubstr("unknown tensor '9.offset' (float32 [128])"),
                    HasSubstr("missing tensor '9.bias' (float32 [128]; a layer without it ends in 'nobias')"),
                    HasSubstr("tensor '5.running_var' is int64 [50], not float32 [50]"),
                    Not(HasSubstr("11.weight"))));
}

TEST_F(CheckState, ABiasThatTheNetworkHasNotIsUnknown) {
  network_ = Network::parse("conv20x5nobias,bn,relu,maxpool2,conv50x3,bn,relu,maxpool2,fc128,relu,fc10",
                            {1, 28, 28, false}, 10);
  EXPECT_THAT(refusal(), HasSubstr("unknown tensor '0.bias' (float32 [20])"));
  std::erase_if(state_.tensors, [](const Tensor& tensor) { return tensor.name == "0.bias"; });
  EXPECT_NO_THROW(check_state(network_, state_, "model.safetensors"));
}

TEST_F(CheckState, AnotherFrameworksLayoutIsCalledSo) {
  tensor("9.weight").shape = {1250, 128};
  tensor("4.weight").shape = {3, 3, 20, 50};
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("'9.weight' is float32 [1250, 128], not float32 [128, 1250] (it is transposed"),
                    HasSubstr("not float32 [50, 20, 3, 3] (its dimensions have another order")));
}

TEST_F(CheckState, LongListsAreShortened) {
  for (Tensor& tensor : state_.tensors) tensor.name.insert(0, "x");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("unknown tensor 'x0.weight'"), HasSubstr(" and 14 more; missing"),
                               Not(HasSubstr("x11.weight")), Not(HasSubstr("'9.bias'"))));
}

TEST_F(CheckState, CountsAreIntegerScalars) {
  tensor("1.num_batches_tracked").values = std::vector<float>{0};
  EXPECT_THAT(refusal(), HasSubstr("tensor '1.num_batches_tracked' is float32 [], not int64 []"));
}

TEST_F(CheckState, RefusesDuplicatesAndWrongLengths) {
  state_.tensors.push_back(tensor("0.bias"));
  tensor("11.bias").values = std::vector<float>(9);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("tensor '0.bias' appears twice"),
                               HasSubstr("tensor '11.bias' holds 9 values, not 10")));
}

TEST_F(CheckState, AModelWithNormDoesNotFitOneWithout) {
  const Network without = Network::parse("lenet-bn", {1, 28, 28, false}, 10, Norm::none);
  EXPECT_THAT(error_message(ErrorKind::data, [&] { check_state(without, state_, "file"); }),
              AllOf(HasSubstr("unknown tensor '1.running_mean'"), HasSubstr("missing tensor '7.weight'")));
}

}  // namespace
}  // namespace bntrain
