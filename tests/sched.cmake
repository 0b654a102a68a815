# SPDX-License-Identifier: MIT
# What the kernel's scheduler does (recorder/sched*).
foreach(how bpf switch nobody refused)
  fr_e2e_test(e2e_scheduling_${how} "scheduling.py;${how}")
endforeach()
