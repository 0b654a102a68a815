# SPDX-License-Identifier: MIT
# The stack walker and the stack table (tracer/unwind*, tracer/stack.*, proto/stack.h).
set(FR_UNWIND_SOURCES
  ${CMAKE_SOURCE_DIR}/tracer/unwind.c ${CMAKE_SOURCE_DIR}/tracer/unwind_cache.c
  ${CMAKE_SOURCE_DIR}/tracer/unwind_cfi.c
  ${CMAKE_SOURCE_DIR}/tracer/unwind_find.c ${CMAKE_SOURCE_DIR}/tracer/unwind_expr.c)

fr_unit_test(test_stack SOURCES ${CMAKE_SOURCE_DIR}/tracer/stack.c LIBS Threads::Threads)

pkg_check_modules(FR_DW REQUIRED IMPORTED_TARGET libdw libelf)
fr_unit_test(test_unwind_cfi SOURCES ${FR_UNWIND_SOURCES} LIBS PkgConfig::FR_DW)
# ThreadSanitizer puts off signals and hands out contexts of frames that are gone by then.
if(NOT FLIGHTREC_SANITIZE MATCHES thread)
  fr_unit_test(test_unwind_agree SOURCES unit/unwind_busy.cc ${FR_UNWIND_SOURCES}
    LIBS PkgConfig::FR_DW Threads::Threads)
endif()

# Objects that test_unwind loads and unloads: the same code with frames of different sizes.
foreach(variant a b)
  add_library(unwind_plugin_${variant} SHARED unit/unwind_plugin.c)
  target_link_libraries(unwind_plugin_${variant} PRIVATE fr_flags)
endforeach()
target_compile_definitions(unwind_plugin_a PRIVATE PLUGIN_FRAME=100)
target_compile_definitions(unwind_plugin_b PRIVATE PLUGIN_FRAME=2000)
add_library(unwind_lazy SHARED unit/unwind_lazy.c)
target_link_libraries(unwind_lazy PRIVATE fr_flags unwind_plugin_a -Wl,-z,lazy)

fr_unit_test(test_unwind SOURCES ${FR_UNWIND_SOURCES} LIBS Threads::Threads ${CMAKE_DL_LIBS})
add_dependencies(test_unwind unwind_plugin_a unwind_plugin_b unwind_lazy)
fr_unit_test(test_unwind_step SOURCES ${FR_UNWIND_SOURCES} LIBS Threads::Threads -Wl,-z,lazy)
foreach(name test_stack_repeat test_stack_repeat_random)
  fr_unit_test(${name} SOURCES ${FR_UNWIND_SOURCES} ${CMAKE_SOURCE_DIR}/tracer/stack_repeat.c LIBS Threads::Threads)
endforeach()
# Later than fr_flags: without frame pointers, as distributions build programs.
set_source_files_properties(unit/test_unwind.c unit/test_unwind_step.c unit/test_stack_repeat.c
  unit/test_stack_repeat_random.c unit/unwind_plugin.c unit/unwind_lazy.c
  unit/unwind_busy.cc PROPERTIES COMPILE_OPTIONS "-O2;-fomit-frame-pointer")

# A benchmark, not a test: build and run bin/bench_unwind.
foreach(variant without_fp with_fp)
  add_library(bench_frames_${variant} OBJECT bench/bench_unwind_frames.c)
  target_compile_definitions(bench_frames_${variant} PRIVATE FRAMES_RUN=frames_${variant})
endforeach()
target_compile_options(bench_frames_without_fp PRIVATE -O2 -fomit-frame-pointer)
target_compile_options(bench_frames_with_fp PRIVATE -O2 -fno-omit-frame-pointer)
add_executable(bench_unwind bench/bench_unwind.c ${FR_UNWIND_SOURCES} ${CMAKE_SOURCE_DIR}/tracer/stack.c
  ${CMAKE_SOURCE_DIR}/tracer/stack_repeat.c)
