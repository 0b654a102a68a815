/* SPDX-License-Identifier: MIT */
/* Reads blackboxes as a tracer writes them, and many that none would write. */
#include "check.h"
#include "run.h"

#include <pthread.h>
#include <sys/stat.h>

#include "blackbox_file.h"
#include "recorder/blackbox_read.h"

#define PROC 77

static const char *path(void)
{
	return run_path("blackbox/00077");
}

static struct blackbox_file create(void)
{
	return blackbox_file_create(path(), PROC);
}

/* Opens the file and expects this result; closes it again. */
static int open_result(void)
{
	struct blackbox *blackbox = NULL;
	int err = blackbox_open_proc(run_dir, PROC, &blackbox);

	if (!err)
		blackbox_close(blackbox);
	return err;
}

static void whole(void)
{
	static const uint64_t frames[] = { 0x555555554123, 0x7ffff7a00abc, 0x555555554001 };
	struct blackbox_file file = create();
	struct fr_call_total *calls = blackbox_file_at(&file, file.header->off_calls);
	struct fr_call_total totals[FR_BB_MAX_CALLS];
	struct fr_live *live = blackbox_file_at(&file, file.header->off_live);
	struct fr_slot *slot = blackbox_file_slot(&file, 4711);
	struct fr_module *module = blackbox_file_module(&file);
	uint32_t id = blackbox_file_stack(&file, frames, 3, FR_STACK_CUT), flags = 0;
	uint64_t got[FR_STACK_MAX_FRAMES];
	struct fr_counters counters;
	struct blackbox *blackbox;
	GArray *array;

	slot->seq = 8;
	slot->state = FR_STATE_MUTEX;
	slot->obj = 0xabc;
	slot->syscalls = 5;
	strcpy(slot->name, "worker");
	module->start = 0x1000;
	module->end = 0x2000;
	strcpy(module->path, "/lib/x.so");
	file.header->counters.syscalls = 7;
	calls[FR_CALL_read].n = 2;
	calls[3 * FR_BB_MAX_CALLS + FR_CALL_read].n = 40;
	live[FR_BB_MAX_LIVE - 1] = (struct fr_live){ .addr = 0x5000, .size = 99 };
	live[1].addr = 1;
	live[2].addr = 2;

	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	CHECK(blackbox_is_alive(blackbox));
	array = blackbox_slots(blackbox, NULL);
	CHECK_INT(array->len, 1);
	CHECK_INT(g_array_index(array, struct fr_slot, 0).obj, 0xabc);
	CHECK_STR(g_array_index(array, struct fr_slot, 0).name, "worker");
	blackbox_counters(blackbox, array, &counters);
	CHECK_INT(counters.syscalls, 12);
	g_array_unref(array);
	array = blackbox_modules(blackbox);
	CHECK_INT(array->len, 1);
	CHECK_STR(g_array_index(array, struct fr_module, 0).path, "/lib/x.so");
	g_array_unref(array);
	CHECK_INT(blackbox_calls(blackbox, totals), 0);
	CHECK_INT(totals[FR_CALL_read].n, 42);
	array = blackbox_live(blackbox);
	CHECK_INT(array->len, 1);
	CHECK_INT(g_array_index(array, struct fr_live, 0).size, 99);
	g_array_unref(array);
	CHECK_INT(blackbox_stack(blackbox, id, got, &flags), 3);
	CHECK_INT(flags, FR_STACK_CUT);
	CHECK(memcmp(got, frames, sizeof(frames)) == 0);
	blackbox_close(blackbox);
	blackbox_file_close(&file);
}

static void count_stack(void *data, uint32_t id, uint32_t flags, const uint64_t *frames, size_t n)
{
	uint64_t *sum = data;

	(void)id, (void)flags;
	sum[0]++;
	for (size_t i = 0; i < n; i++)
		sum[1] += frames[i];
}

