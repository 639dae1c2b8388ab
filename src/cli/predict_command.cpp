#include "cli/predict_command.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "bntrain/evaluation.hpp"
#include "cli/data_search.hpp"
#include "cli/logging.hpp"
#include "cli/option_values.hpp"
#include "cli/picture_folder.hpp"
#include "cli/predict_report.hpp"
#include "cli/train_report.hpp"
#include "data/picture.hpp"

namespace bntrain::cli {
namespace {

/// What is predicted, image by image.
struct Questions {
  ImageSet images;  ///< their labels are 0 where nobody knows them
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

ImageRange parse_range(const std::string& text) {
  const auto refuse = [&] {
    throw BadValue("--range", text, "allowed: FIRST:LAST, both included, from 0, or one number");
  };
  const auto number = [&](std::size_t from, std::size_t to) {
    std::int64_t value = -1;
    const auto [rest, error] = std::from_chars(text.data() + from, text.data() + to, value);
    if (error != std::errc() || rest != text.data() + to || value < 0) refuse();
    return value;
  };
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {number(0, text.size()), number(0, text.size())};
  const ImageRange range{number(0, colon), number(colon + 1, text.size())};
  if (range.last < range.first) refuse();
  return range;
}

Shape parse_input(const std::string& text) {
  long long channels = 0, height = 0, width = 0;
  const int count = std::sscanf(text.c_str(), "%lldx%lldx%lld", &channels, &height, &width);
  const auto side = [](long long value) { return value >= 1 && value <= 4096; };
  if (count != 3 || fmt::format("{}x{}x{}", channels, height, width) != text || !side(channels) ||
      !side(height) || !side(width))
    throw BadValue("--input", text, "allowed: CHANNELSxHEIGHTxWIDTH, each from 1 to 4096, such as 1x28x28");
  return {channels, height, width, false};
}

void add_pictures(const PredictOptions& options, Questions& questions) {
  const PictureFiles files = find_pictures(options.images);
  for (const std::string& name : files.left_out) spdlog::warn("{} is no PNG or JPEG and is left out", name);
  for (const std::string& name : files.pictures)
    questions.add(name, as_input(read_picture(name), questions.images.shape, options.invert, name), -1);
}

void add_range(const PredictOptions& options, const Model& model, Questions& questions) {
  const Dataset dataset = load_dataset(options.data, default_data_search());
  const Network& network = model.network;
  if (dataset.train.shape != network.input() || dataset.classes != network.classes()) {
    throw Error(ErrorKind::data,
                fmt::format("{} takes images {} of {} classes, and the data set {} holds images {} of "
                            "{} classes; name the right one with --data",
                            options.model, bntrain::to_string(network.input()), network.classes(),
                            dataset.name, bntrain::to_string(dataset.train.shape), dataset.classes));
  }
  const ImageSet& set = options.split == Split::test ? dataset.test : dataset.train;
  const std::string split = to_string(options.split);
  if (options.range->last >= set.count) {
    throw Error(ErrorKind::usage, fmt::format("--range: the {} set of {} has the images 0 to {}", split,
                                              dataset.name, set.count - 1));
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
  for (std::size_t image = 0; image < questions.names.size(); ++image) {
    const Answer answer = answer_of(questions.names[image], questions.labels[image],
                                    std::span(logits).subspan(image * classes, classes), options.top);
    print_result(options.json
                     ? answer_record(answer, class_names).dump(-1, ' ', false, Json::error_handler_t::replace)
                     : answer_line(answer, class_names));
  }
}

}  // namespace

void setup_predict(CLI::App& app, PredictOptions& options) {
  CLI::App& predict = *app.add_subcommand("predict", "say what a model takes pictures for");
  predict.fallthrough();  // so that --config may stand behind the command
  const auto grouped = [&predict](const std::string& group, const auto& add) {
    predict.option_defaults()->group(group);
    add();
  };
  add_argument(predict, "MODEL", options.model, "a safetensors file, such as train --save writes")
      ->required();
  add_arguments(predict, "IMAGE", options.images, "PNG and JPEG files, and folders with such files");
  grouped("Model", [&] {
    add_description(predict, options.description);
    add_value(predict, "--input", "CxHxW", "", "the shape of its images, where the file does not tell",
              [&options](const std::string& text) { options.description.input = parse_input(text); });
    add_value(predict, "--classes", "N", "", "their number, likewise", [&options](const std::string& text) {
      options.description.classes = static_cast<std::int64_t>(parse_integer("--classes", text, {1, 256}));
    });
  });
  grouped("Images", [&] {
    add_switch(predict, "--invert", options.invert, "255 minus every value: Fashion-MNIST is white on black");
    add_value(predict, "--range", "FIRST:LAST", "", "images of a data set, both included, counted from 0",
              [&options](const std::string& text) { options.range = parse_range(text); });
    add_data(predict, options.data);
    add_split(predict, options.split, "which images --range counts");
    add_batch_size(predict, options.batch_size);
  });
  grouped("Machine", [&] { add_machine(predict, options.backend); });
  grouped("Output", [&] {
    add_integer(predict, "--top", options.top, {1, 256}, "classes named for each image, the likeliest first");
    add_switch(predict, "--json", options.json,
               "a JSON object an image, one a line, instead of text on stdout");
    add_switch(predict, "--quiet", options.quiet, "only warnings and errors on stderr");
    add_switch(predict, "--no-color", options.no_color, "no colours on stderr, as NO_COLOR does");
  });
  predict.footer(
      "Pictures are laid on white where they are transparent, turned to grey by 0.299 R + 0.587 G + 0.114 B "
      "where "
      "the\nnetwork takes one channel, resized by areas, and refused where that would distort them by more "
      "than a "
      "tenth.\n"
      "Each flag can also be an environment variable (BNTRAIN_TOP for --top) or a key of the [predict] "
      "section in "
      "the\nfile that --config names. Environment < file < flag.");
}

int run_predict(const PredictOptions& options) {
  adjust_logging(options.quiet, stderr_terminal().color && !options.no_color);
  if (options.images.empty() && !options.range)
    throw Error(ErrorKind::usage,
                "predict needs IMAGE files or folders, or --range for images of a data set");
  const Model model = load_model(options.model, options.description);
  Questions questions;
  questions.images.shape = model.network.input();
  add_pictures(options, questions);
  if (options.range) add_range(options, model, questions);

  std::string note;
  const auto backend = make_backend(options.backend, note);
  if (!note.empty()) spdlog::info("{}", note);
  spdlog::info("{}: {}", options.model, model.network.text());
  spdlog::info("{}", backend->description());
  Evaluator evaluator(model.network, model.batch_norm, questions.images, options.batch_size, *backend);
  evaluator.load(model.state);
  const std::vector<float> logits = evaluator.evaluate().logits;
  print_answers(options, questions, logits, class_names(model.dataset(), model.network.classes()));
  return 0;
}

}  // namespace bntrain::cli
