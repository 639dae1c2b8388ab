// bntrain predict: the classes that a model predicts for images.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/error.hpp"
#include "bntrain/evaluate.hpp"
#include "bntrain/model_file.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/inputs.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/predict_report.hpp"
#include "data/limits.hpp"
#include "data/picture.hpp"
#include "data/picture_search.hpp"

namespace bntrain::cli {
namespace {

/// Images of a data set, both included, from 0.
struct ImageRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

struct PredictOptions {
  std::string model;
  std::vector<std::string> images;  ///< files and folders
  ModelDescription description;
  std::optional<ImageRange> range;  ///< of the data set, after the files
  std::string data;
  Split split = Split::test;
  bool invert = false;
  std::int64_t top = 3;
  std::int64_t batch_size = 256;
  BackendOptions backend;
  bool json = false;  ///< a JSON object an image instead of a text line on stdout
  LogOptions log;
};

constexpr std::int64_t most_pixel_bytes = std::int64_t{64} << 20;  // of images that are predicted together
constexpr std::size_t most_warnings = 10;                          // of files that are skipped

/// Predicts images and prints the answers in their order, some batches at a time.
class Predictor {
 public:
  Predictor(const PredictOptions& options, const Model& model, Backend& backend)
      : options_(options),
        model_(model),
        backend_(backend),
        class_names_(class_names(model.dataset(), model.network.classes())) {
    images_.shape = model.network.input();
    const std::int64_t batches = most_pixel_bytes / (images_.shape.size() * options.batch_size);
    most_images_ = std::max<std::int64_t>(1, batches) * options.batch_size;
  }

  /// `label` is -1 where it is unknown.
  void add(const std::string& name, std::span<const std::uint8_t> pixels, std::int64_t label) {
    names_.push_back(name);
    labels_.push_back(label);
    images_.pixels.insert(images_.pixels.end(), pixels.begin(), pixels.end());
    images_.labels.push_back(static_cast<std::uint8_t>(std::max<std::int64_t>(label, 0)));
    if (++images_.count == most_images_) flush();
  }

  /// Answers what was added.
  void flush() {
    if (images_.count == 0) return;
    ImageSet next;
    next.shape = images_.shape;
    Evaluator evaluator(model_.network, model_.batch_norm, std::exchange(images_, std::move(next)),
                        options_.batch_size, backend_);
    evaluator.load(model_.state);
    const std::vector<float> logits = evaluator.evaluate().logits;
    const std::size_t classes = class_names_.size();
    for (std::size_t image = 0; image < names_.size(); ++image) {
      const Answer answer = answer_of(names_[image], labels_[image],
                                      std::span(logits).subspan(image * classes, classes), options_.top);
      print_result(options_.json ? one_line(answer_record(answer, class_names_))
                                 : answer_line(answer, class_names_));
      without_class_ += answer.best.empty() ? 1U : 0U;
    }
    answered_ += names_.size();
    names_.clear();
    labels_.clear();
  }

  /// Answers what is left. Throws Error(diverged) where images have no class.
  void finish() {
    flush();
    if (without_class_ == 0) return;
    throw Error(ErrorKind::diverged,
                fmt::format("{}: {} of {} images have logits that are not finite; a layer's values exceed "
                            "float32",
                            options_.model, without_class_, answered_));
  }

