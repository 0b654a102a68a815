/* SPDX-License-Identifier: MIT */
#include "recorder/sched_internal.h"

int sched_pack(struct sched *sched, uint64_t begin_ns, uint64_t end_ns,
	const struct ctf_clock *clock, const GPtrArray *processes, struct archive_out *out, int fd,
	struct sched_packed *packed_out)
{
	*packed_out = (struct sched_packed){ .step = FR_SCHED_NONE };
	return 0;
}
