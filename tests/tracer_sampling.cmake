# SPDX-License-Identifier: MIT
# CPU samples and thread dumps by signal (tracer/sampler*, sigprof, dump, helper, eintr.h).
add_executable(control_tool tools/control_tool.c)
target_link_libraries(control_tool PRIVATE fr_flags fr_recorder)
set_target_properties(control_tool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/programs)

set(T ${CMAKE_SOURCE_DIR}/tracer)
set(FR_SAMPLER_SOURCES ${T}/sampler.c ${T}/sampler_signal.c ${T}/sigprof.c ${T}/dump.c ${T}/bucket.c ${T}/blackbox.c
  ${T}/stack.c ${T}/real.c ${FR_UNWIND_SOURCES})
# ThreadSanitizer puts off signals.
if(NOT FLIGHTREC_SANITIZE MATCHES thread)
  fr_unit_test(test_sampler SOURCES ${FR_SAMPLER_SOURCES} LIBS Threads::Threads ${CMAKE_DL_LIBS})
endif()
