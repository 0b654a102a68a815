# SPDX-License-Identifier: MIT
# How processes end, and what makes them ask for a snapshot (tracer/fatal*, hook_exit.c, trigger.c).
if(NOT FLIGHTREC_SANITIZE) # which has handlers of its own
  set(T ${CMAKE_SOURCE_DIR}/tracer)
  fr_unit_test(test_fatal SOURCES ${T}/fatal.c ${T}/fatal_signal.c ${T}/disposition.c ${T}/blackbox.c ${T}/stack.c
    ${T}/real.c ${FR_UNWIND_SOURCES} LIBS Threads::Threads ${CMAKE_DL_LIBS})
  fr_e2e_test(e2e_crash_records "crash.py;records")
  fr_e2e_test(e2e_crash_ends "crash.py;ends")
  fr_e2e_test(e2e_triggers_traced triggers_traced.py)
endif()
