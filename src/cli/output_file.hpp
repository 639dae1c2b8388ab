// Files that a command will write.
#pragma once

#include <string>

namespace bntrain::cli {

/// appended: written line by line where it is, which a device such as /dev/stdout can take too.
/// replaced: a finished file takes the place of the old one.
enum class OutputKind { appended, replaced };

/// Throws Error(data), naming `flag`, unless such a file can be written at `path`. Asked before training,
/// because afterwards the work would be lost.
void expect_writable(const std::string& flag, const std::string& path, OutputKind kind);

}  // namespace bntrain::cli
