/* SPDX-License-Identifier: MIT */
/*
 * Who of the program's processes is put on a CPU, taken off it and woken, by whom. The set of processes is started by the
 * recorder and follows fork() and exit by itself. Runs in the scheduler with interrupts off, so that each CPU's ring has one
 * writer at a time, and needs neither locks nor atomics.
 *
 * Only the members of kernel structures that are used are declared; where they lie is found when this is loaded (CO-RE).
 */
#include "sched_record.h"

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef signed long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

enum {
	BPF_ANY = 0,
	MAP_HASH = 1,	     /* BPF_MAP_TYPE_HASH */
	MAP_ARRAY = 2,	     /* BPF_MAP_TYPE_ARRAY */
	MAP_LRU_HASH = 9,    /* BPF_MAP_TYPE_LRU_HASH */
	MAP_MMAPABLE = 1024, /* BPF_F_MMAPABLE */
};

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define KERNEL __attribute__((preserve_access_index))

struct sched_entity {
	unsigned char
		sched_delayed; /* Linux 6.12: it waits, but is left in the queue for a while */
} KERNEL;

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
} KERNEL;

struct task_struct {
	int pid, tgid; /* as seen from the first pid namespace: thread and process id */
	int on_rq;
	struct sched_entity se;
	struct signal_struct *signal;
} KERNEL;

struct {
	__uint(type, MAP_ARRAY);
	__uint(map_flags, MAP_MMAPABLE);
	__uint(max_entries, 1); /* the recorder sets it: one for each CPU */
	__type(key, __u32);
	__type(value, struct sched_bpf_ring);
} rings SEC(".maps");

/* Process id → 1. */
struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, SCHED_BPF_PROCESSES);
	__type(key, __u32);
	__type(value, __u8);
} processes SEC(".maps");

struct {
	__uint(type, MAP_LRU_HASH);
	__uint(max_entries, SCHED_BPF_WAKERS);
	__type(key, __u32);
	__type(value, struct sched_bpf_waker);
} wakers SEC(".maps");

static __always_inline struct sched_bpf_ring *own_ring(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&rings, &cpu);
}

static __always_inline int is_ours(__u32 pid)
{
	return bpf_map_lookup_elem(&processes, &pid) != 0;
}

static __always_inline void write(struct sched_bpf_ring *ring, const struct task_struct *task,
	__u32 kind, __u32 waker_pid, __u32 waker_tid)
{
	__u64 at = ring->n_written;
	struct sched_bpf_record *record = &ring->records[at & (SCHED_BPF_RECORDS - 1)];

	record->ns = bpf_ktime_get_ns();
	record->pid = task->tgid;
	record->tid_kind = (__u32)task->pid | kind << 30;
	record->waker_pid = waker_pid;
	record->waker_tid = waker_tid;
	/* The reader leaves the newest one for later where stores may be seen in another order. */
	__asm__ volatile("" ::: "memory");
	*(volatile __u64 *)&ring->n_written = at + 1;
}

/* (bool preempt, prev, next, …). What is left in the queue could have run on, whatever the reason. */
SEC("tp_btf/sched_switch")
int on_switch(__u64 *args)
{
	struct task_struct *prev = (void *)args[1], *next = (void *)args[2];
	struct sched_bpf_ring *ring = own_ring();

	if (!ring)
		return 0;
	if (prev->pid && is_ours(prev->tgid)) {
		int is_ready = prev->on_rq != 0;

		if (bpf_core_field_exists(prev->se.sched_delayed) && prev->se.sched_delayed)
			is_ready = 0;
		write(ring, prev, is_ready ? 2 : 1, 0, 0);
	}
	if (next->pid && is_ours(next->tgid))
		write(ring, next, 0, 0, 0);
	return 0;
}

/* (task). A thread that wakes itself was not asleep. */
SEC("tp_btf/sched_waking")
int on_waking(__u64 *args)
{
	struct task_struct *task = (void *)args[0], *waker = (void *)bpf_get_current_task_btf();
	struct sched_bpf_ring *ring = own_ring();
	struct sched_bpf_waker name = { 0 }, *known;
	__u32 pid, tid;

	if (!ring || !is_ours(task->tgid) || task->pid == waker->pid)
		return 0;
	pid = waker->tgid;
	tid = waker->pid;
	if (!tid || ring->is_interrupted) {
		write(ring, task, 3, 0, 0);
		return 0;
	}
	if (!is_ours(pid)) {
		bpf_get_current_comm(name.comm, sizeof(name.comm));
		known = bpf_map_lookup_elem(&wakers, &tid);
		if (!known || known->comm[0] != name.comm[0] || known->comm[1] != name.comm[1])
			bpf_map_update_elem(&wakers, &tid, &name, BPF_ANY);
	}
	write(ring, task, 3, pid, tid);
	return 0;
}

/*
 * Whoever was interrupted woke nobody. The timer's interrupt on x86, those of devices everywhere: others wake nobody. A wake-up
 * from a soft interrupt is told of the thread that it ran on: over the loopback that is the sender.
 */
static __always_inline int set_interrupted(__u32 is_interrupted)
{
	struct sched_bpf_ring *ring = own_ring();

	if (ring)
		ring->is_interrupted = is_interrupted;
	return 0;
}

SEC("tp_btf/local_timer_entry")
int on_timer(__u64 *args)
{
	return set_interrupted(1);
}

SEC("tp_btf/local_timer_exit")
int on_timer_end(__u64 *args)
{
	return set_interrupted(0);
}

SEC("tp_btf/irq_handler_entry")
int on_device(__u64 *args)
{
	return set_interrupted(1);
}

SEC("tp_btf/irq_handler_exit")
int on_device_end(__u64 *args)
{
	return set_interrupted(0);
}

/* (parent, child). The child has not run yet. */
SEC("tp_btf/sched_process_fork")
int on_fork(__u64 *args)
{
	struct task_struct *parent = (void *)args[0], *child = (void *)args[1];
	__u32 pid = child->tgid;
	__u8 yes = 1;

	if (child->pid == child->tgid && is_ours(parent->tgid))
		bpf_map_update_elem(&processes, &pid, &yes, BPF_ANY);
	return 0;
}

/* (task, …). The last thread's end is the process's: its number may be given to another. */
SEC("tp_btf/sched_process_exit")
int on_exit(__u64 *args)
{
	struct task_struct *task = (void *)args[0];
	__u32 pid = task->tgid;

	if (task->signal->live.counter == 0 && is_ours(pid))
		bpf_map_delete_elem(&processes, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
