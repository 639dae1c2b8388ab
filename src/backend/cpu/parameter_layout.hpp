// Where the CPU keeps the parameters.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan/plan.hpp"

namespace bntrain::cpu {

/// The parameters in the network's order, but the weights of fully connected layers in blocks
/// (weight_position()), 64-byte aligned. Gradients and the optimiser's states have the same layout.
class ParameterLayout {
 public:
  explicit ParameterLayout(const Plan& plan);

  /// Floats of a buffer; those that belong to no parameter are ignored.
  std::int64_t size() const { return size_; }
  /// Where the parameter is that begins there in the network's layout, or the end for its end.
  std::int64_t offset(std::int64_t in_network) const;

  std::vector<float> to_network(const float* values) const;
  void from_network(std::span<const float> values, float* to) const;

 private:
  /// Floats that are together in both layouts, or one blocked matrix (columns > 0).
  struct Part {
    std::int64_t in_network, offset, size, rows, columns;
  };
  template <class Visit>
  void for_each_float(const Visit& visit) const;

  std::vector<Part> parts_;
  std::int64_t size_ = 0, network_size_ = 0;
};

}  // namespace bntrain::cpu
