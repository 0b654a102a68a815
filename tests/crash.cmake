# SPDX-License-Identifier: MIT
# How processes end, and what makes them ask for a snapshot (tracer/fatal*, hook_exit.c, trigger.c).
if(NOT FLIGHTREC_SANITIZE)
  fr_e2e_test(e2e_crash_records "crash.py;records")
  fr_e2e_test(e2e_crash_ends "crash.py;ends")
  fr_e2e_test(e2e_triggers_traced triggers_traced.py)
endif()
