// What protobuf reads back from event files. tests/interop reads them with TensorBoard.
#include "formats/event_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "event.pb.h"
#include "support/error_message.hpp"
#include "support/event_records.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<event_messages::Event> events(const std::filesystem::path& path) {
  std::vector<event_messages::Event> all;
  for (const std::string& record : event_records(path))
    EXPECT_TRUE(all.emplace_back().ParseFromString(record));
  return all;
}

class EventFileTest : public ::testing::Test {
 protected:
  std::filesystem::path only_file() const { return event_files(folder.path()).at(0); }
  TemporaryFolder folder;
};

TEST_F(EventFileTest, BeginsWithItsVersionAndItsFirstStep) {
  const EventFile file(folder.path(), 470);
  const auto all = events(only_file());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].file_version(), "brain.Event:2");
  EXPECT_GT(all[0].wall_time(), 1.7e9);
  EXPECT_EQ(all[1].session_log().status(), event_messages::SessionLog::START);
  EXPECT_EQ(all[1].step(), 470);
}

TEST_F(EventFileTest, HoldsEveryKindOfValue) {
  EventFile file(folder.path(), 0);
  const Png picture = png(std::vector<std::uint8_t>(12, 7), {3, 1, 4, false}, 64);
  file.write(5, {{"loss/step", 0.0},
                 {"input/1 bn", histogram(std::vector<float>{0, 1, 4}, 2)},
                 {"mistakes/01", picture},
                 {"configuration", Markdown{"| a |"}}});
  const event_messages::Event event = events(only_file()).at(2);
  EXPECT_EQ(event.step(), 5);
  ASSERT_EQ(event.summary().value_size(), 4);
  const auto& values = event.summary().value();
  EXPECT_EQ(values[0].tag(), "loss/step");
  EXPECT_TRUE(values[0].has_simple_value()) << "a zero is written too";
  const auto& buckets = values[1].histo();
  EXPECT_EQ(buckets.num(), 3);
  EXPECT_EQ(buckets.sum(), 5);
  EXPECT_EQ(buckets.sum_squares(), 17);
  EXPECT_THAT(buckets.bucket_limit(), ElementsAre(2, 4));
  EXPECT_THAT(buckets.bucket(), ElementsAre(2, 1));
  EXPECT_EQ(values[2].image().encoded_image_string(), picture.bytes);
  EXPECT_EQ(values[2].image().width(), 4);
  EXPECT_EQ(values[2].image().height(), 1);
  EXPECT_EQ(values[2].image().colorspace(), 3);
  EXPECT_EQ(values[3].metadata().plugin_data().plugin_name(), "text");
  EXPECT_EQ(values[3].tensor().string_val(0), "| a |");
}

TEST_F(EventFileTest, ALaterFileComesLaterAlsoWithinASecond) {
  EXPECT_FALSE(holds_event_files(folder.path()));
  for (int i = 0; i < 12; ++i) EventFile(folder.path(), i);
  const auto files = event_files(folder.path());
  ASSERT_EQ(files.size(), 12U);
  for (std::size_t i = 0; i < files.size(); ++i)
    EXPECT_EQ(events(files[i]).at(1).step(), static_cast<std::int64_t>(i));
  EXPECT_TRUE(holds_event_files(folder.path()));
}

TEST_F(EventFileTest, EndsWithAWholeRecordWhenTheDiskIsFull) {
  EventFile file(folder.path(), 0);
  file.write(0, {{"configuration", Markdown{std::string(1000, 'x')}}});
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little{3000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &little);
  const std::string message = error_message(ErrorKind::data, [&] {
    file.write(1, {{"configuration", Markdown{std::string(3000, 'y')}}});
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr(only_file().string()));
  EXPECT_EQ(events(only_file()).size(), 3U);
}

TEST_F(EventFileTest, AFolderThatIsNoneIsAnError) {
  EXPECT_THAT(error_message(ErrorKind::data, [&] { EventFile file(folder.path() / "none", 0); }),
              HasSubstr((folder.path() / "none").string()));
}

}  // namespace
}  // namespace bntrain::test