target_include_directories(bench_unwind PRIVATE ${FR_TEST_LIB})
target_link_libraries(bench_unwind PRIVATE fr_flags bench_frames_without_fp bench_frames_with_fp Threads::Threads
  ${CMAKE_DL_LIBS})

# Agreement with libdw in real programs: bench/agree.sh runs it.
add_library(agree_sampler SHARED agree/agree_sampler.c ${FR_UNWIND_SOURCES})
target_link_libraries(agree_sampler PRIVATE fr_flags Threads::Threads ${CMAKE_DL_LIBS})
add_executable(agree_check agree/agree_check.c ${FR_UNWIND_SOURCES})
target_link_libraries(agree_check PRIVATE fr_flags PkgConfig::FR_DW)
add_executable(agree_throw agree/agree_throw.cc unit/unwind_busy.cc)
foreach(variant omit-frame-pointer no-omit-frame-pointer)
  add_executable(agree_${variant} agree/agree_compute.c)
  target_compile_options(agree_${variant} PRIVATE -O3 -f${variant})
  target_link_libraries(agree_${variant} PRIVATE m)
endforeach()

if(NOT FLIGHTREC_SANITIZE) # a sanitizer calls into its runtime from everywhere
  fr_e2e_test(e2e_signal_reach signal_reach.sh)
  fr_e2e_test(e2e_stress_unwind stress_unwind.sh)
  fr_e2e_test(e2e_stress_unwind_exit "stress_unwind.sh;exit")
endif()

if(NOT FLIGHTREC_SANITIZE) # whose runtimes have a dlopen() and a vfork() of their own
  enable_language(ASM)
  fr_unit_test(test_entries SOURCES ${CMAKE_SOURCE_DIR}/tracer/dlopen.S ${CMAKE_SOURCE_DIR}/tracer/vfork.S
    LIBS ${CMAKE_DL_LIBS})
endif()

# The walk and the assembly on aarch64: cross-compiled, run by qemu-user, once more with pointer authentication in the
# code.
find_program(FR_AARCH64_CC aarch64-linux-gnu-gcc)
find_program(FR_AARCH64_QEMU NAMES qemu-aarch64 qemu-aarch64-static)
function(fr_aarch64_test name variant) # sources…
  if(FR_AARCH64_CC AND FR_AARCH64_QEMU)
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/bin/${name}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/bin
      COMMAND ${FR_AARCH64_CC} -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter
        -fno-omit-frame-pointer -mbranch-protection=${variant} -I${CMAKE_SOURCE_DIR} -I${FR_TEST_LIB}
        ${ARGN} -o ${CMAKE_BINARY_DIR}/bin/${name} -lpthread -ldl
      WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
      DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/tracer/unwind_aarch64.h ${CMAKE_SOURCE_DIR}/tracer/unwind_cache.h
        ${CMAKE_SOURCE_DIR}/tracer/unwind_trail.h ${FR_TEST_LIB}/walk.h)
    add_custom_target(${name} ALL DEPENDS ${CMAKE_BINARY_DIR}/bin/${name})
    add_test(NAME ${name}
      COMMAND ${FR_AARCH64_QEMU} -cpu max -L /usr/aarch64-linux-gnu ${CMAKE_BINARY_DIR}/bin/${name})
  else()
    add_test(NAME ${name}
      COMMAND sh -c "echo '1..0 # skip aarch64-linux-gnu-gcc and qemu-aarch64 are not installed'; exit 77")
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS unit SKIP_RETURN_CODE 77)
endfunction()
foreach(variant none standard)
  fr_aarch64_test(test_unwind_aarch64_${variant} ${variant} unit/test_unwind_aarch64.c ${FR_UNWIND_SOURCES}
    ${CMAKE_SOURCE_DIR}/tracer/stack_repeat.c)
  fr_aarch64_test(test_entries_aarch64_${variant} ${variant} unit/test_entries.c
    ${CMAKE_SOURCE_DIR}/tracer/dlopen.S ${CMAKE_SOURCE_DIR}/tracer/vfork.S)
endforeach()
