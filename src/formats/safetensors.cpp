// The safetensors format: 8 bytes of header length N (little-endian), N bytes of JSON, then the tensors'
// bytes.
#include "formats/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "bntrain/error.hpp"
#include "core/first_few.hpp"
#include "core/number_text.hpp"
#include "formats/element_type.hpp"
#include "formats/foreign_file.hpp"

namespace bntrain {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors is little-endian and is copied as it is");

using nlohmann::json;

constexpr std::int64_t length_bytes = 8;
constexpr int max_depth = 2;  // header, tensor, list; deeper nesting would only eat memory

/// Reads one file; every error names it.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {}

  TensorFile read() {
    open();
    const json header = read_header();
    TensorFile file;
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") {
        file.metadata = read_metadata(value);
      } else {
        entries.push_back(read_entry(name, value));
      }
    }
    check_offsets(entries);
    for (const Entry& entry : entries) file.state.tensors.push_back(read_tensor(entry));
    file.remarks = remarks();
    return file;
  }

  std::map<std::string, std::string> read_strings() {
    open();
    return read_metadata(read_header().value("__metadata__", json()));
  }

 private:
  struct Entry {
    Tensor tensor;
    const ElementType* type = nullptr;
    std::int64_t begin = 0, end = 0;  // bytes, counted from the end of the header
  };

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::data, path_.string() + ": " + problem);
  }
  [[noreturn]] void fail(const std::string& tensor, const std::string& problem) const {
    fail("tensor '" + tensor + "': " + problem);
  }

  /// What has no header of the format is named for what it is, if that can be told.
  [[noreturn]] void fail_format(const std::string& problem) const {
    const std::string foreign = describe_foreign_file(path_);
    fail(foreign.empty() ? problem : foreign);
  }

  void open() {
    std::error_code error;
    if (std::filesystem::exists(path_, error) && !std::filesystem::is_regular_file(path_, error)) {
      fail("is a folder or a device, not a safetensors file");
    }
    errno = 0;
    stream_.open(path_, std::ios::binary);
    if (!stream_) fail(std::string("cannot be opened: ") + std::strerror(errno));
    stream_.seekg(0, std::ios::end);
    file_size_ = stream_.tellg();
    if (file_size_ < 0) fail(std::string("cannot be read: ") + std::strerror(errno));
    stream_.seekg(0);
  }

  void read_bytes(void* target, std::int64_t bytes) {
    if (!stream_.read(static_cast<char*>(target), static_cast<std::streamsize>(bytes))) {
      fail("reading stopped before byte " + std::to_string(file_size_) + ", the end of the file");
    }
  }

  json read_header() {
    if (file_size_ < length_bytes) {
      fail_format("not a safetensors file: it has " + std::to_string(file_size_) +
                  " bytes, the header's length alone takes 8");
    }
    std::uint64_t length = 0;
    read_bytes(&length, length_bytes);
    const std::int64_t present = file_size_ - length_bytes;
    if (length > static_cast<std::uint64_t>(std::min(present, safetensors_max_header))) {
      fail_format("not a safetensors file, or cut off: bytes 0 to 7 promise a header of " +
                  std::to_string(length) + " bytes, the file has " + std::to_string(present) +
                  " more and 100000000 are allowed");
    }
    std::string text(length, '\0');
    read_bytes(text.data(), static_cast<std::int64_t>(length));
    data_bytes_ = present - static_cast<std::int64_t>(length);
    if (text.empty() || text.front() != '{')
      fail_format("byte 8: the header must be a JSON object and begin with '{'");
    // The JSON parser takes a zero byte for the end and would ignore what follows.
    if (const auto zero = text.find('\0'); zero != std::string::npos) {
      fail("byte " + std::to_string(length_bytes + static_cast<std::int64_t>(zero)) +
           ": the header is not valid JSON");
    }
    return parse_header(text);
  }

  json parse_header(const std::string& text) const {
    // JSON itself lets the last of two equal names win; here that would drop a tensor silently.
    std::vector<std::set<std::string>> names;
    std::string duplicate;
    const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
      const bool opens =
          event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
      if (opens && depth > max_depth) fail("the header is nested too deeply for a safetensors file");
      if (event == json::parse_event_t::object_start) names.emplace_back();
      if (event == json::parse_event_t::object_end) names.pop_back();
      if (event == json::parse_event_t::key && !names.back().insert(parsed.get<std::string>()).second) {
        duplicate = parsed.get<std::string>();
      }
      return true;
    };
    json header;
    try {
      header = json::parse(text, watch);
    } catch (const json::parse_error& error) {
      fail("byte " + std::to_string(length_bytes + static_cast<std::int64_t>(error.byte)) +
           ": the header is not valid JSON");
    } catch (const json::exception&) {  // a number beyond every type
      fail("the header is not valid JSON");
    }
    if (!duplicate.empty()) fail("the name '" + duplicate + "' appears twice in the header");
    return header;
  }

  std::map<std::string, std::string> read_metadata(const json& value) const {
    std::map<std::string, std::string> metadata;
    if (value.is_null()) return metadata;  // what the reference implementation takes for none
    if (!value.is_object()) fail("__metadata__ must be an object of strings");
    for (const auto& [name, text] : value.items()) {
      if (!text.is_string()) fail("__metadata__: the value of '" + name + "' must be a string");
      metadata[name] = text.get<std::string>();
    }
    return metadata;
  }

  /// An integer from 0 to 2^63 - 1.
  std::int64_t read_count(const std::string& name, const char* key, const json& value) const {
    if (!value.is_number_unsigned() ||
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail(name, std::string(key) + " must hold integers from 0 to 2^63 - 1");
    }
    return value.get<std::int64_t>();
  }

  Entry read_entry(const std::string& name, const json& value) const {
    if (!value.is_object()) fail(name, "must be an object with dtype, shape and data_offsets");
    for (const auto& [key, ignored] : value.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") fail(name, "unknown key '" + key + "'");
    }
    Entry entry;
    entry.tensor.name = name;

    const auto dtype = value.find("dtype");
    if (dtype == value.end() || !dtype->is_string()) fail(name, "dtype is missing or not a string");
    const auto type = dtype->get<std::string>();
    entry.type = find_element_type(type);
    if (entry.type == nullptr) {
      fail(name, "dtype " + type + " is not supported; allowed: " + element_type_names() +
                     ". In PyTorch save model.float().state_dict()");
    }

    const auto shape = value.find("shape");
    if (shape == value.end() || !shape->is_array()) fail(name, "shape is missing or not a list");
    std::int64_t bytes = entry.type->bytes;
    for (const json& extent : *shape) {
      entry.tensor.shape.push_back(read_count(name, "shape", extent));
      if (__builtin_mul_overflow(bytes, entry.tensor.shape.back(), &bytes))
        fail(name, "its shape overflows 63 bits");
    }

    const auto offsets = value.find("data_offsets");
    if (offsets == value.end() || !offsets->is_array() || offsets->size() != 2) {
      fail(name, "data_offsets is missing or not a list of two");
    }
    entry.begin = read_count(name, "data_offsets", (*offsets)[0]);
    entry.end = read_count(name, "data_offsets", (*offsets)[1]);
    const std::string where = "bytes " + std::to_string(entry.begin) + " to " + std::to_string(entry.end);
    if (entry.begin > entry.end || entry.end > data_bytes_) {
      fail(name, "data_offsets promise " + where + ", but the file holds " + std::to_string(data_bytes_) +
                     " bytes after its header");
    }
    if (entry.end - entry.begin != bytes) {
      fail(name, "its shape takes " + std::to_string(bytes) + " bytes, data_offsets give it " + where);
    }
    return entry;
  }

  /// Orders the entries by place; together they must cover the data exactly once.
  void check_offsets(std::vector<Entry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;  // an empty tensor first
    });
    std::int64_t covered = 0;
    for (const Entry& entry : entries) {
      if (entry.begin != covered) {
        fail(entry.tensor.name,
             std::string(entry.begin < covered ? "overlaps another tensor" : "leaves a gap") + " at byte " +
                 std::to_string(std::min(entry.begin, covered)) + " of the data");
      }
      covered = entry.end;
    }
    if (covered != data_bytes_) {
      fail(std::to_string(data_bytes_ - covered) + " bytes at the end of the file belong to no tensor");
    }
  }

  Tensor read_tensor(const Entry& entry) {
    Tensor tensor = entry.tensor;
    std::string bytes(static_cast<std::size_t>(entry.end - entry.begin), '\0');
    read_bytes(bytes.data(), entry.end - entry.begin);
    DecodedElements decoded = entry.type->decode(bytes);
    if (decoded.too_large) {
      fail(tensor.name, "the value " + shortest_text(*decoded.too_large) + " (" +
                            std::string(entry.type->name) + ") is too large for float32 or int64");
    }
    tensor.values = std::move(decoded.values);
    const bool widened = entry.type->bytes < static_cast<std::int64_t>(sizeof(float)) &&
                         std::holds_alternative<std::vector<float>>(tensor.values);
    if (widened) widened_.push_back(tensor.name);
    if (decoded.rounded) rounded_.push_back(tensor.name);
    return tensor;
  }

  std::vector<Remark> remarks() const {
    std::vector<Remark> remarks;
    const auto add = [&](const std::vector<std::string>& tensors, const std::string& what, bool warning) {
      if (!tensors.empty()) remarks.push_back({path_.string() + ": " + what + first_few(tensors), warning});
    };
    add(widened_, "16-bit elements are read as float32, exactly: ", false);
    add(rounded_, "F64 elements are rounded to float32: ", true);
    return remarks;
  }

  std::filesystem::path path_;
  std::ifstream stream_;
  std::int64_t file_size_ = 0;
  std::int64_t data_bytes_ = 0;
  std::vector<std::string> widened_, rounded_;  // names of tensors
};

}  // namespace

TensorFile read_safetensors(const std::filesystem::path& path) {
  return Reader(path).read();
}

std::map<std::string, std::string> read_strings(const std::filesystem::path& path) {
  return Reader(path).read_strings();
}

TensorFile read_model_tensors(const std::filesystem::path& path) {
  TensorFile file = read_safetensors(path);
  constexpr const char* prefix = "bntrain.";
  std::erase_if(file.state.tensors, [](const Tensor& tensor) { return tensor.name.starts_with(prefix); });
  std::erase_if(file.metadata, [](const auto& entry) { return entry.first.starts_with(prefix); });
  return file;
}

}  // namespace bntrain
