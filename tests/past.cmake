# SPDX-License-Identifier: MIT
# Profiles of the past.
if(TARGET fr_recorder AND TARGET view_profile)
  fr_unit_test(test_pprof_query LIBS fr_recorder)
  fr_unit_test(test_viewer_run LIBS fr_recorder)
  fr_unit_test(test_profiles_past LIBS fr_recorder profile_proto PkgConfig::VIEW_ZLIB)
endif()
fr_e2e_test(e2e_pprof_past pprof_past.py)
