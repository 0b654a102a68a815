# SPDX-License-Identifier: MIT
# Settings, who may ask, /metrics, files of profiles.
fr_unit_test(test_config LIBS fr_recorder)
fr_unit_test(test_access LIBS fr_recorder)
fr_unit_test(test_metrics LIBS fr_recorder)
