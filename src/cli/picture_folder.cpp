#include "cli/picture_folder.hpp"

#include <algorithm>
#include <filesystem>

#include "bntrain/error.hpp"
#include "data/picture.hpp"

namespace bntrain::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> entries_of(const std::string& folder) {
  std::vector<std::string> names;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      names.push_back(entry.path().string());
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorKind::data, folder + ": cannot be read: " + error.code().message());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

PictureFiles find_pictures(const std::vector<std::string>& names) {
  PictureFiles found;
  std::error_code ignored;
  for (const std::string& name : names) {
    if (!fs::is_directory(name, ignored)) {
      if (!fs::exists(name, ignored))
        throw Error(ErrorKind::data, name + ": there is no such file or folder");
      found.pictures.push_back(name);
      continue;
    }
    const std::size_t before = found.pictures.size();
    for (const std::string& entry : entries_of(name)) {
      const bool picture = fs::is_regular_file(entry, ignored) && looks_like_picture(entry);
      (picture ? found.pictures : found.left_out).push_back(entry);
    }
    if (found.pictures.size() == before)
      throw Error(ErrorKind::data, name + ": there is no PNG or JPEG in this folder");
  }
  return found;
}

}  // namespace bntrain::cli
