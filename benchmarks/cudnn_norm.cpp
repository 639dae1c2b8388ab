#include "benchmarks/cudnn_norm.hpp"

#include <algorithm>

#include "backend/cuda/convolution_descriptors.hpp"
#include "backend/cuda/math_handles.hpp"

namespace bntrain::benchmarks {
namespace {

constexpr float kOne = 1, kZero = 0;
constexpr cudnnBatchNormOps_t kNormOnly = CUDNN_BATCHNORM_OPS_BN;

void check(cudnnStatus_t status, const char* call) {
  constexpr int kCategory = 1000;  // cuDNN numbers its reasons within a category
  if (status / kCategory == CUDNN_STATUS_NOT_SUPPORTED / kCategory)
    throw Unsupported(std::string(call) + ": " + cudnnGetErrorString(status));
  if (!succeeded(status)) throw_cuda_error(status, call, __FILE__, __LINE__);
}

cuda::TensorDescriptor make_descriptor() {
  cudnnTensorDescriptor_t descriptor = nullptr;
  BNTRAIN_CUDA_CHECK(cudnnCreateTensorDescriptor(&descriptor));
  return cuda::TensorDescriptor(descriptor);
}

cuda::TensorDescriptor tensor_of(const NormCase& c) {
  cuda::TensorDescriptor tensor = make_descriptor();
  BNTRAIN_CUDA_CHECK(cudnnSetTensor4dDescriptor(
      tensor.get(), c.layout == kernels::Layout::channels_first ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC,
      CUDNN_DATA_FLOAT, static_cast<int>(c.batch), static_cast<int>(c.channels), static_cast<int>(c.height),
      static_cast<int>(c.width)));
  return tensor;
}

cuda::TensorDescriptor parameters_of(const cuda::TensorDescriptor& tensor, cudnnBatchNormMode_t mode) {
  cuda::TensorDescriptor parameters = make_descriptor();
  BNTRAIN_CUDA_CHECK(cudnnDeriveBNTensorDescriptor(parameters.get(), tensor.get(), mode));
  return parameters;
}

class CudnnNorm final : public NormContender {
 public:
  CudnnNorm(const char* name, const NormCase& c, cudnnBatchNormMode_t mode, cuda::MathLibraries& libraries)
      : NormContender(name, true),
        cudnn_(libraries.handles().cudnn()),
        mode_(mode),
        tensor_(tensor_of(c)),
        parameters_(parameters_of(tensor_, mode)),
        workspace_(std::max(forward_workspace(), backward_workspace())),
        reserve_(reserve_bytes()) {}

  void forward(const NormBuffers& b) override {
    check(cudnnBatchNormalizationForwardTrainingEx(
              cudnn_, mode_, kNormOnly, &kOne, &kZero, tensor_.get(), b.x, nullptr, nullptr, tensor_.get(),
              b.y, parameters_.get(), b.gamma, b.beta, 1 - kMomentum, b.running_mean, b.running_var, kEps,
              b.mean, b.invstd, nullptr, workspace_.data(), static_cast<std::size_t>(workspace_.bytes()),
              reserve_.data(), static_cast<std::size_t>(reserve_.bytes())),
          "cudnnBatchNormalizationForwardTrainingEx");
  }

  /// It fills the reserve space.
  void prepare_backward(const NormBuffers& b) override { forward(b); }

  void backward(const NormBuffers& b) override {
    check(cudnnBatchNormalizationBackwardEx(cudnn_, mode_, kNormOnly, &kOne, &kZero, &kOne, &kZero,
                                            tensor_.get(), b.x, nullptr, nullptr, tensor_.get(), b.dy,
                                            nullptr, nullptr, tensor_.get(), b.dx, parameters_.get(), b.gamma,
                                            nullptr, b.dgamma, b.dbeta, kEps, b.mean, b.invstd, nullptr,
                                            workspace_.data(), static_cast<std::size_t>(workspace_.bytes()),
                                            reserve_.data(), static_cast<std::size_t>(reserve_.bytes())),
          "cudnnBatchNormalizationBackwardEx");
  }

 private:
  std::int64_t forward_workspace() const {
    std::size_t bytes = 0;
    check(cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(cudnn_, mode_, kNormOnly, tensor_.get(),
                                                                   nullptr, tensor_.get(), parameters_.get(),
                                                                   nullptr, &bytes),
          "cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize");
    return static_cast<std::int64_t>(bytes);
  }
  std::int64_t backward_workspace() const {
    std::size_t bytes = 0;
    check(cudnnGetBatchNormalizationBackwardExWorkspaceSize(
              cudnn_, mode_, kNormOnly, tensor_.get(), tensor_.get(), tensor_.get(), nullptr, tensor_.get(),
              parameters_.get(), nullptr, &bytes),
          "cudnnGetBatchNormalizationBackwardExWorkspaceSize");
    return static_cast<std::int64_t>(bytes);
  }
  std::int64_t reserve_bytes() const {
    std::size_t bytes = 0;
    check(cudnnGetBatchNormalizationTrainingExReserveSpaceSize(cudnn_, mode_, kNormOnly, nullptr,
                                                               tensor_.get(), &bytes),
          "cudnnGetBatchNormalizationTrainingExReserveSpaceSize");
    return static_cast<std::int64_t>(bytes);
  }

