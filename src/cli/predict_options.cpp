// The flags of bntrain predict.
#include <charconv>
#include <string>

#include "cli/logging.hpp"
#include "cli/option_values.hpp"
#include "cli/predict_command.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {
namespace {

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

}  // namespace

void setup_predict(CLI::App& app, PredictOptions& options) {
  CLI::App& predict = add_command(app, "predict", "say what a model takes pictures for");
  add_argument(predict, "MODEL", options.model, "a safetensors file, such as train --save writes")
      ->required();
  add_arguments(predict, "IMAGE", options.images, "PNG and JPEG files, and folders with such files");
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
    add_integer(predict, "--top", options.top, {1, 256}, "classes named for each image, the likeliest first");
    add_switch(predict, "--json", options.json,
               "a JSON object an image, one a line, instead of text on stdout");
    add_log_options(predict, options.log);
  });
  set_footer(
      predict,
      {"Pictures are laid on white where they are transparent, turned to grey by 0.299 R + 0.587 G + 0.114 B",
       "where the network takes one channel, resized by areas, and refused where that would distort them by",
       "more than a tenth.", sources_note(predict)});
}

}  // namespace bntrain::cli
