/* SPDX-License-Identifier: MIT */
/* babeltrace2 event → struct event. With source.c the only user of libbabeltrace2. */
#pragma once

#include <babeltrace2/babeltrace.h>

#include "viewer/event.h"

struct decoder;

struct decoder *decoder_new(void);
void decoder_free(struct decoder *decoder);

/*
 * Fills *event_out from `message`, an event message whose clock counts nanoseconds. Returns 1, or 0 when the
 * event is none of ours (*event_out is then undefined). What it borrows is valid as long as the message
 * and until the next call. Fields are found by name once per event class and by index from then on,
 * so fields that a newer tracer added do no harm and missing ones read as 0 or "".
 */
int decoder_event(struct decoder *decoder, const bt_message *message, struct event *event_out);