 private:
  const PredictOptions& options_;
  const Model& model_;
  Backend& backend_;
  std::vector<std::string> class_names_;
  std::int64_t most_images_ = 0;
  std::size_t answered_ = 0, without_class_ = 0;
  ImageSet images_;  ///< labels are 0 where they are unknown
  std::vector<std::string> names_;
  std::vector<std::int64_t> labels_;
};

/// False when it was refused, which is said.
bool predict_picture(const PredictOptions& options, const std::string& name, const Shape& shape,
                     Predictor& predictor) {
  try {
    const Picture picture = read_picture(name);
    const std::vector<std::uint8_t> pixels = as_input(picture, shape, options.invert, name);
    if (!picture.warning.empty()) spdlog::warn("{}: {}; all pixels are there", name, picture.warning);
    if (picture.turned) spdlog::info("{}: turned upright, as its Exif orientation says", name);
    predictor.add(name, pixels, -1);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    spdlog::error("{}", error.what());
  } catch (const std::bad_alloc&) {
    spdlog::error("{}: there is not enough memory for this picture", name);
  }
  return false;
}

/// Returns how many names were refused, each of which is said: the others are predicted all the same.
std::size_t predict_pictures(const PredictOptions& options, const Shape& shape, Predictor& predictor) {
  const FoundPictures found = find_pictures(options.images);
  for (std::size_t i = 0; i < found.left_out.size() && i < most_warnings; ++i)
    spdlog::warn("{} is not a PNG or JPEG file and is skipped", found.left_out[i]);
  if (found.left_out.size() > most_warnings)
    spdlog::warn("{} other files are no PNG or JPEG files either and are skipped",
                 found.left_out.size() - most_warnings);
  for (const std::string& problem : found.problems) spdlog::error("{}", problem);
  std::size_t refused = found.problems.size();
  for (const std::string& name : found.pictures)
    if (!predict_picture(options, name, shape, predictor)) ++refused;
  return refused;
}

/// The images of --range, which has been checked against the set.
ImageSet read_range(const PredictOptions& options, const Model& model) {
  Dataset dataset =
      load_data(options.data, {.classes = model.network.classes(), .test_set = options.split == Split::test});
  expect_fit(options.model, model.network, dataset);
  ImageSet& set = options.split == Split::test ? dataset.test : dataset.train;
  if (options.range->last >= set.count) {
    throw Error(ErrorKind::usage, "range",
                fmt::format("the {} set of {} has the images 0 to {}", name_of(options.split, split_names),
                            dataset.name, set.count - 1));
  }
  return std::move(set);
}

void predict_range(const PredictOptions& options, const ImageSet& set, Predictor& predictor) {
  const std::string split = name_of(options.split, split_names);
  const auto size = static_cast<std::size_t>(set.shape.size());
  for (std::int64_t image = options.range->first; image <= options.range->last; ++image) {
    const auto at = static_cast<std::size_t>(image);
    const auto stored = std::span(set.pixels).subspan(at * size, size);
    std::vector<std::uint8_t> pixels(stored.begin(), stored.end());
    if (options.invert)
      for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
    predictor.add(fmt::format("{} {}", split, image), pixels, set.labels[at]);
  }
}

ImageRange parse_range(const std::string& text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const auto number = [&](const std::string& part) {
    return static_cast<std::int64_t>(parse_integer("--range", part, {0, max_images}));
  };
  try {
    const std::int64_t first = number(text.substr(0, colon));
    const ImageRange range{first, colon < text.size() ? number(text.substr(colon + 1)) : first};
    if (range.first <= range.last) return range;
  } catch (const BadValue&) {  // shows the part alone
  }
  throw BadValue("--range", text, "allowed: FIRST:LAST, both included, from 0, or one number");
}

int run(const PredictOptions& given) {
  adjust_logging(given.log);
  PredictOptions options = given;
  options.model = model_file(given.model);
  if (options.images.empty() && !options.range)
    throw Error(ErrorKind::usage,
                "predict needs IMAGE files or folders, or --range for images of a data set");
  const Model model = open_model(options.model, options.description);
  ImageSet range;
  if (options.range) range = read_range(options, model);

  const auto backend = open_backend(options.backend);
  spdlog::info("{}: {}", options.model, model.network.text());
  spdlog::info("{}", backend->description());
  Predictor predictor(options, model, *backend);
  const std::size_t refused = predict_pictures(options, model.network.input(), predictor);
  if (options.range) predict_range(options, range, predictor);
  predictor.finish();
  return refused == 0 ? 0 : static_cast<int>(ErrorKind::data);
}

void bind_flags(CLI::App& app, PredictOptions& options) {
  CLI::App& predict = add_command(app, "predict", "predict the classes of images");
  add_argument(predict, "MODEL", options.model,
               "a safetensors file, such as train --save writes, or the folder of a run")
      ->required();
  add_argument(predict, "IMAGE", options.images,
               "PNG and JPEG files, and folders with such files, in folders below them too");
  in_group(predict, "Model", [&] {
    add_description(predict, options.description);
    add_image_description(predict, options.description);
  });
  in_group(predict, "Images", [&] {
    add_switch(predict, "--invert", options.invert, "255 minus every value: Fashion-MNIST is white on black");
    add_value(predict, "--range", "FIRST:LAST", "", "images of a data set, both included, counted from 0",
              [&options](const std::string& text) { options.range = parse_range(text); });
    add_data(predict, options.data);
    add_split(predict, options.split, "which images --range counts");
    add_batch_size(predict, options.batch_size);
  });
  in_group(predict, "Machine", [&] { add_machine(predict, options.backend); });
  in_group(predict, "Output", [&] {
    add_integer(predict, "--top", options.top, {1, 256},
                "classes printed for each image, the most probable first");
    add_output(predict, options.json, "a JSON object an image, one a line, instead of text on stdout",
               options.log);
  });
  set_footer(
      predict,
      {"Images are turned upright as their Exif data say, composited over white where they are transparent, "
       "converted to grey by 0.299 R + 0.587 G "
       "+",
       "0.114 B where the network takes one channel, resized by area averaging, and refused where that would",
       "change their aspect ratio by more than a tenth.", sources_note(predict)});
}

}  // namespace

Run add_predict(CLI::App& app) {
  return command<PredictOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
