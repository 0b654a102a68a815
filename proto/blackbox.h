/* SPDX-License-Identifier: MIT */
/*
 * The blackbox: state of one traced process in a shared file, RUNDIR/blackbox/NNNNN, written by the
 * tracer alone and read by the recorder at any moment, also after SIGKILL. Host byte order, same
 * machine only. A reader uses pread(): the file has holes, and to touch one through a mapping would allocate it. Every region starts at the offset the header names; a reader checks each against
 * the file's size and trusts no count without a bound.
 *
 * Concurrency: a thread slot has one writer and a sequence number (odd while it is written). Stacks
 * are published by one 64-bit store into the index after the record is complete. Counters are
 * plain 64-bit words that only grow.
 */
#pragma once

#include <stdint.h>

#define FR_BLACKBOX_MAGIC 0x31584f424b434c42ull /* "BLCKBOX1" */
#define FR_BLACKBOX_VERSION 3

/* Regions. Fixed sizes: the file is sparse, only what is touched takes memory. */
#define FR_BB_MAX_THREADS 4096
#define FR_BB_MAX_MODULES 1024
#define FR_BB_STACK_INDEX 32768u      /* entries, power of two */
#define FR_BB_STACK_ARENA (32u << 20) /* bytes */
#define FR_BB_MAX_LIVE 65536u	      /* sampled live objects, power of two */
#define FR_BB_MAX_LABELS 2048u	      /* distinct label sets */
#define FR_BB_MAX_CUSTOM 64u	      /* profiles that the program made itself */
#define FR_BB_MAX_CUSTOM_LIVE 16384u  /* entries of all of these, power of two */
#define FR_BB_SAMPLES 131072u	      /* newest CPU samples, power of two */
#define FR_BB_TRIGGERS 16u	      /* newest triggers, power of two */

enum fr_process_state {
	FR_PROCESS_STARTING = 0,
	FR_PROCESS_RUNNING = 1,
	FR_PROCESS_EXITED = 2, /* exit() ran our destructor */
	FR_PROCESS_EXECED = 3, /* replaced its image; a new file describes the new one */
	FR_PROCESS_OFF = 4,    /* the tracer gave up; `why` says so */
	FR_PROCESS_KILLED = 5, /* gone without exit(): only the recorder says so, in a trace */
};

/*
 * What a process counted. X(field, text for people). All are totals since its start. The unwind_* ones are laid
 * out as struct unwind_stats of the tracer, which counts walks that really happened: not those a repeated stack saved.
 */
#define FR_COUNTER_TABLE(X)                                                                        \
	X(locks_free, "lock operations that did not wait")                                         \
	X(locks_waited, "lock operations that waited")                                             \
	X(locks_short, "lock waits below the threshold, not recorded")                             \
	X(syscalls, "system calls made through libc")                                              \
	X(syscalls_short, "system calls below the threshold, counted but not recorded")            \
	X(allocs, "allocations sampled")                                                           \
	X(frees, "frees of sampled allocations")                                                   \
	X(live_overflow, "sampled allocations whose free is not followed (table full)")            \
	X(stacks, "distinct stacks kept")                                                          \
	X(stacks_overflow, "stacks lost because the stack table was full")                         \
	X(stacks_cut, "stacks cut at the depth limit")                                             \
	X(stacks_broken, "stacks whose walk stopped early")                                        \
	X(threads_overflow, "threads without a slot (table full)")                                 \
	X(modules_overflow, "modules without an entry (table full)")                               \
	X(waiters_overflow, "lock waits without a holder (wait table full)")                       \
	X(nested, "calls inside the tracer's own work, passed through")                            \
	X(regions_misnested, "regions ended out of order, dropped")                                \
	X(tasks_overflow, "tasks beyond the table of open tasks")                                  \
	X(forks_raw, "children of raw clone or _Fork, left untraced")                              \
	X(events, "events handed to the ring")                                                     \
	X(repeat_hits, "stacks known from the words they rest on, without a walk")                 \
	X(repeat_misses, "stacks walked")                                                          \
	X(unwind_misses, "unwind rules looked up in the tables of a module")                       \
	X(unwind_guesses, "stacks that rest on a frame pointer where there was no unwind rule")    \
	X(unwind_probed, "stacks walked on a stack of unknown bounds (coroutines, signal stacks)") \
	X(unwind_end_context, "stacks that ended at the start of a makecontext coroutine")         \
	X(unwind_end_loader, "stacks that ended in the start code of the loader")                  \
	X(unwind_end_zero, "stacks that ended at a return address of 0")                           \
	X(unwind_end_depth, "stacks that ended at the depth limit")                                \
	X(unwind_end_no_object, "stacks broken: code in no module and no frame pointer")           \
	X(unwind_end_no_rule, "stacks broken: code without unwind table and no frame pointer")     \
	X(unwind_end_bad_table, "stacks broken: unwind table damaged or of an unknown kind")       \
	X(unwind_end_long_table, "stacks broken: unwind table entry longer than the limit")        \
	X(unwind_end_closing, "stacks broken: rule not known while a module was being unloaded")   \
	X(unwind_end_bounds, "stacks broken: frame outside the stack")                             \
	X(unwind_end_unreadable, "stacks broken: frame in memory that cannot be read")             \
	X(unwind_end_order, "stacks broken: frame not above the one before, or not aligned")       \
	X(unwind_end_pc, "stacks broken: return address outside user memory")                      \
	X(unwind_end_register, "stacks broken: unwind rule of a register that is not known")       \
	X(unwind_end_expression,                                                                   \
		"stacks broken: unwind rule with an operator that is not supported")               \
	X(buckets_overflow, "samples lost because a profile's table was full")                     \
	X(labels_overflow, "label sets without an entry (table full): samples without labels")     \
	X(custom_overflow, "entries of the program's own profiles without room")                   \
	X(cpu_ticks, "CPU samples taken, missed ticks included")                                   \
	X(cpu_missed, "ticks of CPU timers that came together with another one")                   \
	X(cpu_lost, "CPU samples without a stack: thread not traced, or no room")                  \
	X(cpu_own, "CPU samples inside the tracer's own work: its measured cost")                  \
	X(cpu_timers_failed, "threads without a CPU timer (the kernel refused one)")               \
	X(block_ns, "time waited for locks, ns")                                                   \
	X(threads_created, "threads that were created")                                            \
	X(channels_overflow, "pipes, sockets and epoll watches that are not followed (no room)")   \
	X(triggers_skipped, "triggers less than 1 ms after another one, dropped")

