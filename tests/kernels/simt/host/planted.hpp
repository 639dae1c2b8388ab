// Each rule of kernels/simt.hpp broken once: the executor says so in every schedule. The mended kernel
// passes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/simt/host/executor.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/reduce.cuh"
#include "kernels/simt/simt.hpp"
#include "support/device_vector.hpp"

namespace bntrain {

using namespace simt;
using kernels::LaunchConfig;
using simt_host::Executor;
using simt_host::Settings;
using simt_host::SimtError;
using testing::HasSubstr;

/// Memory of a kernel of the tests, which is passed as the pointer to it.
template <typename T>
class Device {
 public:
  using value_type = T;
  using const_iterator = const T*;

  explicit Device(std::size_t count, T value = {}) : values_(count, value) {}

  operator T*() { return values_.data(); }  // NOLINT(google-explicit-constructor): as an array is one
  const T* begin() const { return values_.data(); }
  const T* end() const { return begin() + values_.size(); }

 private:
  support::DeviceVector<T> values_;
};

/// The message of the SimtError, "" when the kernel passes.
template <typename... Params>
std::string run(const Settings& settings, const LaunchConfig& config, void (*kernel)(Params...),
                std::type_identity_t<Params>... params) {
  Executor executor(settings);
  try {
    kernels::launch(kernel, config, executor.stream(), params...);
  } catch (const SimtError& error) {
    return error.what();
  }
  return "";
}

template <typename... Params>
void expect_caught(const std::string& message, const LaunchConfig& config, void (*kernel)(Params...),
                   std::type_identity_t<Params>... params) {
  for (const Settings& settings : simt_host::all_schedules()) {
    SCOPED_TRACE(to_string(settings.schedule));
    EXPECT_THAT(run(settings, config, kernel, params...), HasSubstr(message));
  }
}

template <typename... Params>
void expect_passes(const LaunchConfig& config, void (*kernel)(Params...),
                   std::type_identity_t<Params>... params) {
  for (const Settings& settings : simt_host::all_schedules()) {
    SCOPED_TRACE(to_string(settings.schedule));
    EXPECT_EQ(run(settings, config, kernel, params...), "");
  }
}

inline const LaunchConfig kOneBlock{.name = "k", .block = 64};
inline const LaunchConfig kOneWarp{.name = "k", .block = 32};
inline const LaunchConfig kCluster{.name = "k", .grid = 4, .block = 32, .cluster = 2};
inline const LaunchConfig kCooperative{.name = "k", .grid = 3, .block = 32, .cooperative = true};

}  // namespace bntrain
