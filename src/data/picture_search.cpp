#include "data/picture_search.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "data/picture.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;

class Search {
 public:
  FoundPictures found;

  void add(const std::string& name) {
    std::error_code error;
    const fs::file_status status = fs::status(name, error);
    if (fs::is_directory(status)) {
      const std::size_t before = found.pictures.size() + found.problems.size();
      seen_.clear();
      for (fs::path above = fs::canonical(name, error); above.has_relative_path();)
        seen_.insert(above = above.parent_path());  // a link may lead there
      add_folder(name);
      if (found.pictures.size() + found.problems.size() == before)
        found.problems.push_back(name + ": there is no PNG or JPEG in this folder nor in those below it");
    } else if (fs::exists(status)) {
      found.pictures.push_back(name);
    } else {
      found.problems.push_back(name + ": " +
                               (status.type() == fs::file_type::not_found
                                    ? "there is no such file or folder"
                                    : "cannot be examined: " + error.message()));
    }
  }

 private:
  void add_folder(const fs::path& folder) {
    std::error_code error;
    // A link to a folder above would never end.
    if (!seen_.insert(fs::canonical(folder, error)).second) return;
    std::vector<fs::path> entries;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::end(entry); entry.increment(error)) entries.push_back(entry->path());
    if (error) found.problems.push_back(folder.string() + ": cannot be read: " + error.message());
    std::ranges::sort(entries);
    for (const fs::path& path : entries) {
      if (fs::is_directory(path, error))
        add_folder(path);
      else
        (is_meant_as_picture(path) ? found.pictures : found.left_out).push_back(path.string());
    }
  }

  std::set<fs::path> seen_;
};

}  // namespace

FoundPictures find_pictures(const std::vector<std::string>& names) {
  Search search;
  for (const std::string& name : names) search.add(name);
  return search.found;
}

}  // namespace bntrain
