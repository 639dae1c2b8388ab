// What took long to compute is written somewhere, even where it was meant to go it cannot.
#pragma once

#include <filesystem>
#include <functional>

namespace bntrain {

/// Calls `write` with `target`. Where that throws Error, calls it with another name beside the target, then
/// with its name in a rescue_folder(), and throws Error(runtime) that says what failed and where the file is
/// now.
void write_or_rescue(const std::filesystem::path& target,
                     const std::function<void(const std::filesystem::path&)>& write);

/// A new folder in the system's temporary folder, /tmp where TMPDIR names none. "" where none
/// can be made.
std::filesystem::path rescue_folder();

}  // namespace bntrain