struct fr_counters {
#define FR_X(field, text) uint64_t field;
	FR_COUNTER_TABLE(FR_X)
#undef FR_X
};

/*
 * Totals per libc call, exact whether or not its events were recorded: FR_BB_CALL_SHARDS arrays of
 * FR_BB_MAX_CALLS at off_calls, which a reader adds up. Index: enum fr_call. The first FR_BB_CALL_SHARED are
 * for threads that have none of their own.
 */
struct fr_call_total {
	uint64_t n, n_short; /* n_short of n were below the threshold and have no event */
	uint64_t dur_ns, short_ns;
	uint64_t bytes; /* sum of positive results of read- and write-like calls */
};
#define FR_BB_MAX_CALLS 256
#define FR_BB_CALL_SHARDS 64
#define FR_BB_CALL_SHARED 4

struct fr_slot {
	uint32_t seq;	   /* odd while the owner writes; a reader retries */
	uint32_t tid;	   /* 0: never used */
	uint32_t state;	   /* enum fr_state */
	uint32_t call;	   /* enum fr_call while inside one; else 0 */
	uint64_t since_ns; /* CLOCK_MONOTONIC, when `state` began; 0 while running */
	uint64_t obj;	   /* address of the lock, or an argument of the call */
	int32_t fd;	   /* -1: none */
	uint32_t holder;   /* tid that held the lock when the wait began; 0 unknown */
	uint32_t stack;	   /* stack of the current wait or call */
	uint32_t creator;  /* tid of the creating thread; 0 for the first one */
	uint32_t creator_stack;
	uint32_t is_exited;
	uint32_t labels_id; /* of `labels` in the table at off_labels; 0: none, or no room there */
	uint32_t
		dump_seq; /* the last fr_control.dump_seq that this thread answered; written last (release) */
	uint32_t dump_stack; /* where it was then, FR_STACK_NONE: not known */
	uint32_t lock;	     /* while it waits for one: enum fr_lock + 1; else 0 */
	uint64_t start_ns, end_ns;
	uint64_t start_routine; /* address; 0 for the first thread */
	uint64_t task;		/* current user task */
	uint64_t cpu_ns;	/* CPU time at thread exit */
	/* This thread's share of the counters of the same name: written by the owner, without atomics.
	 * A total is the header's counter plus these of all slots. */
	uint64_t locks_free, syscalls, syscalls_short, events, repeat_hits, repeat_misses;
	char name[16];
	char labels[160]; /* "k=v,k2=v2", cut to fit at a pair's boundary */
};

struct fr_module {
	uint32_t seq; /* odd while written */
	uint32_t n_build_id;
	uint8_t build_id[32];
	uint64_t base;		     /* load bias: address minus the ELF file's virtual address */
	uint64_t start, end;	     /* executable range mapped */
	uint64_t file_offset;	     /* of `start` */
	uint64_t load_ns, unload_ns; /* CLOCK_MONOTONIC; unload 0 while mapped */
	char path[416];
};

