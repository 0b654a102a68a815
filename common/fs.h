/* SPDX-License-Identifier: MIT */
/* Files and folders: whole-file writing, removal, sizes, search. Errors are -errno. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all of `data`, retrying short writes. */
int fs_write_all(int fd, const void *data, size_t n);

/*
 * Writes a file so that other programs see all of it or nothing: a temporary name in the same folder,
 * then rename. `mode` is subject to the umask.
 */
int fs_write_atomic(const char *path, const void *data, size_t n, mode_t mode);

/*
 * Removes a file or a whole folder, following no symbolic link. A path that does not exist is fine.
 * Goes on after a failure and returns the first error.
 */
int fs_remove_tree(const char *path);

/* Sum of the sizes of all regular files below `path`, in bytes; 0 when it does not exist. */
uint64_t fs_tree_bytes(const char *path);

/* Bytes that an ordinary process can still write to the file system of `path`; UINT64_MAX if unknown. */
uint64_t fs_free_bytes(const char *path);

/*
 * The absolute or relative path of the file that execvp() would start for `name`. PATH is searched
 * when `name` has no slash. Returns 0 and a string to g_free(), -ENOENT, or -EACCES when a file
 * is there but is not executable.
 */
int fs_find_program(const char *name, char **path_out);

/* Makes a rename or creation in the folder of `path` durable. */
int fs_sync_folder_of(const char *path);

/* `path` made absolute against the working directory; to g_free(). Symbolic links stay. */
char *fs_absolute(const char *path);
