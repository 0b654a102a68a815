/* SPDX-License-Identifier: MIT */
#pragma once

/* Memory for what creators hand to new threads. 0 or -errno. Context: init. */
int hook_thread_init(void);
