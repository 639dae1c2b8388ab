#include "bench/bench_config.hpp"

#include <algorithm>
#include <set>

#include "bntrain/error.hpp"

namespace bntrain::bench {
namespace {

constexpr int config_version = 1;

template <class Value>
Json names(const std::vector<Value>& values) {
  Json list = Json::array();
  for (const Value value : values) list.push_back(to_string(value));
  return list;
}

/// Throws Error(usage) unless both are the same.
void expect_same(const std::string& setting, const std::string& folder, const Json& old, const Json& now) {
  if (old == now) return;
  throw Error(ErrorKind::usage, setting,
              "the runs in " + folder + " have " + one_line(old) + ", and this command asks for " +
                  one_line(now) + "; name another folder");
}

/// An axis may grow: what was finished stays, and what is new is run.
void expect_part(const std::string& setting, const std::string& folder, const Json& old, const Json& now) {
  const auto lost = std::find_if(old.begin(), old.end(), [&](const Json& value) {
    return std::find(now.begin(), now.end(), value) == now.end();
  });
  if (lost == old.end()) return;
  throw Error(ErrorKind::usage, setting,
              "the bench in " + folder + " also has " + one_line(*lost) +
                  "; a grid may grow but not shrink: name that value too, or another folder");
}

/// Where the files are does not matter once their content is known.
Json identity(Json dataset) {
  if (dataset.value("known_digests", false)) dataset.erase("source");
  return dataset;
}

}  // namespace

Json run_settings(const BenchConfig& config, const TrainConfig& run) {
  Json settings = config.settings(run);
  for (const char* name :
       {"device", "cpu-isa", "conv", "threads", "init-from", "init-skip", "save", "save-gradients", "metrics",
        "out", "save-every", "keep", "valid", "patience", "classes", "normalize"}) {
    settings.erase(name);
  }
  return settings;
}

Json settings_of(const BenchConfig& config) {
  Json settings = run_settings(config, config.train);
  settings.erase("seed");
  settings["norm"] = names(config.norms);
  settings["init"] = names(config.inits);
  settings["lr"] = config.learning_rates;
  settings["seeds"] = seeds_of(config);
  settings["target"] = config.target;
  return settings;
}

Json bench_record(const BenchConfig& config, const Dataset& dataset, const std::string& variant) {
  return {{"schema", "bntrain-bench-config"},   {"schema_version", config_version},
          {"bntrain", BNTRAIN_VERSION},         {"variant", variant},
          {"dataset", dataset_record(dataset)}, {"config", settings_of(config)}};
}

void expect_continuation(const Json& old, const Json& now, const std::string& folder) {
  if (old.at("bntrain") != now.at("bntrain")) {
    throw Error(ErrorKind::usage, "the runs in " + folder + " were made by version " +
                                      one_line(old.at("bntrain")) + " of bntrain, and this is " +
                                      one_line(now.at("bntrain")) + "; name another folder");
  }
  const std::set<std::string> axes = {"norm", "init", "lr", "seeds"};
  for (const auto& [setting, value] : now.at("config").items()) {
    const Json& before = old.at("config").at(setting);
    if (axes.contains(setting)) {
      expect_part(setting, folder, before, value);
    } else if (setting != "target" && setting != "data") {
      expect_same(setting, folder, before, value);
    }
  }
  expect_same("data", folder, identity(old.at("dataset")), identity(now.at("dataset")));
  if (old.at("variant") != now.at("variant")) {
    throw Error(ErrorKind::usage, "the runs in " + folder + " were computed by " +
                                      one_line(old.at("variant")) + ", and this command would use " +
                                      one_line(now.at("variant")) +
                                      "; choose that device and instruction set, or name another folder");
  }
}

}  // namespace bntrain::bench