static void all_stacks(void)
{
	struct blackbox_file file = create();
	uint64_t want[2] = { 0 }, got[2] = { 0 };
	struct blackbox *blackbox;

	for (uint64_t i = 0; i < 5003; i++) {
		uint64_t frames[40];
		size_t n = 1 + i % 40;

		for (size_t k = 0; k < n; k++)
			want[1] += frames[k] = 0x400000 + i * 7919 + k * 31;
		blackbox_file_stack(&file, frames, n, 0);
		want[0]++;
	}
	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	CHECK_INT(blackbox_stacks(blackbox, count_stack, got), 0);
	CHECK_INT(got[0], want[0]);
	CHECK_INT(got[1], want[1]);
	blackbox_close(blackbox);
	blackbox_file_close(&file);
}

static void damaged_stacks(void)
{
	static const uint64_t frames[] = { 1, 2, 3 };
	struct blackbox_file file = create();
	uint64_t *index = blackbox_file_at(&file, file.header->off_stack_index);
	uint8_t *arena = blackbox_file_at(&file, file.header->off_stack_arena);
	uint64_t got[2] = { 0 }, out[FR_STACK_MAX_FRAMES];
	struct blackbox *blackbox;
	uint32_t id, flags;

	blackbox_file_stack(&file, frames, 3, 0);
	id = blackbox_file_stack(&file, frames, 2, 0);
	arena[(size_t)id * 8 + 8] ^= 0x55; /* a frame: the hash no longer fits */
	index[5] = 0xffffffffffffffff;	   /* an id far outside the arena */
	index[6] = 1ull << 32;		   /* the reserved id 0 */
	index[7] = 1ull << 32 | (FR_BB_STACK_ARENA / 8 - 1); /* the arena's last word */
	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	CHECK_INT(blackbox_stacks(blackbox, count_stack, got), 4);
	CHECK_INT(got[0], 1);
	CHECK_INT(blackbox_stack(blackbox, id, out, &flags), 0);
	CHECK_INT(blackbox_stack(blackbox, UINT32_MAX, out, &flags), 0);
	CHECK_INT(blackbox_stack(blackbox, FR_BB_STACK_ARENA / 8 - 1, out, &flags), 0);
	blackbox_close(blackbox);
	blackbox_file_close(&file);
}

static void bad_headers(void)
{
	struct blackbox_file file = create();
	struct fr_blackbox good = *file.header;

	CHECK_INT(open_result(), 0);
#define BAD(field, value, result)                                                                  \
	do {                                                                                       \
		file.header->field = (value);                                                      \
		CHECK_INT(open_result(), result);                                                  \
		*file.header = good;                                                               \
	} while (0)
	BAD(magic, 0, BLACKBOX_E_MAGIC);
	BAD(version, FR_BLACKBOX_VERSION + 1, BLACKBOX_E_VERSION);
	BAD(size_header, 8, BLACKBOX_E_VERSION);
	BAD(proc, 78, BLACKBOX_E_DAMAGED);
	BAD(proc, 0, BLACKBOX_E_DAMAGED);
	BAD(pid, 0, BLACKBOX_E_DAMAGED);
	BAD(n_threads, FR_BB_MAX_THREADS + 1, BLACKBOX_E_DAMAGED);
	BAD(n_modules, UINT32_MAX, BLACKBOX_E_DAMAGED);
	BAD(off_slots, UINT64_MAX - 7, BLACKBOX_E_DAMAGED);
	BAD(off_slots, 8, BLACKBOX_E_DAMAGED);
	BAD(off_modules, good.file_size, BLACKBOX_E_DAMAGED);
	BAD(off_calls, good.off_calls + 1, BLACKBOX_E_DAMAGED);
	BAD(off_stack_index, good.file_size - 8, BLACKBOX_E_DAMAGED);
	BAD(off_stack_arena, good.off_stack_arena + 8, BLACKBOX_E_DAMAGED);
	BAD(off_live, good.file_size - 16, BLACKBOX_E_DAMAGED);
#undef BAD
	CHECK_INT(open_result(), 0);
	blackbox_file_close(&file);
}

