// The resident batch norm kernels in every tuning that serves a case, beside the one that the rule chooses.
#pragma once

#include "benchmarks/norm_contender.hpp"
#include "kernels/batch_norm/resident.hpp"

namespace bntrain::benchmarks {

/// "16x256x9x1": blocks of a cluster, threads of a block, vectors of a thread, columns of a group.
std::string to_string(const kernels::ResidentTuning& tuning);

/// The rule's, as if no tuning had been measured (measured_tuning.hpp); `vectors` is 0 where there is none.
kernels::ResidentTuning rule_tuning(const NormCase& c, kernels::NormPass pass, const kernels::Stream& stream);

/// Every number of vectors, every cluster and every number of columns that the device can run for the case,
/// with as few threads as they allow. None with pooling.
std::vector<kernels::ResidentTuning> resident_tunings(const NormCase& c, kernels::NormPass pass,
                                                      const kernels::Stream& stream);

void forward_tuned(const NormCase& c, const kernels::ResidentTuning& tuning, const NormBuffers& buffers,
                   const kernels::Stream& stream);
void backward_tuned(const NormCase& c, const kernels::ResidentTuning& tuning, const NormBuffers& buffers,
                    const kernels::Stream& stream);

}  // namespace bntrain::benchmarks
