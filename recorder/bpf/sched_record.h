/* SPDX-License-Identifier: MIT */
/* What sched.bpf.c writes and sched_bpf.c reads. Included by both: plain types only. */
#pragma once

/* Of each CPU, a power of two: 768 KiB, 1.1 s at 10,000 switches a second, each with a wake-up. */
#define SCHED_BPF_RECORDS (1u << 15)
#define SCHED_BPF_PROCESSES 16384u
#define SCHED_BPF_WAKERS 4096u

/* 24 bytes. */
struct sched_bpf_record {
	unsigned long long ns;	    /* CLOCK_MONOTONIC */
	unsigned int pid, tid_kind; /* tid | kind << 30: ids end at 2^22 */
	unsigned int waker_pid, waker_tid;
};

/* One element of the map `rings` for each CPU. The newest records stay, the oldest are written over. */
struct sched_bpf_ring {
	unsigned long long n_written; /* after the record */
	unsigned long long is_interrupted;
	struct sched_bpf_record records[SCHED_BPF_RECORDS];
};

/* Value of the map `wakers` (by tid): threads of other programs that woke one of ours. */
struct sched_bpf_waker {
	unsigned long long comm[2]; /* 16 characters */
};
