# SPDX-License-Identifier: MIT
# The CPU engine of perf events (recorder/cpu_perf.*, recorder/perf_*).
fr_unit_test(test_perf_ring LIBS fr_recorder)
fr_unit_test(test_perf_space LIBS fr_recorder ${CMAKE_DL_LIBS})
add_dependencies(test_perf_space unwind_plugin_a)
target_compile_definitions(test_perf_space PRIVATE UNWIND_PLUGIN="$<TARGET_FILE:unwind_plugin_a>")
if(NOT FLIGHTREC_SANITIZE MATCHES thread) # which puts off signals
  fr_unit_test(test_perf_walk SOURCES unit/unwind_busy.cc ${FR_UNWIND_SOURCES} LIBS fr_recorder Threads::Threads)
endif()
foreach(what root per_thread nobody mixed)
  fr_e2e_test(e2e_cpu_perf_${what} "cpu_perf.py;${what}")
endforeach()
