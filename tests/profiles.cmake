# SPDX-License-Identifier: MIT
# The sampled profiles as the recorder builds them.
if(TARGET fr_recorder AND TARGET view_profile)
  foreach(name test_profiles test_profiles_cpu test_profiles_heap test_profiles_threads
      test_deadlock test_profile_text test_blackbox_tables test_orders)
    fr_unit_test(${name} LIBS fr_recorder profile_proto PkgConfig::VIEW_ZLIB)
  endforeach()
endif()
