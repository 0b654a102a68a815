# SPDX-License-Identifier: MIT
# The sampled profiles, as a Go user meets them.
fr_e2e_test(e2e_pprof_rules pprof_rules.py)
fr_e2e_test(e2e_pprof_reference pprof_reference.py)
