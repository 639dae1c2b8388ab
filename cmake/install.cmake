# `cmake --install` and find_package(bntrain): the program, the library bntrain::bntrain, its headers.
include(CMakePackageConfigHelpers)

install(TARGETS bntrain EXPORT bntrainTargets)
install(TARGETS bntrain_cli)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/plot_report.py DESTINATION ${CMAKE_INSTALL_DATADIR}/bntrain)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/scripts/report DESTINATION ${CMAKE_INSTALL_DATADIR}/bntrain
  FILES_MATCHING PATTERN *.py PATTERN *.css PATTERN __pycache__ EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Relative, so that an installed tree still works after it was moved.
file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(bntrain_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")

if(BNTRAIN_HAS_CUDA_MODULE)
  install(TARGETS bntrain_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/bntrain)
  # NVIDIA's libraries are found where they were at build time; only they may lie outside of what is moved.
  set_target_properties(bntrain_cuda PROPERTIES INSTALL_RPATH "$ORIGIN/.." INSTALL_RPATH_USE_LINK_PATH ON)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bntrain)
install(EXPORT bntrainTargets NAMESPACE bntrain:: DESTINATION ${package_dir})
if(BNTRAIN_HAS_CUDA)
  install(TARGETS bntrain_kernels EXPORT bntrainKernelsTargets)
  foreach(header kernels batch_norm/batch_norm batch_norm/maxpool convolution/convolution convolution/patches
      elementwise/elementwise linear/linear
      loss/softmax_cross_entropy optimizer/optimizer stream)
    get_filename_component(folder ${header} DIRECTORY)
    install(FILES ${PROJECT_SOURCE_DIR}/kernels/${header}.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/bntrain/kernels/${folder})
  endforeach()
  install(EXPORT bntrainKernelsTargets NAMESPACE bntrain:: DESTINATION ${package_dir})
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/bntrainConfig.cmake.in
  ${PROJECT_BINARY_DIR}/bntrainConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/bntrainConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/bntrainConfig.cmake ${PROJECT_BINARY_DIR}/bntrainConfigVersion.cmake
  DESTINATION ${package_dir})
