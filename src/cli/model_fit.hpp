// Whether a model can look at the images of a data set.
#pragma once

#include <string>

#include "bntrain/dataset.hpp"
#include "bntrain/model.hpp"

namespace bntrain::cli {

/// Throws Error(data), naming the model's file, unless shape and number of classes are the same.
void expect_fit(const Model& model, const std::string& path, const Dataset& dataset);

}  // namespace bntrain::cli
