# SPDX-License-Identifier: MIT
# CPU samples and thread dumps by signal (tracer/sampler*, sigprof, dump, helper, eintr.h).
add_executable(control_tool tools/control_tool.c)
target_link_libraries(control_tool PRIVATE fr_flags fr_recorder)
set_target_properties(control_tool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/programs)
