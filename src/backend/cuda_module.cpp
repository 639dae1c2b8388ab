#include "backend/cuda_module.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorKind::runtime, reason);
}

#ifdef BNTRAIN_CUDA_MODULE_DIR

namespace fs = std::filesystem;

constexpr char kName[] = "libbntrain_cuda.so";

struct LoadedModule {
  fs::path path;
  const CudaModule* module;
};

/// Beside this library and the executable, where an install puts it relative to either, and where this build
/// installs it.
std::vector<fs::path> folders() {
  std::vector<fs::path> found;
  const auto add = [&](const fs::path& folder) {
    const fs::path normal = folder.lexically_normal();
    if (std::find(found.begin(), found.end(), normal) == found.end()) found.push_back(normal);
  };
  Dl_info library{};
  if (dladdr(reinterpret_cast<const void*>(&make_cuda_backend), &library) != 0) {
    const fs::path folder = fs::absolute(library.dli_fname).parent_path();
    add(folder);
    add(folder / "bntrain");
  }
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    add(executable.parent_path());
    add(executable.parent_path() / "../lib");
    add(executable.parent_path() / "../lib/bntrain");
  }
  add(BNTRAIN_CUDA_MODULE_DIR);
  return found;
}

/// The library stays loaded: CUDA's own libraries do not support being unloaded.
LoadedModule take(void* library, const fs::path& path) {
  void* const symbol = dlsym(library, kCudaModuleEntry);
  if (symbol == nullptr) refuse(path.string() + " is no CUDA module of bntrain: " + dlerror());
  const CudaModule* module = reinterpret_cast<CudaModuleEntry>(symbol)();
  if (module->version != std::string_view(BNTRAIN_VERSION))
    refuse(path.string() + " is of bntrain " + module->version +
           ", and this is " BNTRAIN_VERSION "; install them together");
  return {path, module};
}

LoadedModule load_module() {
  constexpr int kMode = RTLD_NOW | RTLD_LOCAL;
  std::string places;
  for (const fs::path& folder : folders()) {
    const fs::path path = folder / kName;
    std::error_code error;
    if (!fs::exists(path, error)) {
      places += (places.empty() ? "" : ", ") + folder.string();
      continue;
    }
    // dlopen's message names what is missing, which may be a library that the module needs.
    if (void* const library = dlopen(path.c_str(), kMode)) return take(library, path);
    refuse(path.string() + " cannot be loaded: " + dlerror());
  }
  if (void* const library = dlopen(kName, kMode)) return take(library, kName);
  refuse(std::string("the CUDA module is neither in ") + places + " nor found by its name: " + dlerror());
}

/// Asked for first: it costs nothing, and where there is no driver cuDNN and cuBLASLt, hundreds of megabytes,
/// are not loaded in vain. It stays loaded for the CUDA runtime, which would look for it next.
void expect_driver() {
  if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) == nullptr)
    refuse(std::string("this machine has no NVIDIA driver: ") + dlerror());
}

#else

struct LoadedModule {
  std::string path;
  const CudaModule* module;
};

LoadedModule load_module() {
  refuse("this bntrain was built without CUDA");
}

void expect_driver() {}

#endif

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(Precision precision, int gpu) {
  expect_driver();
  return load_module().module->make_backend(precision, gpu);
}

Facts cuda_facts() {
  Facts facts;
  try {
    facts.emplace_back("cuda", make_cuda_backend(Precision::fp32)->description());
  } catch (const Error& error) {
    facts.emplace_back("cuda", std::string("not available: ") + error.what());
  }
  try {
    const LoadedModule loaded = load_module();
    facts.emplace_back("cuda-module", loaded.path);
    for (const auto& fact : loaded.module->facts()) facts.push_back(fact);
  } catch (const Error& error) {
    facts.emplace_back("cuda-module", std::string("none: ") + error.what());
  }
  return facts;
}

}  // namespace bntrain
