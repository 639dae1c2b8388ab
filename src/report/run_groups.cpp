#include "report/run_groups.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace bntrain::report {
namespace {

constexpr std::size_t most_single = 8;  // runs that each have a curve of their own

// Where files are and go and what is written when, and how long a schedule is, which follows from the others.
constexpr std::array<std::string_view, 11> no_differences = {
    "out",        "save",      "save-gradients", "metrics", "tensorboard",   "keep",
    "save-every", "log-every", "eval-every",     "record",  "schedule-steps"};

// What trains alike but for chance and rounding: where a run was made changes its speed alone.
constexpr std::array<std::string_view, 5> same_training = {"seed", "device", "threads", "cpu-isa", "conv"};

template <std::size_t count>
bool contains(const std::array<std::string_view, count>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

std::vector<std::string> differing_settings(const std::vector<RecordedRun>& runs) {
  std::vector<std::string> names;
  for (const RecordedRun& run : runs) {
    const Json config = object_in(run.history.start, "config");
    for (const auto& [name, value] : config.items()) {
      const bool known = std::ranges::find(names, name) != names.end() || contains(no_differences, name);
      if (!known) names.push_back(name);
    }
  }
  std::erase_if(names, [&](const std::string& name) {
    return std::ranges::all_of(runs, [&](const RecordedRun& run) {
      return run.history.setting(name) == runs.front().history.setting(name);
    });
  });
  return names;
}

std::vector<RunGroup> groups_of(const std::vector<RecordedRun>& runs,
                                const std::vector<std::string>& differing) {
  std::vector<RunGroup> groups;
  for (const RecordedRun& run : runs) {
    std::string name = run.history.name;
    if (runs.size() > most_single) {
      name.clear();
      for (const std::string& setting : differing) {
        if (contains(same_training, setting)) continue;
        const std::string value = run.history.setting(setting);
        name += (name.empty() ? "" : ", ") + setting + " " + (value.empty() ? "–" : value);
      }
      if (name.empty()) name = "all runs";
    }
    const auto same = std::ranges::find(groups, name, &RunGroup::name);
    if (same != groups.end() && runs.size() > most_single)
      same->runs.push_back(&run);
    else
      groups.push_back({name, {&run}});
  }
  return groups;
}

}  // namespace bntrain::report
