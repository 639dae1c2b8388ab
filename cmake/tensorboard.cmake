# BNTRAIN_HAS_TENSORBOARD: whether TensorBoard's event files can be written; protobuf does it then.
set(BNTRAIN_HAS_TENSORBOARD OFF)

if(BNTRAIN_TENSORBOARD)  # ON or AUTO
  find_package(Protobuf QUIET)
  if(Protobuf_FOUND AND TARGET protobuf::protoc)
    set(BNTRAIN_HAS_TENSORBOARD ON)
    message(STATUS "TensorBoard's event files: by protobuf ${Protobuf_VERSION}")
  elseif(NOT BNTRAIN_TENSORBOARD STREQUAL "AUTO")
    message(FATAL_ERROR "BNTRAIN_TENSORBOARD is ON, but protobuf was not found: install protobuf-compiler and libprotobuf-dev")
  else()
    message(STATUS "TensorBoard's event files: none, protobuf-compiler or libprotobuf-dev is missing")
  endif()
endif()
