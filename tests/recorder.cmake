# SPDX-License-Identifier: MIT
fr_unit_test(test_options LIBS fr_recorder)
fr_unit_test(test_store LIBS fr_recorder)
fr_unit_test(test_session LIBS fr_recorder)
fr_unit_test(test_lttng_geometry LIBS fr_recorder)
fr_unit_test(test_program LIBS fr_recorder)
fr_unit_test(test_owned_dir LIBS fr_recorder)

fr_e2e_test(recorder_process recorder_process.py)
fr_e2e_test(recorder_http recorder_http.py)
fr_e2e_test(recorder_runs recorder_runs.py)
fr_e2e_test(recorder_disk recorder_disk.py)
fr_e2e_test(recorder_death recorder_death.py)
fr_e2e_test(ring ring.py)
