# SPDX-License-Identifier: MIT
# Compiler flags that every target of ours shares: link against `fr_flags`.
add_library(fr_flags INTERFACE)
target_include_directories(fr_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(fr_flags INTERFACE _GNU_SOURCE FLIGHTREC_VERSION="${PROJECT_VERSION}")
target_compile_options(fr_flags INTERFACE
  -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wundef -Wno-unused-parameter
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  -fno-omit-frame-pointer -fvisibility=hidden)
if(FLIGHTREC_WERROR)
  target_compile_options(fr_flags INTERFACE -Werror)
endif()
if(FLIGHTREC_SANITIZE)
  target_compile_options(fr_flags INTERFACE -fsanitize=${FLIGHTREC_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(fr_flags INTERFACE -fsanitize=${FLIGHTREC_SANITIZE})
endif()
