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

TEST(Error, NamesTheSettingThatIsWrong) {
  const Error error(ErrorKind::usage, "batch_size", "7 is too large");
  EXPECT_STREQ(error.what(), "batch_size: 7 is too large");
  EXPECT_EQ(error.setting(), "batch_size");
  EXPECT_EQ(error.message(), "7 is too large");
  const Error other(ErrorKind::data, "no such file");
  EXPECT_EQ(other.setting(), "");
  EXPECT_EQ(other.message(), "no such file");
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
