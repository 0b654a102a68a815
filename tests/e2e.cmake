# SPDX-License-Identifier: MIT
# The product as a whole, on programs that know nothing of it.
add_subdirectory(programs)
