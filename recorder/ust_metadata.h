/* SPDX-License-Identifier: MIT */
/* LTTng's metadata file: unpacked to text, and the little that we need out of it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "recorder/ctf_writer.h"

/*
 * The text of a metadata file, which daemons write in packets and other tools as plain text. NULL when it is
 * neither or when it is cut before its first packet's end. The caller frees the string.
 */
GString *ust_metadata_text(const void *data, size_t n);

/* Reads the clock block. Returns 0, or -ENOENT when there is none that we understand. */
int ust_metadata_clock(const GString *text, struct ctf_clock *clock_out);

/* Replaces the offset in the clock block, so that all traces of one archive agree. */
void ust_metadata_set_offset(GString *text, const struct ctf_clock *clock);

/* Whether packet header and context have the layout of LTTng 2.13 that ust_streams.c reads. */
int ust_metadata_is_known(const GString *text);
