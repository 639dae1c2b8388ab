#include "report/run_page.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

#include "bntrain/error.hpp"
#include "bntrain/network.hpp"
#include "report/evaluation_html.hpp"
#include "report/html.hpp"
#include "report/page.hpp"
#include "report/run_charts.hpp"
#include "report/run_words.hpp"

namespace bntrain::report {
namespace {

constexpr std::size_t most_layers = 24;

std::string section(const std::string& id, const std::string& title, const std::string& contents) {
  return contents.empty() ? ""
                          : "<section><h2 id=\"" + id + "\">" + title + "</h2>\n" + contents + "</section>\n";
}

std::string tile(const std::string& name, const std::string& value, const std::string& note = "") {
  return "<div><dt>" + escaped(name) + "<dd>" + escaped(value) +
         (note.empty() ? "" : " <small>" + escaped(note) + "</small>") + "</div>\n";
}

std::string tiles(const RunHistory& run) {
  const std::string set = run.evaluated == "valid" ? "validation" : "test";
  std::string text = "<dl class=\"tiles\">\n";
  if (const EpochPoint* best = best_epoch(run)) {
    text += tile("best " + set + " accuracy", fmt::format("{:.4f}", best->accuracy),
                 fmt::format("epoch {}", best->epoch));
    const EpochPoint& last = run.epochs.back();
    if (std::isfinite(last.accuracy))
      text += tile("last " + set + " accuracy", fmt::format("{:.4f}", last.accuracy));
    text += tile("last train loss", number_text(last.train_loss));
  }
  if (const double test = number_in(run.end, "test_accuracy"); std::isfinite(test))
    text += tile("test accuracy", fmt::format("{:.4f}", test), "once, by the best epoch's weights");
  const std::string epochs = run.setting("epochs");
  text += tile("epochs", std::to_string(run.epochs.size()),
               epochs.empty() || run.setting("steps") != "0" ? "" : "of " + epochs);
  text += tile("steps", grouped(run.last_step()),
               run.total_steps() > 0 ? "of " + grouped(run.total_steps()) : "");
  if (!run.epochs.empty()) {
    text += tile("duration", duration_text(seconds_of(run)), "training and evaluation");
    text += tile("images a second", rounded_text(median_speed(run)), "median epoch");
  }
  return text + "</dl>\n";
}

std::string missing_note(const std::vector<std::string>& missing) {
  if (missing.empty()) return "";
  std::string text = "<aside><b>What is missing</b><ul>";
  for (const std::string& sentence : missing) text += "<li>" + escaped(sentence);
  return text + "</ul></aside>\n";
}

/// The last steps before it, as its record or the steps' have them.
std::string values_around(const RunHistory& run, const Json& divergence) {
  constexpr std::int64_t before = 10;
  HtmlTable table{.caption = "The last steps", .heading = {"step", "loss", "accuracy", "learning rate"}};
  const auto found = divergence.find("last_steps");
  if (found != divergence.end() && found->is_array()) {
    for (const Json& step : *found) {
      table.rows.push_back({std::to_string(count_in(step, "step")), number_text(number_in(step, "loss")),
                            number_text(number_in(step, "accuracy")), number_text(number_in(step, "lr"))});
    }
  } else {
    const std::int64_t at = count_in(divergence, "step");
    for (const StepPoint& step : run.steps) {
      if (step.step < at - before || step.step > at) continue;
      table.rows.push_back({std::to_string(step.step), number_text(step.loss), number_text(step.accuracy),
                            number_text(step.lr)});
    }
  }
  std::string text =
      table.rows.empty() ? "<p>The losses of the steps before were not recorded.</p>\n" : html(table);
  HtmlTable layers{.caption = "What the batch norms read last",
                   .heading = {"layer", "step", "5%", "median", "95%", "batch variance, median channel",
                               "gradient norm of its input"}};
  for (const LayerHistory<NormPoint>& layer : run.norms) {
    if (layer.points.empty()) continue;
    const NormPoint& last = layer.points.back();
    layers.rows.push_back({layer.layer, std::to_string(last.step), number_text(last.input[0]),
                           number_text(last.input[2]), number_text(last.input[4]),
                           number_text(last.batch_var.median), number_text(last.gradient_input)});
  }
  return layers.rows.empty() ? text : text + html(layers);
}

std::string divergence_section(const RecordedRun& run) {
  const Json divergence = object_in(run.history.end, "divergence");
  if (run.state != RunState::diverged || divergence.empty()) return "";
  const std::string layer = text_in(divergence, "layer");
  const std::string sentence = fmt::format(
      "In epoch {}, at step {} with a learning rate of {}, the loss was not finite. {}",
      count_in(divergence, "epoch"), count_in(divergence, "step"), number_text(number_in(divergence, "lr")),
      layer.empty() ? "All layers were finite in training." : "First non-finite layer: " + layer + ".");
  return section("divergence", "Where it diverged",
                 "<p>" + escaped(sentence) + "</p>\n" + values_around(run.history, divergence));
}

/// A part for each layer, the first few open; of very many so many, from the first to the last.
template <class Point, class Draw>
std::string layer_parts(const std::vector<LayerHistory<Point>>& layers, const std::string& id,
                        PageCharts& charts, const ChartLimits& limits, const Draw& draw) {
  constexpr std::size_t most_open = 4;
  std::string text;
  if (layers.size() > most_layers)
    text += fmt::format("<p class=\"note\">Of {} layers {} are shown, from the first to the last.</p>\n",
                        layers.size(), most_layers);
  std::size_t number = 0;
  for (const std::size_t i : evenly(layers.size(), most_layers)) {
    const std::string figures = charts.add(draw(layers[i], fmt::format("{}-{}-", id, number)), limits);
    if (figures.empty()) continue;
    text += fmt::format("<details class=\"layer\"{}><summary>{}</summary>\n{}</details>\n",
                        number++ < most_open ? " open" : "", escaped("Layer " + layers[i].layer), figures);
  }
  return text;
}

/// How much of the series of so many layers fits into the page.
ChartLimits limits_inside(const RunHistory& run) {
  const std::size_t charts =
      5 * std::min(run.norms.size(), most_layers) + 2 * std::min(run.activations.size(), most_layers) + 1;
  return {.points = std::clamp<std::size_t>(20'000 / charts, 100, 1500),
          .rows = std::clamp<std::size_t>(3'000 / charts, 15, 100)};
}

std::string inside_sections(const RunHistory& run, PageCharts& charts) {
  const ChartLimits limits = limits_inside(run);
  const std::string norms = layer_parts(run.norms, "norm", charts, limits, norm_charts);
  const auto is_thinned = [](const auto& layer) { return layer.stride > 1; };
  const std::string note =
      std::ranges::any_of(run.norms, is_thinned) || std::ranges::any_of(run.activations, is_thinned)
          ? fmt::format(" Of layers with more than {} records those at equally distant steps were taken up.",
                        grouped(most_layer_points))
          : "";
  const std::string activations =
      layer_parts(run.activations, "activation", charts, limits, activation_charts);
  if (norms.empty() && activations.empty()) {
    return run.start.empty() ? ""
                             : section("inside", "Inside batch norm",
                                       "<p class=\"note\">What the batch norms met was not recorded; "
                                       "<code>--record bn,activations</code> does it.</p>\n");
  }
  return section("inside", "Inside batch norm",
                 norms.empty()
                     ? ""
                     : "<p class=\"note\">The state that a recorded step starts from, with its batch. Bands "
                       "reach from the smallest to the largest channel, or between percentiles of all "
                       "values." +
                           note + "</p>\n" + norms) +
         section("activations", "Inputs of the activations",
                 note.empty() || activations.empty() ? activations
                                                     : "<p class=\"note\">" + note + "</p>\n" + activations);
}

/// (1, 28, 28), as the record of the data set has it.
Shape shape_of(const std::string& text) {
  Shape shape;
  char closing = 0;
  long long c = 0, h = 0, w = 0;
  if (std::sscanf(text.c_str(), "(%lld, %lld, %lld%c", &c, &h, &w, &closing) != 4 || closing != ')')
    throw Error(ErrorKind::data, "no shape");
  constexpr long long most = 1 << 20;  // beyond any image
  if (std::min({c, h, w}) < 1 || std::max({c, h, w}) > most) throw Error(ErrorKind::data, "no shape");
  shape.channels = c;
  shape.height = h;
  shape.width = w;
  return shape;
}

std::string network_section(const RunHistory& run) {
  const std::string words = text_in(run.start, "network");
  if (words.empty()) return "";
  std::string text = "<pre>" + escaped(words) + "</pre>\n";
  try {
    const Json data = object_in(run.start, "dataset");
    const Network network =
        Network::parse(words, shape_of(text_in(data, "image")), count_in(data, "classes"));
    std::vector<std::int64_t> parameters(network.layers().size(), 0);
    for (const Parameter& parameter : network.parameters())
      parameters[static_cast<std::size_t>(parameter.layer)] += parameter.size;
    HtmlTable table{.heading = {"", "layer", "output", "parameters"}};
    table.rows.push_back({"", "input", to_string(network.input()), ""});
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Layer& layer = network.layers()[i];
      table.rows.push_back(
          {layer.name, layer.text, to_string(layer.output), parameters[i] > 0 ? grouped(parameters[i]) : ""});
    }
    table.rows.push_back({"", "trainable", "", grouped(network.parameter_count())});
    text += html(table);
  } catch (const Error&) {
    text +=
        "<p class=\"note\">This version of bntrain does not know this network; its shapes are missing.</p>\n";
  }
  return section("network", "Network", text);
}

std::string made_section(const RecordedRun& run, const Json& defaults) {
  const RunHistory& history = run.history;
  std::string text;
  HtmlTable changes{.heading = {"step", "setting", "from", "to"}, .text = true};
  for (const SettingChange& change : changes_of(history))
    changes.rows.push_back({grouped(change.step), change.setting, change.from, change.to});
  if (!changes.rows.empty()) text += "<h3>Changed while it ran</h3>\n" + html(changes);
  if (const std::string command = command_of(history, defaults); !command.empty())
    text += std::string("<h3>Command") + (changes.rows.empty() ? "" : ", with the last settings") +
            "</h3>\n<pre>" + escaped(command) + "</pre>\n";
  for (const auto& [what, command] : next_commands(run))
    text += "<h3>" + what + "</h3>\n<pre>" + escaped(command) + "</pre>\n";
  if (history.start.empty()) return section("made", "How it was made", text);
  const Json data = object_in(history.start, "dataset"), versions = object_in(history.start, "versions");
  HtmlTable table{.heading = {}, .text = true};
  const auto row = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) table.rows.push_back({name, value});
  };
  row("bntrain", text_in(versions, "bntrain"));
  row("compiler", text_in(versions, "compiler"));
  row("device", text_in(history.start, "backend"));
  row("kernels", text_in(history.start, "variant"));
  row("processor", text_in(history.start, "processor"));
  row("data", text_in(data, "name") + " from " + text_in(data, "source"));
  row("images",
      fmt::format("{} to train, {} to test, {}, {} classes", grouped(count_in(data, "train")),
                  grouped(count_in(data, "test")), text_in(data, "image"), count_in(data, "classes")));
  row("seed", history.setting("seed"));
  row("memory",
      count_in(history.start, "memory_bytes") < 0
          ? ""
          : fmt::format("{:.1f} MB of a training step", number_in(history.start, "memory_bytes") / 1e6));
  if (!history.epochs.empty())
    row("duration", duration_text(seconds_of(history)) + " of training and evaluation");
  text += html(table);
  HtmlTable settings{.heading = {"setting", "value"}, .text = true};
  const Json config = object_in(history.start, "config");
  for (const auto& [name, value] : config.items()) settings.rows.push_back({name, history.setting(name)});
  text += "<details><summary>All settings</summary>" + html(settings) + "</details>\n";
  return section("made", "How it was made", text);
}

std::string badge(RunState state) {
  constexpr const char* classes[] = {"busy", "good", "stopped", "bad", "bad", "stopped"};
  return std::string("<span class=\"badge ") + classes[static_cast<std::size_t>(state)] + "\">" +
         to_string(state) + "</span>";
}

}  // namespace

std::string run_page(const RecordedRun& run, const std::optional<EvaluationDetails>& evaluation,
                     std::vector<std::string> missing, const Json& defaults, const std::string& written) {
  const RunHistory& history = run.history;
  missing.insert(missing.begin(), history.missing.begin(), history.missing.end());
  static_cast<void>(learning_rates(history, missing));
  PageCharts charts;
  const std::string title = history.name + " · bntrain";
  std::string contents = divergence_section(run);
  contents += section("curves", "Curves", charts.add(curve_charts(history), {}));
  if (evaluation) contents += html(*evaluation);
  contents += inside_sections(history, charts) + network_section(history) + made_section(run, defaults);
  std::string body = "<header><h1>" + escaped(history.name) + " " + badge(run.state) +
                     "</h1>\n<p class=\"lead\">" + escaped(state_sentence(run));
  if (run.state == RunState::going_on) body += " Written " + escaped(written) + ".";
  body += "</p>\n" + missing_note(missing) + tiles(history) + "</header>\n<main>\n" + contents +
          "</main>\n<footer class=\"note\">Made by bntrain " BNTRAIN_VERSION
          ". Epochs and steps are numbered from 0."
          "</footer>\n";
  return page(title, body, charts);
}

std::string run_page(const RecordedRun& run, const Json& defaults) {
  std::vector<std::string> missing;
  std::optional<EvaluationDetails> evaluation;
  // Before the first epoch's end there is none to miss.
  const std::filesystem::path file = run.folder / "evaluation.json";
  std::error_code ignored;
  if (!run.folder.empty() && (!run.history.epochs.empty() || std::filesystem::exists(file, ignored)))
    evaluation = read_evaluation(file, missing);
  // While training goes on, it is written before the record of its epoch.
  if (evaluation && run.state != RunState::going_on && !run.history.start.empty() &&
      evaluation->step > run.history.last_step())
    missing.push_back(
        fmt::format("evaluation.json does not fit the records: it is of epoch {} after {} steps, and the "
                    "records end after {}.",
                    evaluation->epoch, grouped(evaluation->step), grouped(run.history.last_step())));
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return run_page(run, evaluation, missing, defaults,
                  fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(now)));
}

}  // namespace bntrain::report
