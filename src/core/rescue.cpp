#include "core/rescue.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <new>
#include <string>

#include "bntrain/error.hpp"

namespace bntrain {
namespace fs = std::filesystem;
namespace {

fs::path name_beside(const fs::path& target) {
  return target.parent_path() /
         (target.stem().string() + ".rescued-" + std::to_string(::getpid()) + target.extension().string());
}

}  // namespace

fs::path rescue_folder() {
  std::error_code error;
  const fs::path temporary = fs::temp_directory_path(error);
  std::string name = ((error ? fs::path("/tmp") : temporary) / "bntrain-rescued-XXXXXX").string();
  return ::mkdtemp(name.data()) != nullptr ? name : "";
}

void write_or_rescue(const fs::path& target, const std::function<void(const fs::path&)>& write) {
  std::string problems;
  const auto written = [&](const fs::path& path) {
    try {
      write(path);
      return true;
    } catch (const Error& error) {
      problems += error.what() + std::string("; ");
    } catch (const std::bad_alloc&) {
      problems += path.string() + ": there is not enough memory; ";
    }
    return false;
  };
  if (written(target)) return;
  fs::path rescue = name_beside(target);
  if (!written(rescue)) {
    const fs::path folder = rescue_folder();
    rescue = folder / target.filename();
    if (folder.empty() || !written(rescue)) {
      std::error_code ignored;
      fs::remove(folder, ignored);
      throw Error(ErrorKind::runtime, problems + "it is lost");
    }
  }
  throw Error(ErrorKind::runtime, problems + "it was written to " + rescue.string() + " instead");
}

}  // namespace bntrain
