# SPDX-License-Identifier: MIT
# Traces that nobody asked for: of deaths, triggers, and of recorders that were killed.
fr_unit_test(test_process_end LIBS fr_recorder)
fr_unit_test(test_death LIBS fr_recorder)
fr_unit_test(test_watch LIBS fr_recorder)

fr_e2e_test(e2e_triggers triggers.py)
fr_e2e_test(e2e_servers servers.py)
fr_e2e_test(e2e_deaths deaths.py)
fr_e2e_test(e2e_recover recover.py)
fr_e2e_test(e2e_kill_storm ../bench/kill_storm.py)
set_tests_properties(e2e_kill_storm PROPERTIES ENVIRONMENT
  "BUILD_DIR=${CMAKE_BINARY_DIR};SOURCE_DIR=${CMAKE_SOURCE_DIR};FLIGHTREC_TEST=1")
