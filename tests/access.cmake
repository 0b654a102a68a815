# SPDX-License-Identifier: MIT
# Settings, who may ask, /metrics, files of profiles.
fr_unit_test(test_config LIBS fr_recorder)
fr_unit_test(test_access LIBS fr_recorder)
fr_unit_test(test_metrics LIBS fr_recorder)

fr_e2e_test(e2e_access access.py)
fr_e2e_test(e2e_output_profiles output_profiles.py)
fr_e2e_test(e2e_metrics metrics.py)
