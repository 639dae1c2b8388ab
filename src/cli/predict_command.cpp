#include "cli/predict_command.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "bntrain/evaluation.hpp"
#include "cli/data_search.hpp"
#include "cli/logging.hpp"
#include "cli/model_fit.hpp"
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

void add_pictures(const PredictOptions& options, Questions& questions) {
  const PictureFiles files = find_pictures(options.images);
  for (const std::string& name : files.left_out) spdlog::warn("{} is no PNG or JPEG and is left out", name);
  for (const std::string& name : files.pictures)
    questions.add(name, as_input(read_picture(name), questions.images.shape, options.invert, name), -1);
}

void add_range(const PredictOptions& options, const Model& model, Questions& questions) {
  const Dataset dataset = load_dataset(options.data, default_data_search());
  expect_fit(options.model, model.network, dataset);
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

int run_predict(const PredictOptions& options) {
  adjust_logging(options.log);
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
