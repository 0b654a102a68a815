/* SPDX-License-Identifier: MIT */
#include "recorder/profile_kind.h"

#include <string.h>

const struct profile_kind *const profile_kinds[] = {
	&profile_kind_allocs,
	&profile_kind_block,
	&profile_kind_goroutine,
	&profile_kind_heap,
	&profile_kind_mutex,
	&profile_kind_thread,
	&profile_kind_threadcreate,
	NULL,
};

const struct profile_kind *profile_kind_find(const char *name)
{
	for (size_t i = 0; profile_kinds[i]; i++)
		if (strcmp(profile_kinds[i]->name, name) == 0)
			return profile_kinds[i];
	return NULL;
}
