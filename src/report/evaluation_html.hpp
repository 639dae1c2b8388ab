// The newest evaluation on a page: confusion matrix, scores by class, worst mistakes.
#pragma once

#include <string>

#include "report/evaluation_file.hpp"

namespace bntrain::report {

/// The three of them, each with its heading.
std::string html(const EvaluationDetails& details);

}  // namespace bntrain::report
