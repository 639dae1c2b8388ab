// The flags of bntrain eval.
#include <algorithm>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "cli/eval_command.hpp"
#include "cli/eval_report.hpp"
#include "cli/logging.hpp"
#include "cli/option_values.hpp"
#include "cli/workload_options.hpp"

namespace bntrain::cli {
namespace {

constexpr NormStatistics every_statistics[] = {NormStatistics::running, NormStatistics::batch,
                                               NormStatistics::recomputed};

/// "running", "running,batch" or "all".
std::vector<NormStatistics> parse_statistics(const std::string& text) {
  if (text == "all") return {std::begin(every_statistics), std::end(every_statistics)};
  std::vector<NormStatistics> list;
  std::istringstream words(text + ",");  // with the comma an empty last word is one too
  for (std::string word; std::getline(words, word, ',');) {
    const auto* found = std::ranges::find_if(
        every_statistics, [&](NormStatistics statistics) { return to_string(statistics) == word; });
    if (found == std::end(every_statistics))
      throw BadValue("--bn-stats", text,
                     "allowed: running, batch, recomputed, several of them with commas, or all");
    if (std::ranges::find(list, *found) != list.end())
      throw BadValue("--bn-stats", text, "each may stand there once");
    list.push_back(*found);
  }
  return list;
}

}  // namespace

void setup_eval(CLI::App& app, EvalOptions& options) {
  CLI::App& eval =
      add_command(app, "eval", "evaluate a model: loss, accuracy, scores by class, confusion matrix");
  add_argument(eval, "MODEL", options.model, "a safetensors file, such as train --save writes")->required();
  in_group(eval, "Model", [&] { add_description(eval, options.description); });
  in_group(eval, "Workload", [&] {
    add_data(eval, options.data);
    add_split(eval, options.split, "which images to evaluate on");
    add_batch_size(eval, options.batch_size);
    add_value(
        eval, "--bn-stats", "running|batch|recomputed|all", "running",
        "what batch norms divide by: running statistics, each batch's own, or those of the whole training "
        "set, computed anew; several with commas",
        [&options](const std::string& text) { options.statistics = parse_statistics(text); });
  });
  in_group(eval, "Machine", [&] { add_machine(eval, options.backend); });
  in_group(eval, "Files", [&] {
    add_text(eval, "--csv", options.csv, "FILE.csv", "write scores and confusion matrix, a row a class");
    add_text(eval, "--logits", options.logits, "FILE.safetensors",
             "write the logits as a tensor [images, classes], with the first of --bn-stats");
    add_text(eval, "--save-recomputed", options.save_recomputed, "FILE.safetensors",
             "write the model with the recomputed statistics");
  });
  in_group(eval, "Output", [&] {
    add_switch(eval, "--json", options.json, "one JSON object instead of the tables on stdout");
    add_log_options(eval, options.log);
  });
  set_footer(
      eval,
      {"recomputed: mean and variance (M2 / n) of what each batch norm meets over all training images,",
       "layer by layer, each with the recomputed statistics in front of it. The other tables are those of",
       "the first --bn-stats.", sources_note(eval)});
}

}  // namespace bntrain::cli
