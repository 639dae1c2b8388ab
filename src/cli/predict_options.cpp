// The flags of bntrain predict.
#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cstdio>
#include <string>

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

Shape parse_input(const std::string& text) {
  long long channels = 0, height = 0, width = 0;
  const int count = std::sscanf(text.c_str(), "%lldx%lldx%lld", &channels, &height, &width);
  const auto side = [](long long value) { return value >= 1 && value <= 4096; };
  if (count != 3 || fmt::format("{}x{}x{}", channels, height, width) != text || !side(channels) ||
      !side(height) || !side(width))
    throw BadValue("--input", text, "allowed: CHANNELSxHEIGHTxWIDTH, each from 1 to 4096, such as 1x28x28");
  return {channels, height, width, false};
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

}  // namespace bntrain::cli