static void cut_files(void)
{
	struct blackbox_file file = create();
	uint64_t size = file.header->file_size;

	blackbox_file_close(&file);
	for (uint64_t cut = 0; cut < size; cut += 1 + size / 97) {
		CHECK_INT(truncate(path(), (off_t)cut), 0);
		CHECK(open_result() > 0);
		CHECK_INT(truncate(path(), (off_t)size), 0);
	}
}

static void random_bytes(void)
{
	uint32_t x = 99;

	for (int round = 0; round < 20; round++) {
		struct blackbox_file file = create();
		struct blackbox *blackbox;
		uint64_t sum[2] = { 0 };

		/* Keep what makes the file a blackbox; everything else is noise. */
		for (size_t i = 0; i < 1000; i++) {
			uint64_t at;

			x = x * 1664525 + 1013904223;
			at = 8192 + (uint64_t)x * 4099 % (file.header->file_size - 8192);
			*(uint8_t *)blackbox_file_at(&file, at) = (uint8_t)(x >> 24);
		}
		file.header->n_threads = FR_BB_MAX_THREADS;
		file.header->n_modules = FR_BB_MAX_MODULES;
		blackbox_file_close(&file);
		CHECK_INT(blackbox_open(path(), &blackbox), 0);
		if (round % 5 == 0) {
			GArray *slots = blackbox_slots(blackbox, NULL);

			for (guint i = 0; i < slots->len; i++)
				CHECK(g_array_index(slots, struct fr_slot, i).state < FR_STATE_N);
			g_array_unref(slots);
		}
		g_array_unref(blackbox_modules(blackbox));
		g_array_unref(blackbox_live(blackbox));
		CHECK(blackbox_stacks(blackbox, count_stack, sum) >= 0);
		blackbox_close(blackbox);
	}
}

static void odd_sequence(void)
{
	struct blackbox_file file = create();
	struct fr_slot *slot = blackbox_file_slot(&file, 10);
	struct blackbox *blackbox;
	unsigned n_torn = 0;
	GArray *slots;

	slot->seq = 7; /* its writer was killed in the middle */
	slot->state = FR_STATE_POLL;
	slot->holder = 5;
	slot = blackbox_file_slot(&file, 11);
	slot->seq = 8;
	slot->state = FR_STATE_POLL;
	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	slots = blackbox_slots(blackbox, &n_torn);
	CHECK_INT(slots->len, 2);
	CHECK_INT(n_torn, 1);
	CHECK_INT(g_array_index(slots, struct fr_slot, 0).tid, 10);
	CHECK_INT(g_array_index(slots, struct fr_slot, 0).state, FR_STATE_RUNNING);
	CHECK_INT(g_array_index(slots, struct fr_slot, 0).holder, 0);
	CHECK_INT(g_array_index(slots, struct fr_slot, 1).state, FR_STATE_POLL);
	g_array_unref(slots);
	blackbox_close(blackbox);
	blackbox_file_close(&file);
}

static int is_writing;

