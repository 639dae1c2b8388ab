#include "bntrain/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bntrain {
namespace {

using testing::HasSubstr;

TEST(Error, KindsAreTheExitCodes) {
  EXPECT_EQ(Error(ErrorKind::runtime, "x").exit_code(), 1);
  EXPECT_EQ(Error(ErrorKind::usage, "x").exit_code(), 2);
  EXPECT_EQ(Error(ErrorKind::data, "x").exit_code(), 3);
  EXPECT_EQ(Error(ErrorKind::diverged, "x").exit_code(), 4);
  EXPECT_EQ(Error(ErrorKind::gate, "x").exit_code(), 5);
  EXPECT_STREQ(Error(ErrorKind::gate, "what happened").what(), "what happened");
}

TEST(Expects, NamesTheBrokenPreconditionAndItsPlace) {
  const int count = -1;
  EXPECT_NO_THROW(BNTRAIN_EXPECTS(count < 0));
  try {
    BNTRAIN_EXPECTS(count >= 0);
    FAIL() << "a broken precondition passed";
  } catch (const std::logic_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("count >= 0"));
    EXPECT_THAT(error.what(), HasSubstr("error_test.cpp"));
  }
}

}  // namespace
}  // namespace bntrain
