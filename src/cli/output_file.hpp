// Files that a command will write.
#pragma once

#include <string>

namespace bntrain::cli {

/// Throws Error(data), naming `flag`, unless a file can be written at `path`: its folder exists and is
/// writable, and what is there already is a writable file. Asked before training, because afterwards the work
/// would be lost.
void expect_writable(const std::string& flag, const std::string& path);

}  // namespace bntrain::cli
