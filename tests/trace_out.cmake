# SPDX-License-Identifier: MIT
# What turns a recording into trace.out, and the symbolizer.
if(TARGET fr_recorder)
  foreach(name test_ctf_writer test_archive test_blackbox_read test_state_trace test_ust_streams
      test_trace_out)
    fr_unit_test(${name} LIBS fr_recorder)
  endforeach()
endif()
fr_unit_test(test_symbol LIBS fr_common)
# Its cases compile programs of their own with this build's compilers.
target_compile_definitions(test_symbol PRIVATE TEST_CC="${CMAKE_C_COMPILER}" TEST_CXX="${CMAKE_CXX_COMPILER}")
