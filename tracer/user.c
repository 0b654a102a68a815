/* SPDX-License-Identifier: MIT */
/*
 * The user API. A task's id is unique over all processes of a trace: the process's number, then a count. Whether
 * a task is open is kept in a window over the last tasks begun, so that only its first end is written; a task
 * that outlives 65536 later ones loses that protection (counted), not its end.
 */
#include "tracer/user.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tracer/flightrec.h"
#include "tracer/sys.h"
#include "tracer/thread.h"
#include "tracer/trigger.h"
#include "tracer/user_entry.h"

#define N_OPEN_TASKS 65536
#define TASK_SHIFT 40

/* A task with a limit (--on-slow). Written by who begins it, before anyone knows its id. */
struct timed_task {
	uint64_t id, begin_ns;
	uint64_t limit; /* ns; UINT64_MAX: none */
	char type[40];
};

static uint64_t *open_tasks;	       /* id by the low bits of its count; 0 ended */
static struct timed_task *timed_tasks; /* parallel to it; NULL: there are no limits */
static uint64_t n_tasks, n_regions;

static void *map(size_t size)
{
	long ret = sys(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return ret < 0 && ret > -4096 ? NULL : (void *)ret;
}

int user_init(void)
{
	if (!open_tasks)
		open_tasks = map(sizeof(*open_tasks) * N_OPEN_TASKS);
	if (!timed_tasks && trigger_has_rules())
		timed_tasks = map(sizeof(*timed_tasks) * N_OPEN_TASKS);
	return open_tasks && (timed_tasks || !trigger_has_rules()) ? 0 : -ENOMEM;
}

void user_after_fork(void)
{
	struct fr_thread *t = &fr_self;

	if (t->private)
		t->private->n_regions = 0;
}

/* Cuts a text for an event. Never empty (proto/schema.md). */
static const char *cut(char *out, size_t size, const char *text)
{
	size_t n = text ? strnlen(text, size - 1) : 0;

	if (n)
		memcpy(out, text, n);
	else
		out[n++] = '-';
	out[n] = '\0';
	return out;
}

static uint64_t current_task(const struct fr_thread *t)
{
	return t->slot ? t->slot->task : 0;
}

FR_EXPORT int flightrec_is_enabled(void)
{
	return fr_on && fr_wants(FR_EVENTS_USER);
}

static void time_task(uint64_t id, const char *type)
{
	struct timed_task *task = &timed_tasks[id % N_OPEN_TASKS];

	task->limit = trigger_slow_limit(type);
	if (task->limit == UINT64_MAX)
		return;
	task->begin_ns = fr_now();
	memcpy(task->type, type, sizeof(task->type));
	task->id = id;
}

/* A region or task of this type is over. */
static void check_slow(struct user_entry *entry, uint64_t dur, uint64_t limit, uint64_t task,
	const char *type, uintptr_t frame)
{
	struct trigger trigger = {
		.kind = FR_TRIGGER_SLOW, .value = dur, .limit = limit, .obj = task, .reason = type
	};

	if (dur < limit)
		return;
	trigger.stack = fr_capture(entry->t, frame, FR_REPEAT_USER);
	trigger_fire(entry->t, &trigger);
}

static void check_task(struct user_entry *entry, uint64_t id, uintptr_t frame)
{
	const struct timed_task *task = &timed_tasks[id % N_OPEN_TASKS];

	if (task->id == id)
		check_slow(entry, fr_now() - task->begin_ns, task->limit, id, task->type, frame);
}

FR_EXPORT flightrec_task_t flightrec_task_begin(flightrec_task_t parent, const char *type)
{
	uint64_t n = __atomic_add_fetch(&n_tasks, 1, __ATOMIC_RELAXED);
	uint64_t id = (uint64_t)fr_proc << TASK_SHIFT | n;
	struct fr_event_user e = { .task = id, .parent = parent };
	struct user_entry entry;
	char name[40];

	if (!user_enter(&entry, FR_FRAME()))
		return id;
	if (__atomic_exchange_n(&open_tasks[n % N_OPEN_TASKS], id, __ATOMIC_RELAXED))
		fr_count(tasks_overflow, 1);
	e.name = cut(name, sizeof(name), type);
	if (unlikely(timed_tasks != NULL))
		time_task(id, name);
	USER_EMIT(&entry, task_begin, &e, FR_FRAME());
	user_leave(&entry);
	return id;
}

/* Was it open until now? One that was pushed out of the window is believed to be. */
static int close_task(uint64_t id)
{
	uint64_t n = id & ((1ull << TASK_SHIFT) - 1), *open = &open_tasks[n % N_OPEN_TASKS],
		 expected = id;

	if (__atomic_compare_exchange_n(open, &expected, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return 1;
	return n + N_OPEN_TASKS <= __atomic_load_n(&n_tasks, __ATOMIC_RELAXED);
}

FR_EXPORT void flightrec_task_end(flightrec_task_t task)
{
	struct fr_event_user e = { .task = task };
	struct user_entry entry;

	if (!task || !user_enter(&entry, FR_FRAME()))
		return;
	if (close_task(task)) {
		USER_EMIT(&entry, task_end, &e, FR_FRAME());
		if (unlikely(timed_tasks != NULL))
			check_task(&entry, task, FR_FRAME());
	}
	user_leave(&entry);
}

FR_EXPORT flightrec_task_t flightrec_task_enter(flightrec_task_t task)
{
	struct user_entry entry;
	uint64_t before;

	if (!user_enter(&entry, FR_FRAME()))
		return 0;
	before = current_task(entry.t);
	if (entry.t->slot)
		entry.t->slot->task = task;
	user_leave(&entry);
	return before;
}

FR_EXPORT flightrec_region_t flightrec_region_begin(flightrec_task_t task, const char *type)
{
	struct fr_private *private;
	struct fr_event_user e = { 0 };
	struct fr_region *region;
	struct user_entry entry;
	uint64_t id = 0;

	if (!user_enter(&entry, FR_FRAME()))
		return 0;
	private = entry.t->private;
	if (!private || private->n_regions >= FR_REGION_DEPTH ||
		(!fr_wants(FR_EVENTS_USER) && !trigger_has_rules())) {
		user_leave(&entry);
		return 0;
	}
	region = &private->regions[private->n_regions];
	id = __atomic_add_fetch(&n_regions, 1, __ATOMIC_RELAXED);
	region->id = id;
	region->task = task ? task : current_task(entry.t);
	cut(region->type, sizeof(region->type), type);
	region->begin_ns = fr_now();
	private->n_regions++;
	e.task = region->task;
	e.name = region->type;
	USER_EMIT(&entry, region_begin, &e, FR_FRAME());
	user_leave(&entry);
	return id;
}

static void end_innermost(struct user_entry *entry, uintptr_t frame)
{
	struct fr_private *private = entry->t->private;
	const struct fr_region *region = &private->regions[--private->n_regions];
	struct fr_event_user e = { .task = region->task, .name = region->type };

	e.dur = fr_now() - region->begin_ns;
	USER_EMIT(entry, region_end, &e, frame);
	if (trigger_has_rules())
		check_slow(entry, e.dur, trigger_slow_limit(region->type), region->task,
			region->type, frame);
}

FR_EXPORT void flightrec_region_end(flightrec_region_t id)
{
	struct fr_private *private;
	struct user_entry entry;
	uint32_t i;

	if (!id || !user_enter(&entry, FR_FRAME()))
		return;
	private = entry.t->private;
	for (i = private ? private->n_regions : 0; i > 0; i--)
		if (private->regions[i - 1].id == id)
			break;
	if (i == 0) {
		fr_count(regions_misnested, 1);
	} else {
		while (private->n_regions > i) {
			fr_count(regions_misnested, 1);
			end_innermost(&entry, FR_FRAME());
		}
		end_innermost(&entry, FR_FRAME());
	}
	user_leave(&entry);
}

FR_EXPORT int flightrec_trigger(const char *reason)
{
	struct trigger trigger = { .kind = FR_TRIGGER_ASKED };
	struct user_entry entry;
	char text[sizeof(((struct fr_trigger *)0)->reason)];
	int ret;

	if (!fr_on)
		return -ENOTCONN;
	if (!user_enter(&entry, FR_FRAME()))
		return -EAGAIN;
	trigger.reason = cut(text, sizeof(text), reason);
	trigger.obj = current_task(entry.t);
	trigger.stack = fr_capture(entry.t, FR_FRAME(), FR_REPEAT_USER);
	ret = trigger_fire(entry.t, &trigger);
	user_leave(&entry);
	return ret;
}

FR_EXPORT void flightrec_log(flightrec_task_t task, const char *category, const char *message)
{
	struct fr_event_user e = { 0 };
	char name[256], text[256];
	struct user_entry entry;

	if (!user_enter(&entry, FR_FRAME()))
		return;
	e.task = task ? task : current_task(entry.t);
	e.name = cut(name, sizeof(name), category);
	e.text = cut(text, sizeof(text), message);
	USER_EMIT(&entry, log, &e, FR_FRAME());
	user_leave(&entry);
}

FR_EXPORT void flightrec_vlogf(
	flightrec_task_t task, const char *category, const char *format, va_list list)
{
	int saved_errno = errno;
	char text[256];

	if (!flightrec_is_enabled())
		return;
	vsnprintf(text, sizeof(text), format, list);
	flightrec_log(task, category, text);
	errno = saved_errno;
}

FR_EXPORT void flightrec_logf(flightrec_task_t task, const char *category, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	flightrec_vlogf(task, category, format, list);
	va_end(list);
}

FR_EXPORT void flightrec_counter(const char *counter, int64_t value)
{
	struct fr_event_user e = { .value = value };
	struct user_entry entry;
	char name[256];

	if (!user_enter(&entry, FR_FRAME()))
		return;
	e.name = cut(name, sizeof(name), counter);
	USER_EMIT(&entry, counter, &e, FR_FRAME());
	user_leave(&entry);
}

FR_EXPORT void flightrec_thread_name(const char *name)
{
	char text[16];

	if (fr_on)
		thread_renamed(cut(text, sizeof(text), name));
}
