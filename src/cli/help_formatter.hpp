// The layout of --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace bntrain::cli {

/// CLI11's, but the default stands behind the description, and the environment variables, whose names follow
/// one rule, are left to the footer.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(36); }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string value = option->get_default_str();
    return option->get_description() + (value.empty() ? "" : " [" + value + "]");
  }
};

}  // namespace bntrain::cli