/* Keeps obj, since_ns and task equal whenever the slot is not being written. */
static void *write_slot(void *arg)
{
	struct fr_slot *slot = arg;

	for (uint64_t i = 1; __atomic_load_n(&is_writing, __ATOMIC_RELAXED); i++) {
		__atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		__atomic_store_n(&slot->obj, i, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->since_ns, i, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->task, i, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void live_writer(void)
{
	struct blackbox_file file = create();
	struct fr_slot *slot = blackbox_file_slot(&file, 10);
	unsigned n_torn = 0, n_good = 0;
	struct blackbox *blackbox;
	pthread_t thread;

	is_writing = 1;
	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	pthread_create(&thread, NULL, write_slot, slot);
	for (int i = 0; i < 300; i++) {
		GArray *slots = blackbox_slots(blackbox, &n_torn);
		struct fr_slot *got = &g_array_index(slots, struct fr_slot, 0);

		if (!n_torn) {
			n_good++;
			if (got->obj != got->since_ns || got->obj != got->task)
				CHECK(!"a slot mixes two states");
		}
		g_array_unref(slots);
	}
	__atomic_store_n(&is_writing, 0, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CHECK(n_good > 0);
	blackbox_close(blackbox);
	blackbox_file_close(&file);
}

static void death(void)
{
	struct blackbox_file file = create();
	struct blackbox *blackbox;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	/* A zombie is no living process, nor is a pid that is gone, nor one that was taken again. */
	usleep(20000);
	file.header->pid = (uint32_t)pid;
	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	CHECK(!blackbox_is_alive(blackbox));
	blackbox_close(blackbox);
	waitpid(pid, NULL, 0);
	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	CHECK(!blackbox_is_alive(blackbox));
	blackbox_close(blackbox);
	file.header->pid = (uint32_t)getpid();
	file.header->start_ns = 1;
	CHECK_INT(blackbox_open_proc(run_dir, PROC, &blackbox), 0);
	CHECK(!blackbox_is_alive(blackbox));
	blackbox_close(blackbox);
	blackbox_file_close(&file);
}

static void folder(void)
{
	struct blackbox_file first = create();
	struct blackbox_file second = blackbox_file_create(run_path("blackbox/00009"), 9);
	struct blackbox_sum sum;
	GArray *numbers;

	run_write("blackbox/00010", "garbage", 7);
	run_write("blackbox/notes", "x", 1);
	run_write("blackbox/99999", "x", 1);
	CHECK_INT(symlink("00009", run_path("blackbox/00011")), 0);
	blackbox_file_slot(&first, 1);
	blackbox_file_slot(&first, 2)->is_exited = 1;
	blackbox_file_slot(&second, 3);
	first.header->counters.allocs = 10;
	second.header->counters.allocs = 100;
	second.header->end_ns = 5;
	numbers = blackbox_list(run_dir);
	CHECK_INT(numbers->len, 4);
	CHECK_INT(g_array_index(numbers, uint16_t, 0), 9);
	CHECK_INT(g_array_index(numbers, uint16_t, 3), PROC);
	g_array_unref(numbers);
	blackbox_sum(run_dir, &sum);
	CHECK_INT(sum.n_processes, 2);
	CHECK_INT(sum.n_alive, 1);
	CHECK_INT(sum.n_threads, 1);
	CHECK_INT(sum.n_unreadable, 2);
	CHECK_INT(sum.counters.allocs, 110);
	numbers = blackbox_list("/nonexistent");
	CHECK_INT(numbers->len, 0);
	g_array_unref(numbers);
	blackbox_file_close(&first);
	blackbox_file_close(&second);
}

int main(void)
{
	/* In memory, as a real one: a disk would have to write what is scattered over the sparse files. */
	run_init_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL, "test_blackbox_read");
	CHECK_INT(mkdir(run_path("blackbox"), 0700), 0);
	CASE(whole, "everything in a blackbox is read back");
	CASE(all_stacks, "5,003 stacks are found through the index");
	CASE(damaged_stacks, "damaged stack records are counted and left out");
	CASE(bad_headers, "every bad header field is refused");
	CASE(cut_files, "a file cut anywhere is refused");
	CASE(random_bytes, "random bytes in the tables do no harm");
	CASE(odd_sequence, "a slot that stays in the middle of a write is counted, not waited for");
	CASE(live_writer, "a slot under constant change is never a mix of two states");
	CASE(death, "a dead process is told from a living one with its pid");
	CASE(folder, "a folder with strange files is listed and summed");
	run_fini();
	return CHECK_DONE();
}
