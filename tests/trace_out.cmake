# SPDX-License-Identifier: MIT
# What turns a recording into trace.out.
if(TARGET fr_recorder)
  foreach(name test_ctf_writer test_archive test_blackbox_read test_state_trace test_ust_streams
      test_trace_out)
    fr_unit_test(${name} LIBS fr_recorder)
  endforeach()
endif()
