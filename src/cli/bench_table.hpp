// The results of a bench for people.
#pragma once

#include <string>

#include "bench/results.hpp"

namespace bntrain::cli {

/// For every init: a row a learning rate with what each norm reached, the largest learning rates, and what
/// batch norm makes of a seed's test accuracy.
std::string bench_table(const bench::Results& results);

}  // namespace bntrain::cli
