/* SPDX-License-Identifier: MIT */
/* The table of label sets in the blackbox: text → id; and their text, "k=v,k2=v2" with '\', ',' and '=' escaped by '\'. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/blackbox.h"

/* Bytes of a set's text, its final 0 included. */
#define LABELS_SIZE (sizeof(((struct fr_slot *)0)->labels))

/*
 * The id of a set, made when it is new; 0 for the empty set, and when the table has no room near its place
 * (counted). Lock-free; an id keeps its meaning until the process's end. Context: hook | signal.
 */
uint32_t labels_intern(const char *text);

/* The text of an id; NULL when there is no such set. Lives as long as the process. Context: any, while fr_on. */
const char *labels_text(uint32_t id);

/*
 * Writes to `out` the set `before` with key=value added; an older value of the key goes. 0, or -1 when it does not fit in
 * LABELS_SIZE or the key is empty; then `out` is undefined.
 */
int labels_add(char out[LABELS_SIZE], const char *before, const char *key, const char *value);

/*
 * Takes the first pair off a set: its key and value, unescaped, into buffers of LABELS_SIZE. Returns what follows, or
 * NULL when the set was empty.
 */
const char *labels_next(const char *set, char key[LABELS_SIZE], char value[LABELS_SIZE]);
