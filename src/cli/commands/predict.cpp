// bntrain predict: the classes that a model predicts for images.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
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

namespace bntrain::cli {
namespace {

namespace fs = std::filesystem;

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

/// The pictures that names on the command line mean: a file itself, of a folder the pictures in it, by name.
struct PictureFiles {
  std::vector<std::string> pictures;
  std::vector<std::string> left_out;  ///< files of the folders that are no pictures, by their first bytes
};

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      names.push_back(entry.path().string());
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorKind::data, folder + ": cannot be read: " + error.code().message());
  }
  std::ranges::sort(names);
  return names;
}

/// Throws Error(data) for a name that does not exist and for a folder without pictures.
PictureFiles find_pictures(const std::vector<std::string>& names) {
  PictureFiles found;
  std::error_code ignored;
  for (const std::string& name : names) {
    if (!fs::is_directory(name, ignored)) {
      if (!fs::exists(name, ignored))
        throw Error(ErrorKind::data, name + ": there is no such file or folder");
      found.pictures.push_back(name);
      continue;
    }
    const std::size_t before = found.pictures.size();
    for (const std::string& entry : entries_of(name)) {
      const bool picture = fs::is_regular_file(entry, ignored) && looks_like_picture(entry);
      (picture ? found.pictures : found.left_out).push_back(entry);
    }
    if (found.pictures.size() == before)
      throw Error(ErrorKind::data, name + ": there is no PNG or JPEG in this folder");
  }
  return found;
}

/// What is predicted, image by image.
struct Questions {
  ImageSet images;  ///< labels are 0 where they are unknown
  std::vector<std::string> names;
  std::vector<std::int64_t> labels;  ///< -1: unknown

  void add(const std::string& name, std::span<const std::uint8_t> pixels, std::int64_t label) {
    names.push_back(name);
    labels.push_back(label);
    images.pixels.insert(images.pixels.end(), pixels.begin(), pixels.end());
    images.labels.push_back(static_cast<std::uint8_t>(std::max<std::int64_t>(label, 0)));
    ++images.count;
  }
};

void add_pictures(const PredictOptions& options, Questions& questions) {
  const PictureFiles files = find_pictures(options.images);
  for (const std::string& name : files.left_out)
    spdlog::warn("{} is not a PNG or JPEG file and is skipped", name);
  for (const std::string& name : files.pictures)
    questions.add(name, as_input(read_picture(name), questions.images.shape, options.invert, name), -1);
}

void add_range(const PredictOptions& options, const Model& model, Questions& questions) {
  const Dataset dataset = load_data(options.data);
  expect_fit(options.model, model.network, dataset);
  const ImageSet& set = options.split == Split::test ? dataset.test : dataset.train;
  const std::string split = name_of(options.split, split_names);
  if (options.range->last >= set.count) {
    throw Error(ErrorKind::usage, "range",
                fmt::format("the {} set of {} has the images 0 to {}", split, dataset.name, set.count - 1));
  }
  const auto size = static_cast<std::size_t>(set.shape.size());
  for (std::int64_t image = options.range->first; image <= options.range->last; ++image) {
    const auto at = static_cast<std::size_t>(image);
    std::vector<std::uint8_t> pixels(set.pixels.begin() + at * size, set.pixels.begin() + (at + 1) * size);
    if (options.invert)
      for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
    questions.add(fmt::format("{} {}", split, image), pixels, set.labels[at]);
  }
}

void print_answers(const PredictOptions& options, const Questions& questions,
                   const std::vector<float>& logits, const std::vector<std::string>& class_names) {
  const std::size_t classes = class_names.size();
  std::size_t without_class = 0;
  for (std::size_t image = 0; image < questions.names.size(); ++image) {
    const Answer answer = answer_of(questions.names[image], questions.labels[image],
                                    std::span(logits).subspan(image * classes, classes), options.top);
    print_result(options.json ? one_line(answer_record(answer, class_names))
                              : answer_line(answer, class_names));
    without_class += answer.best.empty() ? 1U : 0U;
  }
  if (without_class == 0) return;
  throw Error(ErrorKind::diverged,
              fmt::format("{}: {} of {} images have logits that are not finite; a layer's values exceed "
                          "float32",
                          options.model, without_class, questions.names.size()));
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
  Questions questions;
  questions.images.shape = model.network.input();
  add_pictures(options, questions);
  if (options.range) add_range(options, model, questions);

  const auto backend = open_backend(options.backend);
  spdlog::info("{}: {}", options.model, model.network.text());
  spdlog::info("{}", backend->description());
  Evaluator evaluator(model.network, model.batch_norm, questions.images, options.batch_size, *backend);
  evaluator.load(model.state);
  const std::vector<float> logits = evaluator.evaluate().logits;
  print_answers(options, questions, logits, class_names(model.dataset(), model.network.classes()));
  return 0;
}

void bind_flags(CLI::App& app, PredictOptions& options) {
  CLI::App& predict = add_command(app, "predict", "predict the classes of images");
  add_argument(predict, "MODEL", options.model,
               "a safetensors file, such as train --save writes, or the folder of a run")
      ->required();
  add_argument(predict, "IMAGE", options.images, "PNG and JPEG files, and folders with such files");
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
      {"Images are composited over white where they are transparent, converted to grey by 0.299 R + 0.587 G "
       "+",
       "0.114 B where the network takes one channel, resized by area averaging, and refused where that would",
       "change their aspect ratio by more than a tenth.", sources_note(predict)});
}

}  // namespace

Run add_predict(CLI::App& app) {
  return command<PredictOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
