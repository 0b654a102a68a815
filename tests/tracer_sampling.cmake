# SPDX-License-Identifier: MIT
# CPU samples and thread dumps by signal (tracer/sampler*, sigprof, dump, helper, eintr.h).
add_executable(control_tool tools/control_tool.c)
target_link_libraries(control_tool PRIVATE fr_flags fr_recorder)
set_target_properties(control_tool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/programs)

set(T ${CMAKE_SOURCE_DIR}/tracer)
set(FR_SAMPLER_SOURCES ${T}/sampler.c ${T}/sampler_signal.c ${T}/disposition.c ${T}/sigprof.c ${T}/dump.c ${T}/bucket.c ${T}/blackbox.c
  ${T}/stack.c ${T}/real.c ${FR_UNWIND_SOURCES})
# ThreadSanitizer puts off signals.
if(NOT FLIGHTREC_SANITIZE MATCHES thread)
  fr_unit_test(test_sampler SOURCES ${FR_SAMPLER_SOURCES} LIBS Threads::Threads ${CMAKE_DL_LIBS})
endif()

if(NOT FLIGHTREC_SANITIZE)
  fr_e2e_test(e2e_sampling sampling.py)
  # What is known to run as it does bare, and what is hardest on the walk, once more with samples.
  fr_e2e_test(e2e_sampling_programs "transparency.py;programs;root")
  set_property(TEST e2e_sampling_programs APPEND PROPERTY ENVIRONMENT FLIGHTREC_TEST_HZ=1000)
  fr_e2e_test(e2e_sampling_stress stress_unwind.sh)
  set_property(TEST e2e_sampling_stress APPEND PROPERTY ENVIRONMENT STRESS_HZ=1000 STRESS_SECONDS=4)
endif()
