// The files that a command writes, looked at before the work whose results they are to hold.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bntrain::cli {

/// appended: written line by line where it is, which a device such as /dev/stdout can take too.
/// replaced: a finished file takes the place of the old one.
/// safetensors: likewise, under a name that is not one of another format.
enum class OutputKind { appended, replaced, safetensors };

struct OutputFile {
  std::string flag;  ///< the setting, without dashes
  std::string path;  ///< "": not asked for
  OutputKind kind = OutputKind::replaced;
};

/// A file that is not for the outputs, but for the one of the flag `but_for`.
struct TakenFile {
  std::string path;   ///< "": there is none
  std::string whose;  ///< for the message: "what --init-from reads"
  std::string but_for = {};
};

/// Throws Error of the setting `flag` unless every file can be written, which is tried, and is none of the
/// others, of `taken` and of those that stdout and stderr go to. Nothing is left behind.
void expect_outputs(const std::vector<OutputFile>& outputs, const std::vector<TakenFile>& taken);

/// Makes a folder that is missing, and its parents, while it lives: a run makes its folder later.
class MissingFolder {
 public:
  /// Throws Error(data) of the setting `flag` where the folder cannot be made. "" makes none.
  MissingFolder(const std::string& flag, const std::filesystem::path& folder);
  ~MissingFolder();
  MissingFolder(const MissingFolder&) = delete;
  MissingFolder& operator=(const MissingFolder&) = delete;

 private:
  void remove();

  std::vector<std::filesystem::path> made_;
};

}  // namespace bntrain::cli
