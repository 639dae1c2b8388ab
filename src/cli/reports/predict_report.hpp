// What bntrain predict prints for an image.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/records.hpp"

namespace bntrain::cli {

struct Answer {
  std::string image;                  ///< its file, or its place in the data set
  std::int64_t label = -1;            ///< its class; -1: unknown
  std::vector<double> probabilities;  ///< by class
  std::vector<std::size_t> best;      ///< classes by falling probability; empty where they are NaN
};

/// `best` has the `top` most probable classes, ties in the order of the classes.
Answer answer_of(const std::string& image, std::int64_t label, std::span<const float> logits,
                 std::int64_t top);

/// "shirt.png: Shirt 0.8123, T-shirt/top 0.1201", with a known label "test 17 (Coat): ...".
std::string answer_line(const Answer& answer, const std::vector<std::string>& class_names);

Json answer_record(const Answer& answer, const std::vector<std::string>& class_names);

}  // namespace bntrain::cli
