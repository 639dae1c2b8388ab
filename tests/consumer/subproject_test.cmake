# SOURCE_DIR as a part of somebody else's project: neither the program nor rules of its installation come along unasked.
# Then a component that an installed bntrain has not says why.
# usage: cmake -DSOURCE_DIR=... -DBUILD_DIR=... -DWORK_DIR=... -DCXX=... -P subproject_test.cmake
file(REMOVE_RECURSE ${WORK_DIR})
file(WRITE ${WORK_DIR}/project/CMakeLists.txt "
cmake_minimum_required(VERSION 3.25)
project(whole LANGUAGES CXX)
add_subdirectory(\"${SOURCE_DIR}\" bntrain)
if(NOT TARGET bntrain::bntrain)
  message(FATAL_ERROR \"there is no bntrain::bntrain\")
endif()
foreach(unasked bntrain_cli bntrain_tests)
  if(TARGET \${unasked})
    message(FATAL_ERROR \"\${unasked} came along\")
  endif()
endforeach()
get_property(tests DIRECTORY \"${SOURCE_DIR}\" PROPERTY TESTS)
if(tests)
  message(FATAL_ERROR \"tests came along: \${tests}\")
endif()
")
execute_process(COMMAND ${CMAKE_COMMAND} -S ${WORK_DIR}/project -B ${WORK_DIR}/build -G Ninja -DCMAKE_CXX_COMPILER=${CXX}
  -DBNTRAIN_CUDA=OFF COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${WORK_DIR}/build --prefix ${WORK_DIR}/installed COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE installed ${WORK_DIR}/installed/*)
if(installed)
  message(FATAL_ERROR "installed unasked: ${installed}")
endif()

file(WRITE ${WORK_DIR}/user/CMakeLists.txt "
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES CXX)
find_package(bntrain REQUIRED COMPONENTS nonsense)
")
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -S ${WORK_DIR}/user -B ${WORK_DIR}/user_build -G Ninja -DCMAKE_CXX_COMPILER=${CXX}
  -Dbntrain_ROOT=${WORK_DIR}/prefix RESULT_VARIABLE code ERROR_VARIABLE said OUTPUT_QUIET)
string(REGEX REPLACE "[ \n]+" " " said "${said}")
if(code EQUAL 0 OR NOT said MATCHES "component nonsense: there is none of that name")
  message(FATAL_ERROR "a component that is not there: ${code} ${said}")
endif()
