# SPDX-License-Identifier: MIT
# The sampled profiles, as a Go user meets them. The checks first prove themselves: on broken profiles,
# and on a real Go server.
fr_e2e_test(e2e_pprof_rules pprof_rules.py)
fr_e2e_test(e2e_pprof_reference pprof_reference.py)
foreach(part checks rows more)
  fr_e2e_test(e2e_pprof_contract_${part} "pprof_contract.py;${part}")
endforeach()
foreach(what cpu heap waits threads)
  fr_e2e_test(e2e_pprof_known_${what} "pprof_known.py;${what}")
endforeach()
fr_e2e_test(e2e_pprof_known_cpu_perf "pprof_known.py;cpu;--engine;perf")
foreach(program redis memcached buggycache)
  fr_e2e_test(e2e_pprof_tools_${program} "pprof_tools.py;${program}")
endforeach()
fr_e2e_test(e2e_pprof_death pprof_death.py)
fr_e2e_test(e2e_pprof_example pprof_example.py)
fr_e2e_test(e2e_pprof_storm "../bench/storm.py;--seconds;15")
