# Installs BUILD_DIR, moves the tree, then builds and runs a project that finds it there, and the moved program.
# usage: cmake -DBUILD_DIR=... -DWORK_DIR=... -DCXX=... -DHAS_CUDA=ON|OFF -P install_test.cmake
set(installed ${WORK_DIR}/installed)
set(prefix "${WORK_DIR}/moved here")
file(REMOVE_RECURSE ${WORK_DIR})
function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${installed})
file(RENAME ${installed} ${prefix})

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK_DIR}/build -G Ninja
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=${CXX} -Dbntrain_ROOT=${prefix}
  -DEXAMPLES_DIR=${CMAKE_CURRENT_LIST_DIR}/../../examples)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WORK_DIR}/build/consumer)
execute_process(COMMAND ${WORK_DIR}/build/train WORKING_DIRECTORY ${WORK_DIR} COMMAND_ERROR_IS_FATAL ANY)
if(HAS_CUDA)
  run(${WORK_DIR}/build/kernels_consumer)
endif()
run(${prefix}/bin/bntrain --version)
