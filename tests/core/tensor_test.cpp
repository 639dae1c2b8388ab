#include "bntrain/tensor.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace bntrain {
namespace {

TEST(Tensor, SizeIsTheProductOfTheShape) {
  EXPECT_EQ((Tensor{"scalar", {}, {}}.size()), 1);
  EXPECT_EQ((Tensor{"weight", {50, 20, 3, 3}, {}}.size()), 9000);
  EXPECT_EQ((Tensor{"empty", {3, 0}, {}}.size()), 0);
  EXPECT_THROW((Tensor{"negative", {3, -1}, {}}.size()), std::logic_error);
  EXPECT_THROW((Tensor{"huge", {std::int64_t{1} << 40, 1 << 30}, {}}.size()), std::logic_error);
}

TEST(Tensor, FloatsRefusesIntegers) {
  Tensor tensor{"a", {2}, std::vector<float>{1, 2}};
  tensor.floats()[1] = 5;
  EXPECT_EQ(std::as_const(tensor).floats(), (std::vector<float>{1, 5}));
  Tensor integers{"b", {}, std::vector<std::int64_t>{7}};
  EXPECT_THROW(integers.floats(), std::logic_error);
  EXPECT_THROW(std::as_const(integers).floats(), std::logic_error);
}

TEST(ModelState, FindsByName) {
  const ModelState state{{{"0.weight", {}, {}}, {"0.bias", {}, {}}}};
  EXPECT_EQ(state.find("0.bias"), &state.tensors[1]);
  EXPECT_EQ(state.find("0.bia"), nullptr);
}

TEST(ModelState, TheFirstTensorThatIsNotFinite) {
  ModelState state{{{"0.weight", {2}, std::vector<float>{1, -3e38f}},
                    {"1.num_batches_tracked", {}, std::vector<std::int64_t>{7}},
                    {"1.running_var", {2}, std::vector<float>{1, 2}}}};
  EXPECT_EQ(first_non_finite(state), nullptr);
  state.tensors[2].floats()[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(first_non_finite(state), &state.tensors[2]);
  state.tensors[0].floats()[0] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(first_non_finite(state), &state.tensors[0]);
}

}  // namespace
}  // namespace bntrain
