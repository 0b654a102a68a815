/* SPDX-License-Identifier: MIT */
/* What the life of the process needs of the user API (flightrec.h). */
#pragma once

/* The table of open tasks. 0 or -errno. Context: init. */
int user_init(void);

/* Tasks of the parent are not the child's. */
void user_after_fork(void);
