// Pictures in folders.
#pragma once

#include <string>
#include <vector>

namespace bntrain {

struct FoundPictures {
  std::vector<std::string> pictures;  ///< files that are meant as pictures; reading them may still fail
  std::vector<std::string> left_out;  ///< other files of the folders
  std::vector<std::string>
      problems;  ///< names that do not exist, folders that are unreadable or have no picture
};

/// What names of files and folders mean: a file itself, of a folder the pictures in it and in the folders
/// below, by name. Links are followed, but not to a folder that was met before or lies above.
FoundPictures find_pictures(const std::vector<std::string>& names);

}  // namespace bntrain
