/* SPDX-License-Identifier: MIT */
/* Orders to the tracer's thread in each traced process: see proto/control.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "proto/control.h"

struct orders;

/* `control` is the page that the programs map; borrowed. All functions below may be called from any thread. */
struct orders *orders_new(struct fr_control *control);
void orders_free(struct orders *orders);

/*
 * Sets the rate of the CPU timers, 0: the one that control had when this was made, and tells everybody. Waits until the living ones of `processes` (struct
 * profile_process) have done it, at most some 150 ms. Returns how many have not.
 */
unsigned orders_cpu(struct orders *orders, uint32_t hz, const GPtrArray *processes);

/*
 * Has every running thread of `processes` write down where it is. Returns the number by which slots say that they
 * answered (fr_slot.dump_seq). Questions that come together are one.
 */
uint32_t orders_dump(struct orders *orders, const GPtrArray *processes);
