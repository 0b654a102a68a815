# SPDX-License-Identifier: MIT
# The symbolizer. Cases compile programs of their own with this build's compilers.
foreach(name test_symbol test_symbol_cache)
  fr_unit_test(${name} LIBS fr_common)
  target_compile_definitions(${name} PRIVATE TEST_CC="${CMAKE_C_COMPILER}" TEST_CXX="${CMAKE_CXX_COMPILER}")
endforeach()
