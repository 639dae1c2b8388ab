#include "bntrain/model_file.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "bntrain/error.hpp"
#include "core/number_text.hpp"
#include "formats/adapt_state.hpp"
#include "formats/safetensors.hpp"
#include "layers/layer_type.hpp"

namespace bntrain {
namespace {

/// Reads the metadata of one file; every error names it.
class Metadata {
 public:
  Metadata(const std::filesystem::path& path, const std::map<std::string, std::string>& strings)
      : path_(path.string()), strings_(strings) {}

  const std::string* find(const std::string& key) const {
    const auto found = strings_.find(key);
    return found == strings_.end() ? nullptr : &found->second;
  }

  template <typename Number>
  std::optional<Number> number(const std::string& key) const {
    const std::string* text = find(key);
    if (text == nullptr) return std::nullopt;
    Number value{};
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, value);
    if (error != std::errc() || rest != end) refuse(key, "a number");
    return value;
  }

  std::optional<Shape> shape(const std::string& key) const {
    const std::string* text = find(key);
    if (text == nullptr) return std::nullopt;
    long long channels = 0, height = 0, width = 0;
    const int count = std::sscanf(text->c_str(), "(%lld, %lld, %lld)", &channels, &height, &width);
    const Shape shape{channels, height, width, false};
    if (count != 3 || to_string(shape) != *text || channels < 1 || height < 1 || width < 1 ||
        bounded_product({channels, height, width}) > max_elements)
      refuse(key, "a shape such as (1, 28, 28)");
    return shape;
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const {
    throw Error(ErrorKind::data,
                path_ + ": the metadata say " + key + " '" + *find(key) + "', which is not " + expected);
  }
  [[noreturn]] void ask_for(const std::string& setting, const std::string& what,
                            const std::string& advice) const {
    throw Error(ErrorKind::usage, setting,
                path_ + " does not say " + what + ", as files of bntrain do in their metadata; " + advice);
  }

 private:
  std::string path_;
  const std::map<std::string, std::string>& strings_;
};

Normalization normalization_of(const Metadata& metadata, const ModelDescription& known) {
  const std::string* text = metadata.find("normalize");
  if (known.normalization.any() || text == nullptr) return known.normalization;
  try {
    return Normalization::parse(*text);
  } catch (const Error&) {
    metadata.refuse("normalize", "MEAN/STD such as 0.1307/0.3081");
  }
}

Network network_of(const Metadata& metadata, const std::string& path, const ModelDescription& known) {
  const std::string* text = known.network.empty() ? metadata.find("network") : &known.network;
  if (text == nullptr)
    metadata.ask_for("network", "which network it holds", "name it, and the eps of its batch norms");
  auto input = metadata.shape("input");
  if (!input) input = known.input;
  if (!input) metadata.ask_for("input", "the shape of its images", "name it, such as 1x28x28");
  auto classes = metadata.number<std::int64_t>("classes");
  if (!classes) classes = known.classes;
  if (!classes) metadata.ask_for("classes", "its number of classes", "name it, such as 10");
  if (*classes < 1) metadata.refuse("classes", "a number of classes");
  const Normalization normalization = normalization_of(metadata, known);
  try {
    return Network::parse(*text, *input, *classes, Norm::batch, normalization);
  } catch (const Error& error) {
    if (!known.network.empty() || error.setting() == "normalize") throw;
    throw Error(ErrorKind::data, path + ": the metadata's network: " + error.message());
  }
}

double eps_of(const Metadata& metadata, const ModelDescription& known) {
  if (known.eps) return *known.eps;
  const auto eps = metadata.number<double>("bn-eps");
  if (!eps) metadata.ask_for("bn_eps", "the eps of its batch norms", "name it; PyTorch's default is 1e-5");
  if (!(std::isfinite(*eps) && *eps > 0)) metadata.refuse("bn-eps", "a positive number");
  return *eps;
}

}  // namespace

std::string Model::dataset() const {
  const auto found = metadata.find("dataset");
  return found == metadata.end() ? "" : found->second;
}

Model load_model(const std::filesystem::path& path, const ModelDescription& known) {
  TensorFile file = read_model_tensors(path);
  const Metadata metadata(path, file.metadata);
  Model model;
  model.network = network_of(metadata, path.string(), known);
  model.remarks = std::move(file.remarks);
  file.state = adapt_state(model.network, std::move(file.state), path.string(), model.remarks);
  check_state(model.network, file.state, path.string());
  for (Remark& remark : check_values(model.network, file.state, path.string(), known.statistics))
    model.remarks.push_back(std::move(remark));
  if (!model.network.running().empty()) model.batch_norm.eps = eps_of(metadata, known);
  model.state = std::move(file.state);
  model.metadata = std::move(file.metadata);
  return model;
}

std::optional<std::int64_t> stored_classes(const std::filesystem::path& path) {
  const TensorFile file = read_model_tensors(path);
  return Metadata(path, file.metadata).number<std::int64_t>("classes");
}

std::map<std::string, std::string> file_metadata(const Model& model) {
  std::map<std::string, std::string> metadata = model.metadata;
  metadata["format"] = "bntrain-model";
  metadata["version"] = BNTRAIN_VERSION;
  metadata["network"] = model.network.text();
  metadata["input"] = to_string(model.network.input());
  metadata["classes"] = std::to_string(model.network.classes());
  metadata.erase("normalize");
  if (model.network.normalization().any()) metadata["normalize"] = model.network.normalization().text();
  if (!model.network.running().empty()) metadata["bn-eps"] = shortest_text(model.batch_norm.eps);
  for (auto& [key, text] : metadata) text = valid_utf8(text);
  return metadata;
}

void save_model(const std::filesystem::path& path, const Model& model) {
  write_safetensors(path, {model.state, file_metadata(model)});
}

}  // namespace bntrain
