// Compiled with the source of a build without the ONNX library, whatever this build has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/onnx.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

TEST(NoOnnxFile, SaysWhatToInstallAndWritesNothing) {
  const TemporaryFolder folder;
  const Network network = Network::parse("fc4", {1, 2, 2, false}, 4);
  const std::string message = error_message(ErrorKind::runtime, [&] {
    write_onnx(folder.file("model.onnx"), network, initial_state(network, Init::torch, 0), 1e-5, {});
  });
  EXPECT_THAT(message, testing::AllOf(testing::HasSubstr("model.onnx"), testing::HasSubstr("libonnx-dev"),
                                      testing::HasSubstr("libprotobuf-dev")));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace bntrain
