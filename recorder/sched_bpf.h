/* SPDX-License-Identifier: MIT */
/* The highest step: a BPF program in the scheduler (bpf/sched.bpf.c), for all processes that come from one. One user at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "recorder/sched_history.h"

struct sched_bpf;

/* Called for each record; of one CPU in the order of time. */
typedef void (*sched_record_fn)(const struct sched_record *record, void *user);

/* Loads and starts it for `pid` and all who come from it. NULL, and the reason in *why_out (g_free): it is refused. */
struct sched_bpf *sched_bpf_new(pid_t pid, char **why_out);
void sched_bpf_free(struct sched_bpf *bpf);

/* Takes the program out of switches and wake-ups, or puts it back; processes are followed all the time. 0 or -errno. */
int sched_bpf_pause(struct sched_bpf *bpf);
int sched_bpf_resume(struct sched_bpf *bpf);

/* What reading the rings came to. */
struct sched_drained {
	uint64_t n_lost; /* records that were written over before they were read */
	double share;	 /* of the ring that was fullest */
};

/* Gives out what is new. */
struct sched_drained sched_bpf_drain(struct sched_bpf *bpf, sched_record_fn fn, void *user);

/* Name of a thread of another program that woke one of ours. False: not known. */
bool sched_bpf_waker(struct sched_bpf *bpf, uint32_t tid, char comm_out[16]);
