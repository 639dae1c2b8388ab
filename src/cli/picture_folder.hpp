// From the names on the command line to the pictures behind them.
#pragma once

#include <string>
#include <vector>

namespace bntrain::cli {

/// What the names stand for: a file for itself, a folder for the pictures in it, sorted by name.
struct PictureFiles {
  std::vector<std::string> pictures;
  std::vector<std::string> left_out;  ///< in the folders, but no pictures: by their first bytes
};

/// Throws Error(data) for a name that does not exist and for a folder without pictures.
PictureFiles find_pictures(const std::vector<std::string>& names);

}  // namespace bntrain::cli
