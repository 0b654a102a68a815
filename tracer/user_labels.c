/* SPDX-License-Identifier: MIT */
/*
 * Labels of threads. Each thread has a small stack of sets, of which the last one counts; a set is its text, and the id
 * under which the table of the blackbox has it.
 */
#include <string.h>

#include "tracer/flightrec.h"
#include "tracer/labels.h"
#include "tracer/thread.h"
#include "tracer/user_entry.h"

/* The current set has changed: slot and event. */
static void changed(struct user_entry *entry, uintptr_t frame)
{
	const struct fr_private *private = entry->t->private;
	const char *labels = private->labels[private->n_labels];
	struct fr_event_user e = { .text = labels[0] ? labels : "-" };

	thread_set_labels(entry->t, labels, private->labels_id[private->n_labels]);
	USER_EMIT(entry, label, &e, frame);
}

FR_EXPORT int flightrec_label_push(const char *key, const char *value)
{
	struct fr_private *private;
	struct user_entry entry;
	int depth = -1;

	if (!key || !user_enter(&entry, FR_FRAME()))
		return -1;
	private = entry.t->private;
	if (private && private->n_labels < FR_LABEL_DEPTH &&
		labels_add(private->labels[private->n_labels + 1],
			private->labels[private->n_labels], key, value) == 0) {
		depth = (int)private->n_labels++;
		private->labels_id[depth + 1] = labels_intern(private->labels[depth + 1]);
		changed(&entry, FR_FRAME());
	}
	user_leave(&entry);
	return depth;
}

FR_EXPORT void flightrec_label_pop(int depth)
{
	struct fr_private *private;
	struct user_entry entry;

	if (depth < 0 || !user_enter(&entry, FR_FRAME()))
		return;
	private = entry.t->private;
	if (private && (uint32_t)depth < private->n_labels) {
		private->n_labels = (uint32_t)depth;
		changed(&entry, FR_FRAME());
	}
	user_leave(&entry);
}

/* An id means something in this process only: a child of fork has a table of its own. */
static flightrec_labels_t handle_of(uint32_t id)
{
	return id ? (uint64_t)fr_proc << 32 | id : 0;
}

FR_EXPORT flightrec_labels_t flightrec_labels_get(void)
{
	const struct fr_private *private;
	struct user_entry entry;
	uint32_t id;

	if (!user_enter(&entry, FR_FRAME()))
		return 0;
	private = entry.t->private;
	id = private ? private->labels_id[private->n_labels] : 0;
	user_leave(&entry);
	return handle_of(id);
}

FR_EXPORT flightrec_labels_t flightrec_labels_set(flightrec_labels_t labels)
{
	struct fr_private *private;
	struct user_entry entry;
	const char *text = NULL;
	uint32_t before = 0;

	if (!user_enter(&entry, FR_FRAME()))
		return 0;
	if (labels >> 32 == fr_proc)
		text = labels_text((uint32_t)labels);
	private = entry.t->private;
	if (private) {
		uint32_t *id = &private->labels_id[private->n_labels];

		before = *id;
		*id = text ? (uint32_t)labels : 0;
		memcpy(private->labels[private->n_labels], text ? text : "",
			text ? LABELS_SIZE : 1);
		changed(&entry, FR_FRAME());
	}
	user_leave(&entry);
	return handle_of(before);
}

FR_EXPORT void flightrec_label_clear(void)
{
	flightrec_labels_set(0);
}

/* Copies the calling thread's set, so that nothing of ours is held while the program's code runs. */
static int copy_current(char out[LABELS_SIZE], uintptr_t frame)
{
	const struct fr_private *private;
	struct user_entry entry;

	if (!user_enter(&entry, frame))
		return -1;
	private = entry.t->private;
	if (private)
		memcpy(out, private->labels[private->n_labels], LABELS_SIZE);
	else
		out[0] = '\0';
	user_leave(&entry);
	return 0;
}

FR_EXPORT int flightrec_label_get(const char *key, char *value_out, size_t size)
{
	char set[LABELS_SIZE], one[LABELS_SIZE], value[LABELS_SIZE];
	const char *rest = set;

	if (!key || copy_current(set, FR_FRAME()) < 0)
		return -1;
	while ((rest = labels_next(rest, one, value))) {
		size_t n = strlen(value);

		if (strcmp(one, key) != 0)
			continue;
		if (size) {
			size_t n_kept = n < size ? n : size - 1;

			memcpy(value_out, value, n_kept);
			value_out[n_kept] = '\0';
		}
		return (int)n;
	}
	return -1;
}

FR_EXPORT int flightrec_label_each(
	int (*each)(void *argument, const char *key, const char *value), void *argument)
{
	char set[LABELS_SIZE], key[LABELS_SIZE], value[LABELS_SIZE];
	const char *rest = set;
	int ret = 0;

	if (copy_current(set, FR_FRAME()) < 0)
		return 0;
	while (ret == 0 && (rest = labels_next(rest, key, value)))
		ret = each(argument, key, value);
	return ret;
}
