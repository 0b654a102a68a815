/* SPDX-License-Identifier: MIT */
/* Sums of a profile that was read back, by the function its samples end in. */
#pragma once

#include <string.h>

#include "profile_read.h"

/* Name of the function at the leaf of sample `i`; "" without one. */
static inline const char *profile_leaf(const Perftools__Profiles__Profile *profile, size_t i)
{
	const Perftools__Profiles__Location *leaf =
		profile->location[profile->sample[i]->location_id[0] - 1];

	return leaf->n_line ? profile_text(profile,
				      profile->function[leaf->line[0]->function_id - 1]->name)
			    : "";
}

/* Value `i` of the samples whose leaf is in function `name`, summed; -1 without one. */
static inline int64_t profile_sum(
	const Perftools__Profiles__Profile *profile, const char *name, size_t i)
{
	int64_t sum = 0;
	int n = 0;

	for (size_t j = 0; j < profile->n_sample; j++)
		if (strcmp(profile_leaf(profile, j), name) == 0) {
			sum += profile->sample[j]->value[i];
			n++;
		}
	return n ? sum : -1;
}

/* Value `i` of all samples. */
static inline int64_t profile_total(const Perftools__Profiles__Profile *profile, size_t i)
{
	int64_t sum = 0;

	for (size_t j = 0; j < profile->n_sample; j++)
		sum += profile->sample[j]->value[i];
	return sum;
}

/* Text of the first label `key` of the sample whose leaf is in `name`; NULL without. */
static inline const char *profile_label_of(
	const Perftools__Profiles__Profile *profile, const char *name, const char *key)
{
	for (size_t j = 0; j < profile->n_sample; j++)
		for (size_t k = 0; k < profile->sample[j]->n_label; k++) {
			const Perftools__Profiles__Label *label = profile->sample[j]->label[k];
			if (strcmp(profile_leaf(profile, j), name) == 0 &&
				strcmp(profile_text(profile, label->key), key) == 0)
				return profile_text(profile, label->str);
		}
	return NULL;
}
