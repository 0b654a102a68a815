/* SPDX-License-Identifier: MIT */
/* A thread's labels as events carry them: `k=v,k2=v2`, with '\', ',' and '=' escaped by a '\'. */
#pragma once

#include <glib.h>

/*
 * The first pair of `set`, unescaped; returns where the next one begins, NULL when there was none.
 */
const char *label_set_next(const char *set, GString *key_out, GString *value_out);

/* Whether `set` has the label; value NULL: any. */
int label_set_has(const char *set, const char *key, const char *value);
