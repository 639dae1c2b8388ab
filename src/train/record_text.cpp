#include "train/records.hpp"

namespace bntrain {
namespace {

constexpr int max_depth = 16;  // several times what the program's own records have

}  // namespace

std::string one_line(const Json& record) {
  return record.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json parse_record(const std::string& text) {
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, const Json&) {
    too_deep = too_deep || depth > max_depth;
    return !too_deep;
  };
  Json record = Json::parse(text, watch, false);
  return too_deep ? Json(Json::value_t::discarded) : record;
}

}  // namespace bntrain
