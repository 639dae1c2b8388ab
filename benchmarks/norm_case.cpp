#include "benchmarks/norm_case.hpp"

#include <algorithm>
#include <charconv>

#include "bntrain/error.hpp"

namespace bntrain::benchmarks {

namespace {

constexpr std::string_view kPooling = "+relu+maxpool";

/// Sizes, all at least 1, with an x between them; nothing where the text is something else.
std::vector<std::int64_t> parse_sizes(std::string_view text) {
  std::vector<std::int64_t> sizes;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::int64_t size = 0;
    const auto [behind, error] = std::from_chars(at, end, size);
    const bool separated = behind == end || (*behind == 'x' && behind + 1 != end);
    if (error != std::errc{} || size < 1 || !separated) return {};
    sizes.push_back(size);
    at = behind == end ? end : behind + 1;
  }
  return sizes;
}

}  // namespace

NormCase parse_norm_case(std::string_view text) {
  const std::size_t behind = text.find(kPooling);
  const bool pools = behind != std::string_view::npos;
  std::vector<std::int64_t> sizes = parse_sizes(text.substr(0, behind));
  const std::vector<std::int64_t> window =
      pools ? parse_sizes(text.substr(behind + kPooling.size())) : std::vector<std::int64_t>{0};
  const bool fits = sizes.size() == 4 && window.size() == 1 && window[0] <= std::min(sizes[2], sizes[3]);
  if (pools ? !fits : sizes.size() != 2 && sizes.size() != 4)
    throw Error(ErrorKind::usage,
                "\"" + std::string(text) +
                    "\" is no shape: wanted are batch x channels, as in 65536x1024, batch x channels x "
                    "height x width, as in 256x20x24x24, or the latter with a pooling that fits, as in "
                    "256x20x24x24+relu+maxpool2");
  sizes.resize(4, 1);
  return {sizes[0], sizes[1], sizes[2], sizes[3], kernels::Layout::channels_first, window[0]};
}

std::string to_string(const NormCase& c) {
  std::string text = std::to_string(c.batch) + "x" + std::to_string(c.channels);
  if (c.height * c.width > 1 || c.pool > 0)
    text += "x" + std::to_string(c.height) + "x" + std::to_string(c.width);
  return c.pool > 0 ? text + std::string(kPooling) + std::to_string(c.pool) : text;
}

const char* to_string(kernels::Layout layout) {
  return layout == kernels::Layout::channels_first ? "channels first" : "channels last";
}

const char* to_string(kernels::NormPass pass) {
  return pass == kernels::NormPass::forward ? "forward" : "backward";
}

std::vector<NormCase> layouts_of(const NormCase& c) {
  NormCase first = c, last = c;
  first.layout = kernels::Layout::channels_first;
  last.layout = kernels::Layout::channels_last;
  if (c.height * c.width == 1 || c.pool > 0) return {first};
  return {first, last};
}

std::int64_t bytes_moved(const NormCase& c, kernels::NormPass pass) {
  const std::int64_t inputs = pass == kernels::NormPass::forward ? 1 : 2;
  return (inputs * c.size() + c.out_size()) * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t cold_sets(std::int64_t set_bytes, std::int64_t cache_bytes) {
  return (kCacheFill * cache_bytes + set_bytes - 1) / set_bytes;
}

bool can_be_hot(std::int64_t set_bytes, std::int64_t cache_bytes) {
  return set_bytes <= cache_bytes;
}

}  // namespace bntrain::benchmarks
