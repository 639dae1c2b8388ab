// Batch norm over tensors of bfloat16: the device code of the plain kernels, instantiated for both compilers.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simt/bfloat16.hpp"

namespace bntrain::kernels {

/// moments: [channels]; parts: [chunks * channels], chunks as in norm_space<Bfloat16>(). x and y: the tensor.
void bfloat16_statistics(const NormShape& shape, const simt::Bfloat16* x, ChannelMoments* parts,
                         const Stream& stream);
std::int64_t bfloat16_chunks(const NormShape& shape);
/// mean: [2 * channels]; inv_std, gamma, beta: [channels]; float32.
void bfloat16_normalize(const NormShape& shape, const simt::Bfloat16* x, const float* mean,
                        const float* inv_std, const float* gamma, const float* beta, simt::Bfloat16* y,
                        const Stream& stream);
/// dbeta_parts, dgamma_parts: [chunks * channels].
void bfloat16_gradient_sums(const NormShape& shape, const simt::Bfloat16* x, const simt::Bfloat16* dy,
                            const float* mean, const float* inv_std, double* dbeta_parts,
                            double* dgamma_parts, const Stream& stream);
void bfloat16_input_gradient(const NormShape& shape, const simt::Bfloat16* x, const simt::Bfloat16* dy,
                             const float* gamma, const float* mean, const float* inv_std, const float* dgamma,
                             const float* dbeta, simt::Bfloat16* dx, const Stream& stream);

/// Both passes in the resident kernels. mean: [2 * channels]; the rest but x, y, dy, dx: [channels], float32.
void bfloat16_resident_forward(const NormShape& shape, double eps, const simt::Bfloat16* x,
                               const float* gamma, const float* beta, simt::Bfloat16* y, float* mean,
                               float* var, float* inv_std, const Stream& stream);
void bfloat16_resident_backward(const NormShape& shape, const simt::Bfloat16* x, const simt::Bfloat16* dy,
                                const float* gamma, const float* mean, const float* inv_std,
                                simt::Bfloat16* dx, float* dgamma, float* dbeta, const Stream& stream);

}  // namespace bntrain::kernels
