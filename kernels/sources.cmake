# What the kernels are made of, for a GPU (CMakeLists.txt here) and for the host (tests/CMakeLists.txt).
set(kernel_sources
  batch_norm/backward.cu
  batch_norm/forward.cu
  batch_norm/maxpool_backward.cu
  batch_norm/maxpool_forward.cu
  batch_norm/maxpool_inference.cu
  batch_norm/maxpool_resident_backward.cu
  batch_norm/naive.cu
  batch_norm/resident.cu
  batch_norm/resident_backward.cu
  batch_norm/resident_forward.cu
  batch_norm/running_statistics.cu
  batch_norm/statistics.cu
  batch_norm/streamed.cu
  batch_norm/streamed_backward.cu
  batch_norm/streamed_forward.cu
  batch_norm/variant.cu
  elementwise/activation.cu
  elementwise/average_pool.cu
  elementwise/bias_activation.cu
  elementwise/bias_backward.cu
  elementwise/gather_images.cu
  loss/softmax_cross_entropy.cu
  optimizer/optimizer.cu
  peaks.cu
  simt/device_code.cu)
# launch.hpp with the CUDA runtime, and with the executor that runs kernels on the host.
set(launch_cuda_sources simt/grid.cpp simt/launch.cpp simt/launch_cuda.cpp)
set(launch_host_sources
  simt/grid.cpp
  simt/host/access_counts.cpp
  simt/host/device_memory.cpp
  simt/host/executor.cpp
  simt/host/fiber.cpp
  simt/host/global_races.cpp
  simt/host/launch.cpp
  simt/host/launch_state.cpp
  simt/host/synchronization.cpp
  simt/host/shared_array.cpp)
foreach(list kernel_sources launch_cuda_sources launch_host_sources)
  list(TRANSFORM ${list} PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
endforeach()
