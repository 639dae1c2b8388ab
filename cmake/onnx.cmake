# BNTRAIN_HAS_ONNX: whether ONNX files can be written; the target `onnx` is the library that does it then.
set(BNTRAIN_HAS_ONNX OFF)

if(BNTRAIN_ONNX)  # ON or AUTO
  find_package(Protobuf QUIET)  # ONNX's own configuration expects it to be there
  if(Protobuf_FOUND)
    find_package(ONNX CONFIG QUIET)
  endif()
  if(TARGET onnx)
    set(BNTRAIN_HAS_ONNX ON)
    message(STATUS "ONNX files: by libonnx ${ONNX_VERSION}")
  elseif(NOT BNTRAIN_ONNX STREQUAL "AUTO")
    message(FATAL_ERROR "BNTRAIN_ONNX is ON, but the ONNX library was not found: install libonnx-dev and libprotobuf-dev")
  else()
    message(STATUS "ONNX files: none, libonnx-dev or libprotobuf-dev is missing")
  endif()
endif()
