# SPDX-License-Identifier: MIT
# What the kernel's scheduler does (recorder/sched*).
fr_unit_test(test_sched_ring LIBS fr_recorder)
fr_unit_test(test_sched_history LIBS fr_recorder)
fr_unit_test(test_sched_times LIBS fr_recorder)
foreach(how bpf caps switch nobody refused)
  fr_e2e_test(e2e_scheduling_${how} "scheduling.py;${how}")
endforeach()

# Also a measure of what a switch costs: bench/sched_cost.py.
add_executable(bench_switches bench/bench_switches.c)
target_link_libraries(bench_switches PRIVATE fr_flags Threads::Threads)
foreach(step bpf switch)
  fr_e2e_test(e2e_scheduling_rest_${step} "scheduling_rest.py;${step}")
endforeach()