/*
 * A live sampled object. addr 0: empty; 1: removed; 2: being written. One that the program told of itself
 * (flightrec_alloc) has FR_LIVE_USER set, since it may begin where a block of malloc does.
 */
#define FR_LIVE_USER (1ull << 63)
struct fr_live {
	uint64_t addr;
	uint64_t size;
	uint64_t time_ns;
	uint32_t stack;
	uint32_t tid;
	uint32_t bucket; /* its entry in the table FR_BUCKET_HEAP; FR_BUCKET_OVERFLOW: none */
	uint32_t pad;
};

/*
 * The sampled profiles: a table of buckets per kind, totals since the start of the process that only grow.
 * Open addressing with linear probing from the low bits of the hash; at most FR_BUCKET_PROBES steps, what
 * finds no place is counted (buckets_overflow). A bucket's tag goes EMPTY -> WRITING -> its hash and is stored
 * last, with release; one that was left WRITING (its writer died, or was interrupted by a handler that needed the
 * same) is skipped. So the same key may have two buckets: a reader adds them up.
 */
enum fr_bucket_kind {
	FR_BUCKET_CPU = 0, /* key: id of the label set. value: ticks, ns */
	/*
	 * key: size asked for, above 128 bytes rounded up to one of 8 classes per doubling; rate. value: objects and
	 * bytes (exact) allocated, freed; unscaled
	 */
	FR_BUCKET_HEAP,
	FR_BUCKET_BLOCK, /* stack of the waiter. value: waits in 1/FR_BUCKET_FRACTION, ns; scaled (3.6 of pprof's rules) */
	/*
	 * Stack that let go, FR_STACK_NONE: not known. value: as BLOCK, scaled by the fraction. A wait's time is shared by
	 * all who let go while it lasted, its count is on the one that ended it: so there is time without a count.
	 */
	FR_BUCKET_MUTEX,
	FR_BUCKET_THREAD, /* stack of the creator. value: threads */
	FR_BUCKET_N_KINDS,
};

#define FR_BUCKET_EMPTY 0
#define FR_BUCKET_WRITING 1 /* hashes are 2 and more */
#define FR_BUCKET_PROBES 64
#define FR_BUCKET_FRACTION 1024 /* a short wait that was sampled counts as rate / wait waits */
#define FR_BUCKET_OVERFLOW UINT32_MAX

/* Buckets per kind, powers of two: X(kind, number). */
#define FR_BUCKET_TABLE(X)        \
	X(FR_BUCKET_CPU, 16384u)  \
	X(FR_BUCKET_HEAP, 32768u) \
	X(FR_BUCKET_BLOCK, 8192u) \
	X(FR_BUCKET_MUTEX, 8192u) \
	X(FR_BUCKET_THREAD, 1024u)

/* Buckets in the table of a kind; 0 for what is no kind. */
static inline uint32_t fr_bucket_number(unsigned kind)
{
	static const uint32_t numbers[FR_BUCKET_N_KINDS] = {
#define FR_X(kind, number) [kind] = (number),
		FR_BUCKET_TABLE(FR_X)
#undef FR_X
	};

	return kind < FR_BUCKET_N_KINDS ? numbers[kind] : 0;
}

struct fr_bucket {
	uint64_t tag;
	uint32_t kind, stack; /* stack: FR_STACK_NONE and FR_STACK_OVERFLOW, too */
	uint64_t key;
	uint64_t
		rate; /* HEAP: mean bytes between samples at the time; so a changed rate falsifies nothing */
	uint64_t value[4];
};

/* A label set, id 1..FR_BB_MAX_LABELS at off_labels + (id - 1): text as in fr_slot. Never changed once set. */
struct fr_label_set {
	uint64_t hash; /* 0: unused; 1: being written; stored last, with release */
	char text[160];
};

/* A profile that the program made itself (flightrec_profile_new). */
struct fr_custom {
	uint32_t state; /* 0: unused, 1: being written, 2: there */
	uint32_t pad;
	uint64_t n_entries;
	char name[64];
};

/* Its entries. key 0 with state 0: empty; tag as fr_live.addr: 0 empty, 1 removed, 2 being written. */
struct fr_custom_entry {
	uint64_t tag;	  /* hash of profile and key */
	uint64_t key;	  /* the pointer that the program gave */
	uint32_t profile; /* index of the fr_custom */
	uint32_t stack;
};

/* Why the tracer takes no CPU samples by signal; enum in the header's cpu_refusal. */
enum fr_cpu_refusal {
	FR_CPU_OK = 0,
	FR_CPU_SIGPROF_TAKEN = 1, /* the program handles SIGPROF itself */
	FR_CPU_NO_TIMERS = 2,	  /* the kernel gave no timer to any thread */
	FR_CPU_NO_HELPER = 3,	  /* the tracer's own thread could not be started */
};

