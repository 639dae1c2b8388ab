#include "bntrain/dataset.hpp"

namespace bntrain {

std::vector<std::string> class_names(const std::string& dataset, std::int64_t classes) {
  // Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747
  static const std::vector<std::string> fashion_mnist = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                                         "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                                         "Bag",         "Ankle boot"};
  if (dataset == "fashion-mnist" && classes == 10) return fashion_mnist;
  std::vector<std::string> numbers;
  for (std::int64_t c = 0; c < classes; ++c) numbers.push_back(std::to_string(c));
  return numbers;
}

}  // namespace bntrain
