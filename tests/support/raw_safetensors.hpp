// Safetensors files as other programs write them, byte by byte.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bntrain {

struct RawTensor {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

/// The bytes of an object, or of the elements of a list.
template <class Value>
std::string bytes_of(const std::vector<Value>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value)};
}

inline void write_raw_safetensors(const std::filesystem::path& path, const std::vector<RawTensor>& tensors,
                                  const nlohmann::ordered_json& metadata = nullptr) {
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  std::string data;
  for (const RawTensor& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  const std::string text = header.dump();
  std::ofstream(path, std::ios::binary) << bytes_of(std::vector<std::uint64_t>{text.size()}) << text << data;
}

}  // namespace bntrain