/*
 * CPU samples in the order of time, the newest FR_BB_SAMPLES: sample number n (from 0) is at n % FR_BB_SAMPLES, the next
 * number is fr_blackbox.samples_next. `seq` is n + 1 and stored last, with release; 0 while it is written. A reader
 * that finds another number has been overtaken.
 */
struct fr_cpu_sample {
	uint64_t seq;
	uint64_t time_ns;   /* CLOCK_MONOTONIC */
	uint64_t weight_ns; /* CPU time that it stands for, missed ticks included */
	uint32_t tid, stack;
	uint32_t labels_id; /* as fr_slot's */
	uint32_t pad;
};

/*
 * What made the program ask for a snapshot, the newest FR_BB_TRIGGERS, numbered as the samples are: next number
 * fr_blackbox.triggers_next. The writer also adds 1 to trigger_word and wakes those who wait for it (shared futex).
 */
struct fr_trigger {
	uint64_t seq;
	uint64_t time_ns;
	uint64_t value, limit; /* ns; 0 where there is none */
	uint64_t obj;	       /* the lock; id of the task */
	uint32_t kind;	       /* enum fr_trigger_kind */
	uint32_t tid, stack;
	uint32_t call;	 /* enum fr_call, of CALL; enum fr_lock, of LOCK */
	char reason[96]; /* type of the region or task, or what the program said */
};

/* How the process ended by itself; written just before. */
enum fr_exit_kind {
	FR_EXIT_UNKNOWN = 0,
	FR_EXIT_NORMAL = 1, /* exit(), or main() returned */
	FR_EXIT_DIRECT =
		2, /* _exit(), _Exit(), quick_exit(): nothing that was registered with exit() ran */
};

/* fr_slot.dump_seq of a thread that was asked when another one crashed. */
#define FR_DUMP_CRASH UINT32_MAX

/*
 * A signal that kills came to a thread whose program has left it to its default. The thread writes this and lets the
 * signal do what it would have done. Registers in the order of the kernel's gregs (x86-64), x0..x30 sp pc pstate (aarch64).
 */
#define FR_CRASH_REGS 34
#define FR_CRASH_STACK_BYTES 8192
struct fr_crash {
	uint32_t state; /* 0 none, 1 being written, 2 complete; stored last, with release */
	uint32_t signal;
	int32_t code, error; /* si_code, si_errno */
	uint32_t tid, stack;
	uint32_t sender_pid, sender_uid; /* of one that was sent */
	uint64_t time_ns;
	uint64_t addr; /* si_addr */
	uint64_t pc, sp;
	uint32_t n_regs, n_code, n_stack_bytes;
	uint32_t is_overflow; /* sp is outside the stack, or in its guard */
	uint64_t regs[FR_CRASH_REGS];
	uint64_t code_start; /* address of code[0] */
	uint8_t code_bytes[64];
	uint64_t stack_start;
	uint8_t stack_bytes[FR_CRASH_STACK_BYTES];
};

/* The stack table (off_stack_index, off_stack_arena): proto/stack.h. */

struct fr_blackbox {
	uint64_t magic;
	uint32_t version;
	uint32_t size_header;
	uint32_t proc; /* 1..65535; unique within the run of the recorder, in every event */
	uint32_t pid, ppid, uid;
	uint32_t state;	    /* enum fr_process_state */
	uint32_t n_threads; /* slots used so far, at most FR_BB_MAX_THREADS */
	uint32_t n_modules;
	uint32_t parent_proc;	   /* of a fork: the parent's proc; 0 otherwise */
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC; end 0 while alive */
	uint64_t start_realtime_ns;
	uint64_t file_size;
	uint64_t off_slots, off_modules, off_calls, off_stack_index, off_stack_arena, off_live;
	uint64_t off_buckets[FR_BUCKET_N_KINDS], off_labels, off_custom, off_custom_live;
	uint64_t
		entry; /* address where the program begins (AT_ENTRY): the first thread's creation */
	uint32_t helper_tid;	   /* the tracer's own thread; 0: none */
	uint32_t helper_seq;	   /* the last fr_control.command_seq that it has carried out */
	uint32_t cpu_refusal;	   /* enum fr_cpu_refusal */
	uint32_t cpu_hz;	   /* rate of the CPU timers that run now; 0 none */
	uint64_t stack_arena_used; /* bytes; grows only */
	uint64_t off_samples, off_triggers, off_crash;
	uint64_t samples_next, triggers_next; /* numbers taken so far */
	uint32_t trigger_word;		      /* futex */
	uint32_t exit_kind;		      /* enum fr_exit_kind */
	int32_t exit_code;		      /* of exit_kind */
	uint32_t is_traced_exec; /* EXECED: the new image has the tracer in its environment */
	struct fr_counters counters;
	char exe[512];
	char why[160]; /* when state is OFF: one sentence */
};
