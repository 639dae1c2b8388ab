// --bn-convention, for training and for export.
#pragma once

#include <functional>
#include <string>

#include "bntrain/batch_norm_convention.hpp"
#include "cli/app_fwd.hpp"

namespace bntrain::cli {

CLI::Option* add_convention(CLI::App& app, const std::string& help,
                            std::function<void(const BatchNormConvention&)> take);

}  // namespace bntrain::cli
