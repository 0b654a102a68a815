/* SPDX-License-Identifier: MIT */
/* What the thread's life needs of the allocation sampler. */
#pragma once

struct fr_thread;

/* Draws the distance to the first sample of a thread. Context: its attachment. */
void alloc_thread_init(struct fr_thread *t);
