// bntrain info: what this build and this machine have.
#pragma once

#include "cli/app_fwd.hpp"

namespace bntrain::cli {

struct InfoOptions {
  bool json = false;
};

void setup_info(CLI::App& app, InfoOptions& options);
int run_info(const InfoOptions& options);

}  // namespace bntrain::cli
