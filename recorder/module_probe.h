/* SPDX-License-Identifier: MIT */
/* Describes an object mapped into a living process that its blackbox does not list. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/blackbox.h"

struct procfs_mapping;

/*
 * Fills `module_out` from a mapping and from the ELF header in the process's memory (load bias, build-id).
 * Returns 0, or -errno when there is no ELF image or it may not be read; then base is a guess that holds
 * for position-independent files.
 */
int module_probe(pid_t pid, const struct procfs_mapping *mapping, struct fr_module *module_out);

/*
 * Finds the build-id among ELF notes. Copies it to build_id_out and returns its length; 0: none, or one of more than
 * `size` bytes.
 */
size_t module_build_id(const char *notes, size_t n, uint8_t *build_id_out, size_t size);
