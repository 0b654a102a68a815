/* SPDX-License-Identifier: MIT */
/* Where every thread is now: asked, and put together from the answers and from what their slots say. */
#pragma once

#include <stdint.h>

#include <glib.h>

#include "recorder/orders.h"

/*
 * Asks the threads of all living `processes`, and keeps what each of them is found to do in the process, for
 * profile_process_threads(). Returns the number that fr_slot.dump_seq has in those that answered; 0: nobody was
 * asked. `orders` NULL: nobody can be. At most some 300 ms.
 */
uint32_t thread_ask(struct orders *orders, const GPtrArray *processes);
