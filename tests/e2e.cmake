# SPDX-License-Identifier: MIT
# The product as a whole, on programs that know nothing of it.
add_subdirectory(programs)

fr_e2e_test(e2e_known_answer known_answer.py)
fr_e2e_test(e2e_wakers wakers.py)
fr_e2e_test(e2e_start start.py)
fr_e2e_test(e2e_descriptors descriptors.py)
fr_e2e_test(e2e_sqlite sqlite.py)
fr_e2e_test(e2e_redis redis.py)
fr_e2e_test(e2e_babeltrace babeltrace.py)
fr_e2e_test(e2e_bad_input bad_input.py)
fr_e2e_test(e2e_leftovers leftovers.py)
fr_e2e_test(e2e_demo demo.sh)
foreach(what programs tools services)
  foreach(user root nobody)
    fr_e2e_test(e2e_transparency_${what}_${user} "transparency.py;${what};${user}")
  endforeach()
endforeach()
