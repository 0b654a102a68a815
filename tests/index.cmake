# SPDX-License-Identifier: MIT
if(TARGET view)
  fr_unit_test(test_pool LIBS view_fixture)
  fr_unit_test(test_lane LIBS view_fixture)
  fr_unit_test(test_index LIBS view_fixture)
  fr_unit_test(test_sql LIBS view_fixture)
  fr_e2e_test(viewer_page viewer_page.py)
endif()
