#include "cli/convention_options.hpp"

#include <utility>
#include <vector>

#include "cli/option_values.hpp"

namespace bntrain::cli {

CLI::Option* add_convention(CLI::App& app, const std::string& help,
                            std::function<void(const BatchNormConvention&)> take) {
  const std::string flag = "--bn-convention";
  return add_value(app, flag, "NAME", "", help, [flag, take = std::move(take)](const std::string& text) {
    std::vector<std::string> names;
    for (const BatchNormConvention& convention : batch_norm_conventions()) {
      if (convention.name == text) return take(convention);
      names.push_back(convention.name);
    }
    throw BadValue(flag, text, "allowed: " + list_names(names, "or"));
  });
}

}  // namespace bntrain::cli
