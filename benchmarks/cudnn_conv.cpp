#include "benchmarks/cudnn_conv.hpp"

#include "backend/cuda/convolution_descriptors.hpp"

namespace bntrain::benchmarks {
namespace {

constexpr float kOne = 1, kZero = 0;
constexpr std::int64_t kMostWorkspace = std::int64_t{4} << 30;

/// What the calls of one shape share.
struct Context {
  Context(const ConvolutionShape& s, cuda::DeviceStream& stream)
      : shape{.batch = s.batch,
              .in_channels = s.in_channels,
              .height = s.height,
              .width = s.width,
              .out_channels = s.out_channels,
              .kernel = s.kernel,
              .stride = s.stride,
              .padding = s.padding},
        tensors(shape),
        convolution(cuda::describe_convolution(shape, CUDNN_FMA_MATH)) {
    cudnnHandle_t handle = nullptr;
    BNTRAIN_CUDA_CHECK(cudnnCreate(&handle));
    cudnn.reset(handle);
    BNTRAIN_CUDA_CHECK(cudnnSetStream(handle, stream.kernels().handle));
  }

  cuda::ConvolutionShape shape;
  cuda::TensorDescriptors tensors;
  cuda::ConvolutionDescriptor convolution;
  std::unique_ptr<cudnnContext, cuda::Destroy<cudnnDestroy>> cudnn;
};

using Shared = std::shared_ptr<Context>;
using Workspace = std::shared_ptr<cuda::DeviceArray<std::byte>>;

/// The candidates that may run, each as make(algorithm, workspace).
template <typename Candidate, typename Find, typename Make>
std::vector<ConvAlgorithm> candidates(int most, const Find& find, const Make& make) {
  std::vector<Candidate> all(static_cast<std::size_t>(most));
  int found = 0;
  BNTRAIN_CUDA_CHECK(find(most, &found, all.data()));
  all.resize(static_cast<std::size_t>(found));
  std::vector<ConvAlgorithm> result;
  for (const Candidate& candidate : all) {
    const bool float32 = candidate.mathType == CUDNN_FMA_MATH || candidate.mathType == CUDNN_DEFAULT_MATH;
    if (candidate.status != CUDNN_STATUS_SUCCESS || candidate.determinism != CUDNN_DETERMINISTIC ||
        !float32 || static_cast<std::int64_t>(candidate.memory) > kMostWorkspace)
      continue;
    const auto workspace =
        std::make_shared<cuda::DeviceArray<std::byte>>(static_cast<std::int64_t>(candidate.memory));
    result.push_back(
        {"cudnn " + std::to_string(static_cast<int>(candidate.algo)), make(candidate.algo, workspace)});
  }
  return result;
}

std::vector<ConvAlgorithm> forward(const Shared& c) {
  int most = 0;
  BNTRAIN_CUDA_CHECK(cudnnGetConvolutionForwardAlgorithmMaxCount(c->cudnn.get(), &most));
  return candidates<cudnnConvolutionFwdAlgoPerf_t>(
      most,
      [&](auto... answer) {
        return cudnnGetConvolutionForwardAlgorithm_v7(c->cudnn.get(), c->tensors.x.get(), c->tensors.w.get(),
                                                      c->convolution.get(), c->tensors.y.get(), answer...);
      },
      [&](auto algorithm, const Workspace& workspace) {
        return [c, algorithm, workspace](const float* x, const float* w, float* y) {
          BNTRAIN_CUDA_CHECK(cudnnConvolutionForward(
              c->cudnn.get(), &kOne, c->tensors.x.get(), x, c->tensors.w.get(), w, c->convolution.get(),
              algorithm, workspace->data(), static_cast<std::size_t>(workspace->bytes()), &kZero,
              c->tensors.y.get(), y));
        };
      });
}

std::vector<ConvAlgorithm> backward_input(const Shared& c) {
  int most = 0;
  BNTRAIN_CUDA_CHECK(cudnnGetConvolutionBackwardDataAlgorithmMaxCount(c->cudnn.get(), &most));
  return candidates<cudnnConvolutionBwdDataAlgoPerf_t>(
      most,
      [&](auto... answer) {
        return cudnnGetConvolutionBackwardDataAlgorithm_v7(c->cudnn.get(), c->tensors.w.get(),
                                                           c->tensors.y.get(), c->convolution.get(),
                                                           c->tensors.x.get(), answer...);
      },
      [&](auto algorithm, const Workspace& workspace) {
        return [c, algorithm, workspace](const float* w, const float* dy, float* dx) {
          BNTRAIN_CUDA_CHECK(cudnnConvolutionBackwardData(
              c->cudnn.get(), &kOne, c->tensors.w.get(), w, c->tensors.y.get(), dy, c->convolution.get(),
              algorithm, workspace->data(), static_cast<std::size_t>(workspace->bytes()), &kZero,
              c->tensors.x.get(), dx));
        };
      });
}

std::vector<ConvAlgorithm> backward_weights(const Shared& c) {
  int most = 0;
  BNTRAIN_CUDA_CHECK(cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(c->cudnn.get(), &most));
  return candidates<cudnnConvolutionBwdFilterAlgoPerf_t>(
      most,
      [&](auto... answer) {
        return cudnnGetConvolutionBackwardFilterAlgorithm_v7(c->cudnn.get(), c->tensors.x.get(),
                                                             c->tensors.y.get(), c->convolution.get(),
                                                             c->tensors.w.get(), answer...);
      },
      [&](auto algorithm, const Workspace& workspace) {
        return [c, algorithm, workspace](const float* x, const float* dy, float* dw) {
          BNTRAIN_CUDA_CHECK(cudnnConvolutionBackwardFilter(
              c->cudnn.get(), &kOne, c->tensors.x.get(), x, c->tensors.y.get(), dy, c->convolution.get(),
              algorithm, workspace->data(), static_cast<std::size_t>(workspace->bytes()), &kZero,
              c->tensors.w.get(), dw));
        };
      });
}

}  // namespace

std::vector<ConvAlgorithm> cudnn_algorithms(const ConvolutionShape& shape, ConvolutionPass pass,
                                            cuda::DeviceStream& stream) {
  const auto context = std::make_shared<Context>(shape, stream);
  switch (pass) {
    case ConvolutionPass::forward:
      return forward(context);
    case ConvolutionPass::backward_input:
      return backward_input(context);
    case ConvolutionPass::backward_weights:
      break;
  }
  return backward_weights(context);
}

}  // namespace bntrain::benchmarks
