// The files that every page holds, put into the program when it is built.
#pragma once

#include <string_view>

namespace bntrain::report {

extern const std::string_view page_css, page_js;
/// Chart.js as its distribution minified it; "" where the program was built without.
extern const std::string_view chart_library;
/// Its copyright notice and licence.
extern const std::string_view chart_license;

}  // namespace bntrain::report
