# SPDX-License-Identifier: MIT
# The symbolizer. Cases compile programs of their own with this build's compilers.
foreach(name test_symbol test_symbol_cache test_symbol_debug test_symbol_names)
  fr_unit_test(${name} LIBS fr_common)
  target_compile_definitions(${name} PRIVATE TEST_CC="${CMAKE_C_COMPILER}" TEST_CXX="${CMAKE_CXX_COMPILER}")
endforeach()

# Prints what naming costs; not run by ctest.
add_executable(bench_symbol bench/bench_symbol.c)
target_link_libraries(bench_symbol PRIVATE fr_flags fr_common)

fr_e2e_test(e2e_names names.py)
