#include "event.pb.h"
#include "formats/event_file.hpp"

namespace bntrain {
namespace {

namespace messages = event_messages;

constexpr int strings = 7;  // DT_STRING of tensorflow/core/framework/types.proto

void set(messages::Summary::Value& to, double scalar) {
  to.set_simple_value(static_cast<float>(scalar));
}

void set(messages::Summary::Value& to, const Histogram& histogram) {
  messages::HistogramProto& message = *to.mutable_histo();
  message.set_min(histogram.min);
  message.set_max(histogram.max);
  message.set_num(static_cast<double>(histogram.count));
  message.set_sum(histogram.sum);
  message.set_sum_squares(histogram.sum_squares);
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    message.add_bucket_limit(histogram.upper_end(i));
    message.add_bucket(static_cast<double>(histogram.counts[i]));
  }
}

void set(messages::Summary::Value& to, const Png& picture) {
  messages::Summary::Image& message = *to.mutable_image();
  message.set_height(static_cast<int>(picture.height));
  message.set_width(static_cast<int>(picture.width));
  message.set_colorspace(static_cast<int>(picture.channels));
  message.set_encoded_image_string(picture.bytes);
}

void set(messages::Summary::Value& to, const Markdown& markdown) {
  to.mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  messages::TensorProto& message = *to.mutable_tensor();
  message.set_dtype(strings);
  message.mutable_tensor_shape();  // a scalar
  message.add_string_val(markdown.text);
}

void set(messages::Event& to, EventVersion) {
  to.set_file_version("brain.Event:2");
}

void set(messages::Event& to, EventStart) {
  to.mutable_session_log()->set_status(messages::SessionLog::START);
}

void set(messages::Event& to, const std::vector<EventValue>& values) {
  for (const EventValue& value : values) {
    messages::Summary::Value& message = *to.mutable_summary()->add_value();
    message.set_tag(value.tag);
    std::visit([&](const auto& what) { set(message, what); }, value.value);
  }
}

}  // namespace

std::string serialized(const Event& event) {
  messages::Event message;
  message.set_wall_time(event.wall_time);
  message.set_step(event.step);
  std::visit([&](const auto& what) { set(message, what); }, event.what);
  return message.SerializeAsString();
}

}  // namespace bntrain
