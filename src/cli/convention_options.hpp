// --bn-convention, for training and for export.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "bntrain/batch_norm_convention.hpp"

namespace bntrain::cli {

CLI::Option* add_convention(CLI::App& app, const std::string& help,
                            std::function<void(const BatchNormConvention&)> take);

}  // namespace bntrain::cli
