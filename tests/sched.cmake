# SPDX-License-Identifier: MIT
# What the kernel's scheduler does (recorder/sched*).
fr_unit_test(test_sched_ring LIBS fr_recorder)
fr_unit_test(test_sched_history LIBS fr_recorder)
fr_unit_test(test_sched_times LIBS fr_recorder)
foreach(how bpf switch nobody refused)
  fr_e2e_test(e2e_scheduling_${how} "scheduling.py;${how}")
endforeach()
