/* SPDX-License-Identifier: MIT */
/* Label sets: their text, and their table in the blackbox. */
#include <pthread.h>
#include <stdlib.h>

#include "check.h"
#include "own_blackbox.h"
#include "tracer/labels.h"

static void pairs_are_added(void)
{
	char set[LABELS_SIZE], next[LABELS_SIZE];

	CHECK_INT(labels_add(set, "", "route", "/cart"), 0);
	CHECK_STR(set, "route=/cart");
	CHECK_INT(labels_add(next, set, "user", "ann"), 0);
	CHECK_STR(next, "route=/cart,user=ann");
	CHECK_INT(labels_add(set, next, "route", "/pay"), 0);
	CHECK_STR(set, "user=ann,route=/pay");
	CHECK_INT(labels_add(next, set, "use", "x"),
		0); /* no key is taken for one that begins alike */
	CHECK_STR(next, "user=ann,route=/pay,use=x");
	CHECK_INT(labels_add(next, set, "user", NULL), 0);
	CHECK_STR(next, "route=/pay,user=");
	CHECK_INT(labels_add(next, set, "", "x"), -1);
}

static void odd_characters_come_back(void)
{
	char set[LABELS_SIZE], next[LABELS_SIZE], key[LABELS_SIZE], value[LABELS_SIZE];
	const char *rest;

	CHECK_INT(labels_add(set, "", "a,b=c", "1=2,3\\"), 0);
	CHECK_INT(labels_add(next, set, "z", ""), 0);
	rest = labels_next(next, key, value);
	CHECK_STR(key, "a,b=c");
	CHECK_STR(value, "1=2,3\\");
	rest = labels_next(rest, key, value);
	CHECK_STR(key, "z");
	CHECK_STR(value, "");
	CHECK(labels_next(rest, key, value) == NULL);
	/* Given again, the odd key is found. */
	CHECK_INT(labels_add(set, next, "a,b=c", "new"), 0);
	CHECK_STR(set, "z=,a\\,b\\=c=new");
}

static void what_does_not_fit_is_refused(void)
{
	char set[LABELS_SIZE], next[LABELS_SIZE], text[200];

	for (size_t n = 1; n < sizeof(text); n++) {
		memset(text, 'v', n);
		text[n] = '\0';
		CHECK_INT(labels_add(set, "", "k", text), n <= LABELS_SIZE - 3 ? 0 : -1);
		if (n > LABELS_SIZE - 3)
			break;
		CHECK_INT(strlen(set), n + 2);
	}
	CHECK_INT(labels_add(set, "", "k", "0123456789"), 0);
	text[LABELS_SIZE - 3 - 13] = '\0';
	CHECK_INT(labels_add(next, set, "l", text), 0);
	CHECK_INT(strlen(next), LABELS_SIZE - 1);
	CHECK_INT(labels_add(set, next, "m", ""), -1);
}

static void a_set_has_one_id(void)
{
	uint32_t a, b;

	CHECK_INT(labels_intern(""), 0);
	a = labels_intern("k=a");
	b = labels_intern("k=b");
	CHECK(a != 0 && b != 0 && a != b);
	CHECK_INT(labels_intern("k=a"), a);
	CHECK_STR(labels_text(a), "k=a");
	CHECK_STR(labels_text(b), "k=b");
	CHECK(labels_text(0) == NULL);
	CHECK(labels_text(FR_BB_MAX_LABELS + 1) == NULL);
	CHECK(labels_text(UINT32_MAX) == NULL);
}

static void *intern_same(void *arg)
{
	uint32_t *ids = arg;

	for (unsigned i = 0; i < 500; i++) {
		char text[40];

		snprintf(text, sizeof(text), "thread=same,n=%u", i);
		ids[i] = labels_intern(text);
	}
	return NULL;
}

static void threads_agree(void)
{
	static uint32_t ids[4][500];
	pthread_t threads[4];
	unsigned n_wrong = 0;

	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, intern_same, ids[i]);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	/* Two that race may make two entries; each must say what it was made for. */
	for (unsigned i = 0; i < 500; i++) {
		char text[40];

		snprintf(text, sizeof(text), "thread=same,n=%u", i);
		for (unsigned j = 0; j < 4; j++)
			n_wrong += !ids[j][i] || strcmp(labels_text(ids[j][i]), text) != 0;
	}
	CHECK_INT(n_wrong, 0);
}

static void a_full_table_is_counted(void)
{
	unsigned n = 0, n_lost = 0;

	for (unsigned i = 0; i < 3000; i++) {
		char text[40];

		snprintf(text, sizeof(text), "request=%u", i);
		if (labels_intern(text))
			n++;
		else
			n_lost++;
	}
	CHECK(n <= FR_BB_MAX_LABELS && n > 1000);
	CHECK_INT(fr_blackbox->counters.labels_overflow, n_lost);
	CHECK(labels_intern("k=a") != 0); /* those that were there stay */
}

int main(void)
{
	if (!own_blackbox_open("test_labels"))
		return 1;
	CASE(pairs_are_added, "a set grows by pairs; a key given again is replaced");
	CASE(odd_characters_come_back, "commas, equals signs and backslashes survive");
	CASE(what_does_not_fit_is_refused, "what does not fit is refused, what just fits is not");
	CASE(a_set_has_one_id, "a set has one id, and its text");
	CASE(threads_agree, "threads that intern at once agree");
	CASE(a_full_table_is_counted, "what has no room is counted");
	return CHECK_DONE();
}
