// Writing the safetensors format.
#include <nlohmann/json.hpp>
#include <set>

#include "bntrain/error.hpp"
#include "core/write_file.hpp"
#include "formats/safetensors.hpp"

namespace bntrain {
namespace {

using nlohmann::json;

std::string make_header(const std::filesystem::path& path, const TensorFile& file) {
  // ordered: readers list tensors as they are written
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::int64_t offset = 0;
  std::set<std::string> names{"__metadata__"};
  for (const Tensor& tensor : file.state.tensors) {
    const bool floats = std::holds_alternative<std::vector<float>>(tensor.values);
    const std::int64_t held = std::visit(
        [](const auto& values) { return static_cast<std::int64_t>(values.size()); }, tensor.values);
    const bool unique = names.insert(tensor.name).second;
    BNTRAIN_EXPECTS(unique);
    BNTRAIN_EXPECTS(held == tensor.size());
    const std::int64_t end =
        offset + held * static_cast<std::int64_t>(floats ? sizeof(float) : sizeof(std::int64_t));
    header[tensor.name] = {
        {"dtype", floats ? "F32" : "I64"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  // A file system's names may be of any bytes, and metadata hold such names; no model is lost for that.
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');  // aligns the data
  if (std::ssize(text) <= safetensors_max_header) return text;
  throw Error(ErrorKind::data, path.string() + ": names and metadata of " + std::to_string(text.size()) +
                                   " bytes are more than the " + std::to_string(safetensors_max_header) +
                                   " that a safetensors file can have; nothing was written");
}

}  // namespace

std::string valid_utf8(const std::string& text) {
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  const std::string header = make_header(path, file);
  FileWriter writer(path);
  const auto length = static_cast<std::uint64_t>(header.size());
  writer.write(&length, sizeof length);
  writer.write(header.data(), header.size());
  for (const Tensor& tensor : file.state.tensors) {
    std::visit([&](const auto& values) { writer.write(values.data(), values.size() * sizeof(values[0])); },
               tensor.values);
  }
  writer.commit();
}

}  // namespace bntrain
