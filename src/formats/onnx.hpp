// ONNX files, https://onnx.ai: for inference in other programs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

/// The operator sets that a file can ask for: the nodes are the same in all of them.
inline constexpr std::int64_t kOldestOnnxOpset = 13, kOnnxOpset = 17;
inline constexpr const char* kOnnxInput = "input";
inline constexpr const char* kOnnxOutput = "logits";

/// Writes the network in inference mode: input `input`, float32 [batch, C, H, W] with pixels divided by 255,
/// output `logits`, float32 [batch, classes], any batch size. One node a layer, tensors under PyTorch's
/// names, the file format that came with the operator set `opset`, `metadata` as the model's properties. The
/// model passes ONNX's own checker and shape inference before anything is written; the file appears whole or
/// not at all. Expects check_state() to have passed. Throws Error(runtime) where this build has no ONNX
/// library or the model is larger than the format allows (2 GiB), Error(data) when the file cannot be
/// written.
void write_onnx(const std::filesystem::path& path, const Network& network, const ModelState& state,
                double eps, const std::map<std::string, std::string>& metadata,
                std::int64_t opset = kOnnxOpset);

}  // namespace bntrain
