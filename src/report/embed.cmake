# Writes OUTPUT, the source of page_files.hpp, from the files CSS, JS, LICENSE and CHART_JS ("": none).
foreach(name CSS JS LICENSE CHART_JS)
  set(text_of_${name} "")
  if(NOT "${${name}}" STREQUAL "")
    file(READ "${${name}}" text_of_${name})
  endif()
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/page_files.cpp.in ${OUTPUT} @ONLY)
