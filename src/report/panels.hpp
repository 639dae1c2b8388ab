// Curves in a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bntrain::report {

/// A curve with its name and what is said below it.
struct Panel {
  std::string title;
  std::vector<double> x, y;  ///< epochs; a y that is not finite is left out
  std::string note;
  std::string name = {};  ///< behind the title; shortened in its middle where it is long
};

/// The curves of the panels beside each other in lines of at most `width` columns, in Braille patterns, all
/// on one scale of epochs and one of y, whose ends are named; that of y may be logarithmic, which the titles
/// say. Panels that have no room follow below, and those without a value are a line with their note.
std::string draw_panels(std::vector<Panel> panels, std::size_t width, bool may_be_logarithmic = false);

/// Four digits; "-" where it is not finite.
std::string short_text(double value);

}  // namespace bntrain::report
