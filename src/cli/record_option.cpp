#include "cli/record_option.hpp"

#include <string>

#include "cli/option_values.hpp"
#include "train/records.hpp"

namespace bntrain::cli {

void add_record(CLI::App& app, RecordOptions& record, const std::string& where) {
  const auto take = [&record](const std::string& text) {
    record = {};
    // The comma behind it: split() would drop the empty last name of "bn,".
    for (const std::string& name : CLI::detail::split(text + ",", ',')) {
      bool& wanted = name == "bn" ? record.norms : record.activations;
      if ((name != "bn" && name != "activations") || wanted) {
        throw BadValue("--record", text, "allowed: bn, activations or bn,activations");
      }
      wanted = true;
    }
  };
  add_value(app, "--record", "bn,activations", to_string(record),
            "also write to " + where +
                ", every --log-every steps (0: 50), what the batch norms (bn) and the activation layers "
                "(activations) read; changes no result",
            take);
}

}  // namespace bntrain::cli
