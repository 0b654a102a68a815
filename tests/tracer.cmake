# SPDX-License-Identifier: MIT
set(T ${CMAKE_SOURCE_DIR}/tracer)
fr_unit_test(test_blackbox SOURCES ${T}/blackbox.c)
fr_unit_test(test_live SOURCES ${T}/live.c ${T}/blackbox.c LIBS Threads::Threads)
fr_unit_test(test_wait_table SOURCES ${T}/wait_table.c LIBS Threads::Threads)
fr_unit_test(test_lock_profile SOURCES ${T}/lock_profile.c)
fr_unit_test(test_labels SOURCES ${T}/labels.c ${T}/blackbox.c LIBS Threads::Threads)
if(NOT FLIGHTREC_SANITIZE) # a preloadable malloc and a sanitizer's do not share a process
  fr_unit_test(test_api_off LIBS flightrec)
  # Tests that are traced themselves: tests/lib/traced_self.h.
  function(fr_traced_test name)
    fr_unit_test(${name} ${ARGN})
    target_compile_options(${name} PRIVATE -Wno-unused-result -fno-builtin)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "FLIGHTREC_LIBRARY=$<TARGET_FILE:flightrec>")
  endfunction()
  fr_traced_test(test_alloc LIBS flightrec Threads::Threads m)
endif()
add_executable(bench_hooks bench/bench_hooks.c)
target_link_libraries(bench_hooks PRIVATE fr_flags Threads::Threads)
