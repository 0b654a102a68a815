/* SPDX-License-Identifier: MIT */
/* What profiles.c, profiles_cpu.c and delta.c share. */
#pragma once

#include "common/symbol_cache.h"
#include "recorder/orders.h"
#include "recorder/profile_build.h"
#include "recorder/profile_kind.h"
#include "recorder/profiles.h"

struct cpu_perf;
struct profile_tags;

/* The CPU profile under way. */
struct profiles_cpu {
	GMutex lock;			     /* is_on, note */
	bool is_on;			     /* the rest belongs to whom it was given */
	unsigned hz;			     /* 0: of the perf engine alone */
	struct profile_rows *before;	     /* owned; ticks when it began */
	uint64_t lost_before, failed_before; /* samples, timers */
	uint64_t begin_ns;
	int64_t begin_real_ns;
	struct cpu_perf *perf;		/* NULL: by signal alone */
	struct profile_tags *perf_tags; /* owned; with perf */
	char *note;			/* owned; of the last one */
};

struct profiles {
	char *rundir;		    /* owned; NULL: nothing is traced */
	struct fr_control *control; /* borrowed */
	struct orders *orders;	    /* owned */
	struct symbol_cache *cache; /* borrowed */
	struct profile_rows *sizes; /* owned; of profile_build; guarded by `building` */
	/* Held while a profile is put together: bounds the memory that requests need together. */
	GMutex building;
	GMutex lock;	      /* cmdlines */
	GHashTable *cmdlines; /* process id → GByteArray, owned */
	size_t cmdline_bytes;
	enum profiles_engine engine;
	struct profiles_cpu cpu;
};

/*
 * The processes that a query is about. PROFILES_E_NO_PROCESS, with a sentence, when it names one that is not traced.
 */
int profiles_open(struct profiles *profiles, pid_t pid, GPtrArray **processes_out, char **why_out);

/* The kind called `name`, custom ones into *space. NULL: none. */
const struct profile_kind *profiles_kind(struct profiles *profiles, const char *name,
	const GPtrArray *processes, struct profile_kind *space);

/* The period of a profile of this kind. */
uint64_t profiles_period(const struct profiles *profiles, const struct profile_kind *kind,
	const GPtrArray *processes);

/* Builds and packs. */
GByteArray *profiles_pack(struct profiles *profiles, const struct profile_build *build);

/* Builds and writes as text. */
GByteArray *profiles_write_text(struct profiles *profiles, const struct profile_build *build);

/* Why the process takes no CPU samples by signal, as the end of a sentence ("it …"); NULL: it does. Static. */
const char *profiles_cpu_refusal(const struct profile_process *process);

/* Wall clock, ns since 1970. */
int64_t profiles_now_real(void);

/* For profiles_free(). */
void profiles_cpu_init(struct profiles_cpu *cpu);
void profiles_cpu_fini(struct profiles *profiles);
