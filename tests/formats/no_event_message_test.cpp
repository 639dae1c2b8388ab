// Compiled with the source of a build without protobuf, whatever this build has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/event_file.hpp"
#include "support/error_message.hpp"

namespace bntrain {
namespace {

TEST(NoEventMessage, SaysWhatToInstall) {
  const std::string message = error_message(ErrorKind::runtime, [&] { serialized({}); });
  EXPECT_THAT(message,
              testing::AllOf(testing::HasSubstr("TensorBoard"), testing::HasSubstr("protobuf-compiler"),
                             testing::HasSubstr("libprotobuf-dev")));
}

}  // namespace
}  // namespace bntrain
