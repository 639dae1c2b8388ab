#include "core/digest.hpp"

#include "data/idx_files.hpp"

namespace bntrain::test {
namespace {

TEST(Sha256, MatchesThePublishedExamples) {
  EXPECT_EQ(Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 digest;
  const Bytes letters = text("abc");
  digest.update(letters.data(), 1);
  digest.update(letters.data() + 1, 2);
  EXPECT_EQ(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace bntrain::test
