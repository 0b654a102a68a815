# SPDX-License-Identifier: MIT
# Traces that nobody asked for: of deaths, triggers, and of recorders that were killed.
fr_unit_test(test_process_end LIBS fr_recorder)
fr_unit_test(test_death LIBS fr_recorder)
fr_unit_test(test_watch LIBS fr_recorder)
