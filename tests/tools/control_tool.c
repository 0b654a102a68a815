/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the tracer need from a recorder: a runtime folder, orders in its control page, and what the
 * blackboxes in it say.
 *
 *   control_tool make DIR HZ            a runtime folder
 *   control_tool rate DIR HZ            another rate of CPU samples; waits until all processes have it
 *   control_tool dump DIR PROC          asks the threads of a process (0: all) for their stacks
 *   control_tool dumps DIR PID          as many dumps as can be had, of all processes, until PID has ended; says how many
 *   control_tool run HZ PROGRAM …       sets the rate in $FLIGHTREC_DIR, then becomes PROGRAM
 *   control_tool triggers DIR LOCK CALL TYPE SLOW   what fires a trigger: ns of a lock wait, a call, a region or task of a type
 *   control_tool show DIR               all processes: header, counters, threads, buckets of CPU samples, the samples in
 *                                       order, triggers, crash
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/blackbox.h"
#include "proto/control.h"
#include "proto/schema.h"
#include "proto/stack.h"
#include "recorder/blackbox_read.h"
#include "recorder/blackbox_tables.h"

static void must(int is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "control_tool: %s: %s\n", what, strerror(errno));
	exit(2);
}

static struct fr_control *map_control(const char *dir, int is_new)
{
	g_autofree char *path = g_strdup_printf("%s/control", dir);
	int fd = open(path, O_RDWR | O_CLOEXEC | (is_new ? O_CREAT | O_EXCL : 0), 0600);
	struct fr_control *control;

	must(fd >= 0 && (!is_new || ftruncate(fd, sizeof(*control)) == 0), path);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(control != MAP_FAILED, path);
	close(fd);
	return control;
}

static int make(const char *dir, unsigned hz)
{
	g_autofree char *folder = g_strdup_printf("%s/blackbox", dir);
	struct fr_control *control;

	must(mkdir(dir, 0700) == 0 || errno == EEXIST, dir);
	must(mkdir(folder, 0700) == 0, folder);
	control = map_control(dir, 1);
	control->events = FR_EVENTS_ALL;
	control->alloc_rate = 512 << 10;
	control->stack_depth = 64;
	control->cpu_hz = hz;
	control->version = FR_CONTROL_VERSION;
	control->magic = FR_CONTROL_MAGIC;
	return 0;
}

