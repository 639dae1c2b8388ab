// Memory, streams, events and graphs of the CUDA runtime.
#include <gmock/gmock.h>

#include "backend/cuda/gpu_test.hpp"
#include "kernels/simt/cuda_check.hpp"

namespace bntrain::cuda {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(AnyGpu, IsDescribedForPeople) {
  const Gpu gpu{1, "NVIDIA X", 90, 132, (std::int64_t{140} << 30) - 1};
  EXPECT_EQ(to_string(gpu), "NVIDIA X, compute capability 9.0, 132 multiprocessors, 139 GiB");
  EXPECT_EQ(list({gpu, {2, "Y", 75, 40, 0}}), "1: " + to_string(gpu) +
                                                  "; 2: Y, compute capability 7.5, 40 "
                                                  "multiprocessors, 0 GiB");
}

TEST(AnyGpu, FactsNameEveryVersionWithOrWithoutADevice) {
  std::vector<std::string> names;
  for (const auto& [name, text] : gpu_facts()) {
    names.push_back(name);
    EXPECT_FALSE(text.empty()) << name;
  }
  EXPECT_THAT(names, ElementsAre("cuda-runtime", "cuda-driver", "cudnn", "cublaslt", "cuda-architectures",
                                 "cuda-devices"));
}

using GpuDevice = GpuTest;

TEST_F(GpuDevice, ANumberBeyondThoseThatThereAreIsRefusedWithTheirList) {
  try {
    usable_gpu(1000);
    FAIL() << "there was a GPU 1000";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("no GPU 1000; the driver shows 0: "));
  }
}

TEST_F(GpuDevice, MemoryIsAlignedAndKeepsItsNumbers) {
  DeviceStream stream;
  const std::vector<int> numbers = {1, 2, 3, 4, 5};
  const DeviceArray<int> array = on_device(stream, numbers);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.data()) % 256, 0u);
  EXPECT_EQ(on_host(stream, array), numbers);
  stream.zero(array.data() + 1, 2 * sizeof(int));
  EXPECT_THAT(on_host(stream, array), ElementsAre(1, 0, 0, 4, 5));
}

TEST_F(GpuDevice, NothingIsNoError) {
  DeviceStream stream;
  const DeviceArray<float> nothing(0);
  stream.zero(nothing.data(), 0);
  EXPECT_TRUE(on_host(stream, nothing).empty());
}

TEST_F(GpuDevice, TooMuchMemoryIsAnErrorAndNotTheNextCallsError) {
  try {
    DeviceArray<float> array(std::int64_t{1} << 50);
    FAIL() << "there was memory";
  } catch (const CudaError& error) {
    EXPECT_THAT(error.what(), HasSubstr("4503599627370496 bytes"));
  }
  DeviceStream stream;
  EXPECT_THAT(on_host(stream, on_device(stream, std::vector<int>{7})), ElementsAre(7));
}

TEST_F(GpuDevice, AGraphRunsWhenItIsLaunched) {
  DeviceStream stream;
  const DeviceArray<int> array = on_device(stream, std::vector<int>(8, 1));
  const Graph graph = stream.capture([&] { stream.zero(array.data(), array.bytes()); });
  EXPECT_THAT(on_host(stream, array), Each(1));
  stream.launch(graph);
  EXPECT_THAT(on_host(stream, array), Each(0));
  const std::vector<int> ones(8, 1);
  stream.upload(array.data(), ones.data(), array.bytes());
  stream.launch(graph);
  EXPECT_THAT(on_host(stream, array), Each(0));
}

TEST_F(GpuDevice, ACaptureThatFailsLeavesTheStreamUsable) {
  DeviceStream stream;
  const DeviceArray<int> array = on_device(stream, std::vector<int>(8, 1));
  const auto fail = [&] {
    stream.zero(array.data(), array.bytes());
    throw std::logic_error("on purpose");
  };
  EXPECT_THROW(stream.capture(fail), std::logic_error);
  EXPECT_THROW(stream.capture([&] { stream.synchronize(); }), CudaError);
  EXPECT_THAT(on_host(stream, array), Each(1));
  stream.launch(stream.capture([&] { stream.zero(array.data(), array.bytes()); }));
  EXPECT_THAT(on_host(stream, array), Each(0));
}

TEST_F(GpuDevice, EventsOrderTheStreamAndEveryLaunchOfAGraph) {
  DeviceStream stream;
  Event first, second;
  stream.record(first);
  stream.record(second);
  EXPECT_GE(second.seconds_since(first), 0);
  const Graph graph = stream.capture([&] { stream.record(second); });
  stream.record(first);  // later than `second`, until the graph reaches that anew
  stream.launch(graph);
  EXPECT_GE(second.seconds_since(first), 0);
}

}  // namespace
}  // namespace bntrain::cuda
