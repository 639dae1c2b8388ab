#include "bench/bench_folder.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "bench/bench_config.hpp"
#include "bntrain/error.hpp"
#include "core/rescue.hpp"
#include "core/write_file.hpp"

namespace bntrain::bench {
namespace fs = std::filesystem;
namespace {

const fs::path& make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (fs::is_directory(path)) return path;
  throw Error(ErrorKind::data, path.string() + ": the folder cannot be made: " +
                                   (error ? error.message() : "there is a file of that name"));
}

/// Hidden files are temporary ones of a bench that was killed.
bool holds_something(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with('.')) return true;
  }
  return false;
}

Json read_config(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) throw Error(ErrorKind::data, path.string() + ": cannot be read: " + std::strerror(errno));
  Json config = parse_record(text);
  if (config.is_discarded() || !config.is_object() ||
      config.value("schema", Json()) != "bntrain-bench-config") {
    throw Error(ErrorKind::data,
                path.string() + ": this is not the configuration of a bench; name another folder");
  }
  return config;
}

}  // namespace

BenchFolder::BenchFolder(const fs::path& path, Json config)
    : path_(make_folder(path)), config_(std::move(config)), lock_(path_) {
  take_up();
}

void BenchFolder::take_up() {
  const fs::path file = path_ / "config.json";
  if (fs::exists(file)) {
    const Json old = read_config(file);
    try {
      expect_continuation(old, config_, path_.string());
    } catch (const Json::exception& error) {
      throw Error(ErrorKind::data, file.string() + ": damaged: " + error.what());
    }
  } else if (holds_something(path_)) {
    throw Error(ErrorKind::usage, path_.string() + " holds files but no bench; name a new or empty folder");
  }
  remove_temporary_files(path_);
  write_file(file, config_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  make_folder(path_ / "runs");
  remove_temporary_files(path_ / "runs");
  const FileWriter tried(path_ / "runs" / "tried");  // before there is a run to lose
}

fs::path BenchFolder::run_file(const std::string& run) const {
  return path_ / "runs" / (run + ".jsonl");
}

std::optional<RunRecord> BenchFolder::find(const std::string& run, const Json& settings) const {
  const fs::path file = run_file(run);
  if (!fs::exists(file)) return std::nullopt;
  RunRecord record = read_run_record(file);
  const auto expect = [&](const std::string& what, const Json& found, const Json& expected) {
    if (found == expected) return;
    throw Error(ErrorKind::data, file.string() + ": line 1: this run has " + what + " " + one_line(found) +
                                     " and not " + one_line(expected) + "; remove the file to run it again");
  };
  for (const auto& [setting, expected] : settings.items()) {
    if (setting != "data") expect(setting, record.start["config"][setting], expected);
  }
  expect("the variant", record.start["variant"], config_["variant"]);
  return record;
}

void BenchFolder::keep(const std::string& run, const std::string& records) {
  write_or_rescue(run_file(run), [&](const fs::path& file) { write_file(file, records); });
}

void BenchFolder::write(const std::string& name, const std::string& text) const {
  write_file(path_ / name, text);
}

}  // namespace bntrain::bench