static uint32_t order(struct fr_control *control)
{
	uint32_t seq = __atomic_add_fetch(&control->command_seq, 1, __ATOMIC_RELEASE);

	syscall(SYS_futex, &control->command_seq, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	return seq;
}

/* Until every living process has carried the order out; after 10 s it says which has not. */
static int await(const char *dir, uint32_t seq)
{
	for (int n = 0; n < 1000; n++) {
		g_autoptr(GArray) list = blackbox_list(dir);
		unsigned n_late = 0;

		for (guint i = 0; i < list->len; i++) {
			struct blackbox *box;

			if (blackbox_open_proc(dir, g_array_index(list, uint16_t, i), &box) != 0)
				continue;
			n_late += blackbox_is_alive(box) && box->header.helper_seq != seq;
			blackbox_close(box);
		}
		if (!n_late)
			return 0;
		g_usleep(10000);
	}
	fprintf(stderr, "control_tool: order %" PRIu32 " is not carried out\n", seq);
	return 1;
}

static int set_rate(const char *dir, unsigned hz)
{
	struct fr_control *control = map_control(dir, 0);

	control->cpu_hz = hz;
	return await(dir, order(control));
}

static int dump(const char *dir, unsigned proc)
{
	struct fr_control *control = map_control(dir, 0);

	control->dump_proc = proc;
	control->dump_seq++;
	return await(dir, order(control));
}

static int dump_all_the_time(const char *dir, pid_t pid)
{
	struct fr_control *control = map_control(dir, 0);
	unsigned n = 0;

	control->dump_proc = 0;
	for (; kill(pid, 0) == 0; n++) {
		control->dump_seq++;
		order(control);
		g_usleep(200);
	}
	printf("%u\n", n);
	return 0;
}

static int set_triggers(const char *dir, char **argv)
{
	struct fr_control *control = map_control(dir, 0);

	control->trigger_lock_ns = strtoull(argv[0], NULL, 10);
	control->trigger_call_ns = strtoull(argv[1], NULL, 10);
	g_strlcpy(control->slow[0].type, argv[2], sizeof(control->slow[0].type));
	control->slow[0].ns = strtoull(argv[3], NULL, 10);
	control->n_slow = control->slow[0].ns ? 1 : 0;
	return 0;
}

static int run(unsigned hz, char **argv)
{
	const char *dir = getenv(FR_ENV_DIR);
	struct fr_control *control;

	must(dir != NULL, FR_ENV_DIR " is not set");
	control = map_control(dir, 0);
	control->cpu_hz = hz;
	order(control);
	munmap(control, sizeof(*control));
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

static void show_stack(struct blackbox *box, uint32_t id)
{
	uint64_t frames[FR_STACK_MAX_FRAMES];
	uint32_t flags = 0;
	size_t n = blackbox_stack(box, id, frames, &flags);

	printf(" flags=%u", flags);
	for (size_t i = 0; i < n; i++)
		printf(" %" PRIx64, frames[i]);
}

static void show_buckets(struct blackbox *box)
{
	for (uint32_t i = 0; i < fr_bucket_number(FR_BUCKET_CPU); i++) {
		struct fr_bucket bucket;

		if (pread(box->fd, &bucket, sizeof(bucket),
			    (off_t)(box->header.off_buckets[FR_BUCKET_CPU] + i * sizeof(bucket))) !=
				sizeof(bucket) ||
			bucket.tag <= FR_BUCKET_WRITING)
			continue;
		printf("cpu proc=%u labels=%" PRIu64 " ticks=%" PRIu64 " ns=%" PRIu64 " stack=%u",
			box->header.proc, bucket.key, bucket.value[0], bucket.value[1],
			bucket.stack);
		show_stack(box, bucket.stack);
		putchar('\n');
	}
}

static void show_threads(struct blackbox *box, const GArray *slots)
{
	for (guint i = 0; i < slots->len; i++) {
		const struct fr_slot *slot = &g_array_index(slots, struct fr_slot, i);

		printf("thread proc=%u tid=%u exited=%u state=%u call=%u cpu_ns=%" PRIu64
		       " dump_seq=%u name=%.16s dump",
			box->header.proc, slot->tid, slot->is_exited, slot->state, slot->call,
			slot->cpu_ns, slot->dump_seq, slot->name);
		show_stack(box, slot->dump_stack);
		putchar('\n');
	}
}

static void show_modules(struct blackbox *box)
{
	g_autoptr(GArray) modules = blackbox_modules(box);

	for (guint i = 0; i < modules->len; i++) {
		const struct fr_module *module = &g_array_index(modules, struct fr_module, i);

		printf("module proc=%u start=%" PRIx64 " end=%" PRIx64 " base=%" PRIx64
		       " path=%s\n",
			box->header.proc, module->start, module->end, module->base, module->path);
	}
}

static void show_samples(struct blackbox *box)
{
	g_autoptr(GArray) samples = NULL;
	uint64_t n_missing = blackbox_samples(box, 0, &samples);

	printf("samples proc=%u n=%u missing=%" PRIu64 " next=%" PRIu64 "\n", box->header.proc,
		samples->len, n_missing, box->header.samples_next);
	for (guint i = 0; i < samples->len; i++) {
		const struct fr_cpu_sample *sample =
			&g_array_index(samples, struct fr_cpu_sample, i);

		printf("sample proc=%u number=%" PRIu64 " time=%" PRIu64 " weight=%" PRIu64
		       " tid=%u stack=%u labels=%u",
			box->header.proc, sample->seq - 1, sample->time_ns, sample->weight_ns,
			sample->tid, sample->stack, sample->labels_id);
		show_stack(box, sample->stack);
		putchar('\n');
	}
}

static void show_triggers(struct blackbox *box)
{
	g_autoptr(GArray) triggers = blackbox_triggers(box, 0, NULL);

	for (guint i = 0; i < triggers->len; i++) {
		const struct fr_trigger *trigger = &g_array_index(triggers, struct fr_trigger, i);

		printf("trigger proc=%u number=%" PRIu64 " kind=%u value=%" PRIu64 " limit=%" PRIu64
		       " obj=%" PRIx64 " call=%u tid=%u reason=%s",
			box->header.proc, trigger->seq - 1, trigger->kind, trigger->value,
			trigger->limit, trigger->obj, trigger->call, trigger->tid, trigger->reason);
		show_stack(box, trigger->stack);
		putchar('\n');
	}
}

static void show_end(struct blackbox *box)
{
	struct fr_crash crash;

	printf("end proc=%u pid=%u state=%u kind=%u code=%d traced_exec=%u\n", box->header.proc,
		box->header.pid, box->header.state, box->header.exit_kind, box->header.exit_code,
		box->header.is_traced_exec);
	if (!blackbox_crash(box, &crash))
		return;
	printf("crash proc=%u pid=%u signal=%u code=%d tid=%u sender=%u addr=%" PRIx64
	       " pc=%" PRIx64 " sp=%" PRIx64 " overflow=%u n_regs=%u n_code=%u n_stack=%u "
	       "code_start=%" PRIx64,
		box->header.proc, box->header.pid, crash.signal, crash.code, crash.tid,
		crash.sender_pid, crash.addr, crash.pc, crash.sp, crash.is_overflow, crash.n_regs,
		crash.n_code, crash.n_stack_bytes, crash.code_start);
	show_stack(box, crash.stack);
	putchar('\n');
}

static int show(const char *dir)
{
	g_autoptr(GArray) list = blackbox_list(dir);

	for (guint i = 0; i < list->len; i++) {
		g_autoptr(GArray) slots = NULL;
		struct fr_counters counters;
		struct blackbox *box;

		if (blackbox_open_proc(dir, g_array_index(list, uint16_t, i), &box) != 0)
			continue;
		slots = blackbox_slots(box, NULL);
		blackbox_counters(box, slots, &counters);
		printf("process proc=%u pid=%u parent=%u state=%u helper_tid=%u cpu_hz=%u "
		       "refusal=%u exe=%s\n",
			box->header.proc, box->header.pid, box->header.parent_proc,
			box->header.state, box->header.helper_tid, box->header.cpu_hz,
			box->header.cpu_refusal, box->header.exe);
#define FR_X(field, text) \
	printf("counter proc=%u " #field "=%" PRIu64 "\n", box->header.proc, counters.field);
		FR_COUNTER_TABLE(FR_X)
#undef FR_X
		show_modules(box);
		show_threads(box, slots);
		show_buckets(box);
		show_samples(box);
		show_triggers(box);
		show_end(box);
		blackbox_close(box);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "make") == 0 && argc == 4)
		return make(argv[2], (unsigned)atoi(argv[3]));
	if (strcmp(what, "rate") == 0 && argc == 4)
		return set_rate(argv[2], (unsigned)atoi(argv[3]));
	if (strcmp(what, "dump") == 0 && argc == 4)
		return dump(argv[2], (unsigned)atoi(argv[3]));
	if (strcmp(what, "dumps") == 0 && argc == 4)
		return dump_all_the_time(argv[2], atoi(argv[3]));
	if (strcmp(what, "triggers") == 0 && argc == 7)
		return set_triggers(argv[2], argv + 3);
	if (strcmp(what, "run") == 0 && argc > 3)
		return run((unsigned)atoi(argv[2]), argv + 3);
	if (strcmp(what, "show") == 0)
		return show(argv[2]);
	fprintf(stderr, "usage: control_tool make|rate DIR HZ | dump DIR PROC | dumps DIR PID | "
			"run HZ PROGRAM … | triggers DIR LOCK CALL TYPE SLOW | "
			"show DIR\n");
	return 2;
}
