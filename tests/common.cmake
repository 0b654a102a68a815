# SPDX-License-Identifier: MIT
fr_unit_test(test_units LIBS fr_common)
fr_unit_test(test_fs LIBS fr_common)
fr_unit_test(test_http LIBS fr_common)
