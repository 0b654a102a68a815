# SPDX-License-Identifier: MIT
# The stack walker and the stack table (tracer/unwind*, tracer/stack.*, proto/stack.h).
set(FR_UNWIND_SOURCES
  ${CMAKE_SOURCE_DIR}/tracer/unwind.c ${CMAKE_SOURCE_DIR}/tracer/unwind_cfi.c
  ${CMAKE_SOURCE_DIR}/tracer/unwind_find.c ${CMAKE_SOURCE_DIR}/tracer/unwind_expr.c)

fr_unit_test(test_stack SOURCES ${CMAKE_SOURCE_DIR}/tracer/stack.c LIBS Threads::Threads)
