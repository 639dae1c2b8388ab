#include "backend/cpu/parameter_layout.hpp"

#include <algorithm>
#include <map>

#include "backend/cpu/kernels.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cpu {

ParameterLayout::ParameterLayout(const Plan& plan) {
  std::map<std::int64_t, LinearShape> linear;  // by the offset of the weights
  for (const PlanOp& op : plan.ops)
    if (op.kind == OpKind::linear) linear[op.weight] = {op.in.size(), op.out.size()};
  std::vector<Parameter> parameters = plan.network.parameters();
  std::ranges::sort(parameters, {}, &Parameter::offset);
  for (const Parameter& p : parameters) {
    const auto found = linear.find(p.offset);
    if (found == linear.end()) {
      parts_.push_back({p.offset, size_, p.size, 0, 0});
      size_ += p.size;
    } else {
      size_ = (size_ + kLinearBlock - 1) / kLinearBlock * kLinearBlock;
      parts_.push_back({p.offset, size_, p.size, found->second.out, found->second.in});
      size_ += weight_floats(found->second);
    }
  }
  network_size_ = plan.network.parameter_floats();
}

std::int64_t ParameterLayout::offset(std::int64_t in_network) const {
  if (in_network == network_size_) return size_;
  const auto part = std::ranges::lower_bound(parts_, in_network, {}, &Part::in_network);
  BNTRAIN_EXPECTS(part != parts_.end() && part->in_network == in_network);
  return part->offset;
}

template <class Visit>
void ParameterLayout::for_each_float(const Visit& visit) const {
  for (const Part& part : parts_) {
    if (part.columns == 0)
      for (std::int64_t i = 0; i < part.size; ++i) visit(part.in_network + i, part.offset + i);
    for (std::int64_t i = 0; i < part.rows; ++i)
      for (std::int64_t j = 0; j < part.columns; ++j)
        visit(part.in_network + i * part.columns + j,
              part.offset + weight_position({part.columns, part.rows}, i, j));
  }
}

std::vector<float> ParameterLayout::to_network(const float* values) const {
  std::vector<float> all(static_cast<std::size_t>(network_size_));
  for_each_float([&](std::int64_t in_network, std::int64_t here) {
    all[static_cast<std::size_t>(in_network)] = values[here];
  });
  return all;
}

void ParameterLayout::from_network(std::span<const float> values, float* to) const {
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(values.size()) == network_size_);
  for_each_float([&](std::int64_t in_network, std::int64_t here) {
    to[here] = values[static_cast<std::size_t>(in_network)];
  });
}

}  // namespace bntrain::cpu