  cudnnContext* cudnn_;
  cudnnBatchNormMode_t mode_;
  cuda::TensorDescriptor tensor_, parameters_;
  cuda::DeviceArray<std::byte> workspace_, reserve_;
};

using ActivationDescriptor =
    std::unique_ptr<cudnnActivationStruct, cuda::Destroy<cudnnDestroyActivationDescriptor>>;
using PoolingDescriptor = std::unique_ptr<cudnnPoolingStruct, cuda::Destroy<cudnnDestroyPoolingDescriptor>>;

ActivationDescriptor make_relu() {
  cudnnActivationDescriptor_t descriptor = nullptr;
  BNTRAIN_CUDA_CHECK(cudnnCreateActivationDescriptor(&descriptor));
  ActivationDescriptor relu(descriptor);
  BNTRAIN_CUDA_CHECK(cudnnSetActivationDescriptor(descriptor, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
  return relu;
}

PoolingDescriptor make_pooling(int window) {
  cudnnPoolingDescriptor_t descriptor = nullptr;
  BNTRAIN_CUDA_CHECK(cudnnCreatePoolingDescriptor(&descriptor));
  PoolingDescriptor pooling(descriptor);
  BNTRAIN_CUDA_CHECK(cudnnSetPooling2dDescriptor(descriptor, CUDNN_POOLING_MAX_DETERMINISTIC,
                                                 CUDNN_PROPAGATE_NAN, window, window, 0, 0, window, window));
  return pooling;
}

/// Batch norm, ReLU in place and max pooling, one call each. What is between them is in memory of its own,
/// the same for all sets: cuDNN finds more in the cache than ours.
class CudnnBlock final : public NormContender {
 public:
  CudnnBlock(const char* name, const NormCase& c, cudnnBatchNormMode_t mode, cuda::MathLibraries& libraries)
      : NormContender(name, true),
        cudnn_(libraries.handles().cudnn()),
        norm_(name, c, mode, libraries),
        relu_(make_relu()),
        pooling_(make_pooling(static_cast<int>(c.pool))),
        pixels_(tensor_of(c)),
        windows_(tensor_of({c.batch, c.channels, c.out_height(), c.out_width()})),
        activated_(c.size()),
        gradient_(c.size()),
        pooled_(c.out_size()) {}

  void forward(const NormBuffers& b) override {
    NormBuffers norm = b;
    norm.y = activated_.data();
    norm_.forward(norm);
    check(cudnnActivationForward(cudnn_, relu_.get(), &kOne, pixels_.get(), activated_.data(), &kZero,
                                 pixels_.get(), activated_.data()),
          "cudnnActivationForward");
    check(cudnnPoolingForward(cudnn_, pooling_.get(), &kOne, pixels_.get(), activated_.data(), &kZero,
                              windows_.get(), b.y),
          "cudnnPoolingForward");
  }

  /// It also gives the pooled output, which the gradient of the pooling reads.
  void prepare_backward(const NormBuffers& b) override {
    NormBuffers kept = b;
    kept.y = pooled_.data();
    forward(kept);
  }

  void backward(const NormBuffers& b) override {
    check(
        cudnnPoolingBackward(cudnn_, pooling_.get(), &kOne, windows_.get(), pooled_.data(), windows_.get(),
                             b.dy, pixels_.get(), activated_.data(), &kZero, pixels_.get(), gradient_.data()),
        "cudnnPoolingBackward");
    check(cudnnActivationBackward(cudnn_, relu_.get(), &kOne, pixels_.get(), activated_.data(), pixels_.get(),
                                  gradient_.data(), pixels_.get(), activated_.data(), &kZero, pixels_.get(),
                                  gradient_.data()),
          "cudnnActivationBackward");
    NormBuffers norm = b;
    norm.dy = gradient_.data();
    norm_.backward(norm);
  }

 private:
  cudnnContext* cudnn_;
  CudnnNorm norm_;
  ActivationDescriptor relu_;
  PoolingDescriptor pooling_;
  cuda::TensorDescriptor pixels_, windows_;
  cuda::DeviceArray<float> activated_, gradient_, pooled_;
};

/// A mode that cuDNN does not have for the shape.
class Refused final : public NormContender {
 public:
  Refused(const char* name, std::string reason) : NormContender(name, true), reason_(std::move(reason)) {}
  void forward(const NormBuffers&) override { throw Unsupported(reason_); }
  void backward(const NormBuffers&) override { throw Unsupported(reason_); }

 private:
  std::string reason_;
};

}  // namespace

Contenders cudnn_contenders(const NormCase& c, cuda::MathLibraries& libraries) {
  Contenders all;
  const auto add = [&](const char* name, cudnnBatchNormMode_t mode) {
    try {
      if (c.pool > 0)
        all.push_back(std::make_unique<CudnnBlock>(name, c, mode, libraries));
      else
        all.push_back(std::make_unique<CudnnNorm>(name, c, mode, libraries));
    } catch (const Unsupported& reason) {
      all.push_back(std::make_unique<Refused>(name, reason.what()));
    }
  };
  add("cudnn spatial", CUDNN_BATCHNORM_SPATIAL);
  add("cudnn persistent", CUDNN_BATCHNORM_SPATIAL_PERSISTENT);
  return all;
}

}  // namespace bntrain::benchmarks
