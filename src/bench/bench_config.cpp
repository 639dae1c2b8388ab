#include "bench/bench_config.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "bntrain/error.hpp"

namespace bntrain::bench {
namespace {

constexpr int schema_version = 1;

template <class Value>
Json names(const std::vector<Value>& values) {
  Json list = Json::array();
  for (const Value value : values) list.push_back(to_string(value));
  return list;
}

[[noreturn]] void refuse(const std::string& what, const std::string& folder, const Json& old,
                         const Json& now) {
  throw Error(ErrorKind::usage, what + ": the runs in " + folder + " have " + one_line(old) +
                                    ", and this command asks for " + one_line(now) +
                                    "; name another folder with --out");
}

/// An axis may grow: what was finished stays, and what is new is run.
void expect_part(const std::string& flag, const std::string& folder, const Json& old, const Json& now) {
  const auto lost = std::find_if(old.begin(), old.end(), [&](const Json& value) {
    return std::find(now.begin(), now.end(), value) == now.end();
  });
  if (lost == old.end()) return;
  throw Error(ErrorKind::usage, "--" + flag + ": the bench in " + folder + " also has " + one_line(*lost) +
                                    "; a grid may grow but not shrink: name that value too, or another "
                                    "folder with --out");
}

/// Where the files lay does not matter once their content is known.
Json identity(Json dataset) {
  if (dataset.value("known_digests", false)) dataset.erase("source");
  return dataset;
}

}  // namespace

Json run_flags(const TrainConfig& run) {
  Json flags = config_record(run);
  for (const char* name : {"device", "cpu-isa", "threads", "init-from", "save", "save-gradients", "metrics",
                           "out", "save-every", "keep", "valid", "patience"}) {
    flags.erase(name);
  }
  return flags;
}

Json flags_record(const BenchConfig& config) {
  Json flags = run_flags(config.train);
  flags.erase("seed");
  flags["norm"] = names(config.norms);
  flags["init"] = names(config.inits);
  flags["lr"] = config.learning_rates;
  flags["seeds"] = seeds_of(config);
  flags["target"] = config.target;
  return flags;
}

Json bench_record(const BenchConfig& config, const Dataset& dataset, const std::string& variant) {
  return {{"schema", "bntrain-bench-config"},   {"schema_version", schema_version},
          {"bntrain", BNTRAIN_VERSION},         {"variant", variant},
          {"dataset", dataset_record(dataset)}, {"config", flags_record(config)}};
}

void expect_continuation(const Json& old, const Json& now, const std::string& folder) {
  if (old.at("bntrain") != now.at("bntrain")) {
    refuse("the version of bntrain", folder, old.at("bntrain"), now.at("bntrain"));
  }
  const std::set<std::string> axes = {"norm", "init", "lr", "seeds"};
  for (const auto& [flag, value] : now.at("config").items()) {
    const Json& before = old.at("config").at(flag);
    if (axes.contains(flag)) {
      expect_part(flag, folder, before, value);
    } else if (flag != "target" && flag != "data" && before != value) {
      refuse("--" + flag, folder, before, value);
    }
  }
  const Json data_before = identity(old.at("dataset")), data_now = identity(now.at("dataset"));
  if (data_before != data_now) refuse("--data", folder, data_before, data_now);
  if (old.at("variant") != now.at("variant")) {
    refuse("--device or --cpu-isa", folder, old.at("variant"), now.at("variant"));
  }
}

}  // namespace bntrain::bench
