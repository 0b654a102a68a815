/* SPDX-License-Identifier: MIT */
/* Which ends are deaths, their names and their sentences. */
#include "recorder/death.h"

#include <signal.h>

#include "check.h"
#include "proto/schema.h"

static struct watch_process process;
static struct process_end end;
static struct fr_crash crash;
static struct death_case death = { .process = &process, .end = &end };

/* An end of the program itself, or of a child. */
static void set(bool is_main, uint32_t how, int number)
{
	process = (struct watch_process){ .proc = 5, .pid = 123, .is_main = is_main };
	g_strlcpy(process.name, "redis-server", sizeof(process.name));
	g_strlcpy(process.exe, "redis-server", sizeof(process.exe));
	end = (struct process_end){ .how = how };
	if (how == PROCESS_END_SIGNAL)
		end.signal = (uint32_t)number;
	else
		end.code = number;
	death.exit_kind = FR_EXIT_UNKNOWN;
	death.crash = NULL;
}

static bool counts(void)
{
	return death_counts(OPTIONS_DEATH_ABNORMAL, &death);
}

static void test_program(void)
{
	set(true, PROCESS_END_EXIT, 0);
	CHECK(!counts());
	CHECK(death_counts(OPTIONS_DEATH_ALL, &death));
	set(true, PROCESS_END_EXIT, 1);
	CHECK(counts());
	CHECK(!death_counts(OPTIONS_DEATH_NONE, &death));
	set(true, PROCESS_END_EXIT, 0);
	death.exit_kind = FR_EXIT_NORMAL;
	CHECK(!counts());
	death.exit_kind = FR_EXIT_DIRECT;
	CHECK(counts());
	set(true, PROCESS_END_EXEC, 0);
	CHECK(counts());
	end.is_traced = 1;
	CHECK(!counts());
	CHECK(!death_counts(OPTIONS_DEATH_ALL, &death));
}

static void test_signals(void)
{
	static const struct {
		int number;
		bool is_death;
	} signals[] = {
		{ SIGTERM, false },
		{ SIGINT, false },
		{ SIGHUP, false },
		{ SIGPIPE, false },
		{ SIGKILL, true },
		{ SIGSEGV, true },
		{ SIGABRT, true },
		{ SIGQUIT, true },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
		for (int is_main = 0; is_main < 2; is_main++) {
			set(is_main, PROCESS_END_SIGNAL, signals[i].number);
			CHECK_INT(counts(), signals[i].is_death);
			CHECK(death_counts(OPTIONS_DEATH_ALL, &death));
		}
	}
}

static void test_children(void)
{
	set(false, PROCESS_END_EXIT, 1);
	death.exit_kind = FR_EXIT_DIRECT;
	CHECK(!counts());
	set(false, PROCESS_END_UNKNOWN, 0);
	CHECK(!counts());
	set(false, PROCESS_END_EXEC, 0);
	CHECK(!counts());
}

static void test_shell(void)
{
	g_autofree char *name = NULL;

	set(true, PROCESS_END_EXIT, 0);
	g_strlcpy(process.name, "start.sh", sizeof(process.name));
	g_strlcpy(process.exe, "dash", sizeof(process.exe));
	death.exit_kind = FR_EXIT_DIRECT;
	CHECK(!counts());
	end.code = 2;
	CHECK(counts());
	name = death_name(&death);
	CHECK_STR(name, "trace-start.sh-123-exit2");
}

static void check_name(const char *want)
{
	g_autofree char *name = death_name(&death), *file = g_strdup_printf("%s.out", name);
	g_autofree char *again = g_strdup_printf("%s-012.out", name);

	CHECK_STR(name, want);
	CHECK(snapshots_is_death_file(file));
	CHECK(snapshots_is_death_file(again));
	CHECK(!snapshots_is_trigger_file(file));
}

static void test_names(void)
{
	set(true, PROCESS_END_SIGNAL, SIGKILL);
	check_name("trace-redis-server-123-SIGKILL");
	set(true, PROCESS_END_SIGNAL, SIGRTMIN + 2);
	check_name("trace-redis-server-123-SIGRTMIN+2");
	set(true, PROCESS_END_EXIT, 1);
	check_name("trace-redis-server-123-exit1");
	set(true, PROCESS_END_EXIT, 0);
	death.exit_kind = FR_EXIT_DIRECT;
	check_name("trace-redis-server-123-_exit");
	end.code = 3;
	check_name("trace-redis-server-123-_exit3");
	set(true, PROCESS_END_EXEC, 0);
	check_name("trace-redis-server-123-exec");
	set(true, PROCESS_END_UNKNOWN, 0);
	check_name("trace-redis-server-123-end");
	set(true, PROCESS_END_SIGNAL, SIGSEGV);
	g_strlcpy(process.name, "../a b\n;-c", sizeof(process.name));
	check_name("trace-.._a_b__-c-123-SIGSEGV");
	CHECK(!snapshots_is_death_file("trace.out"));
	CHECK(!snapshots_is_death_file("trace-mine.out"));
	CHECK(!snapshots_is_death_file("trace-mine-SIGSEGV.out"));
	CHECK(!snapshots_is_death_file("trace-a-12-SIGSEGV.out.gz"));
	CHECK(!snapshots_is_death_file("trace-20240131T235959Z-001.out"));
	CHECK(!snapshots_is_death_file("trace-a-12-recovered.out"));
}

static void test_trigger_names(void)
{
	g_autofree char *name = snapshots_trigger_name(FR_TRIGGER_SLOW, 1706745599);

	CHECK_STR(name, "trace-slow-20240131T235959Z");
	CHECK(snapshots_is_trigger_file("trace-slow-20240131T235959Z.out"));
	CHECK(snapshots_is_trigger_file("trace-slow-20240131T235959Z-002.out"));
	CHECK(!snapshots_is_trigger_file("trace-20240131T235959Z.out"));
	CHECK(!snapshots_is_trigger_file("trace-fast-20240131T235959Z.out"));
	CHECK(!snapshots_is_trigger_file("trace-slow-mine.out"));
	CHECK(!snapshots_is_death_file("trace-slow-20240131T235959Z.out"));
}

static void check_sentence(const char *want)
{
	g_autofree char *sentence = death_sentence(&death);

	CHECK_STR(sentence, want);
}

static void test_sentences(void)
{
	set(true, PROCESS_END_SIGNAL, SIGKILL);
	check_sentence("redis-server (pid 123) was killed by SIGKILL");
	end.is_oom = 1;
	check_sentence("redis-server (pid 123) was killed by SIGKILL (the kernel was out of memory "
		       "for its cgroup)");
	set(true, PROCESS_END_SIGNAL, SIGSEGV);
	check_sentence("redis-server (pid 123) was killed by SIGSEGV (segmentation fault)");
	crash = (struct fr_crash){ .signal = SIGSEGV, .code = SEGV_MAPERR, .addr = 0x10 };
	death.crash = &crash;
	check_sentence("redis-server (pid 123) was killed by SIGSEGV (segmentation fault at "
		       "address 0x10)");
	crash.is_overflow = 1;
	crash.addr = 0x7ff0;
	check_sentence(
		"redis-server (pid 123) was killed by SIGSEGV (stack overflow at address 0x7ff0)");
	crash = (struct fr_crash){
		.signal = SIGSEGV, .code = SI_USER, .sender_pid = 9, .sender_uid = 33
	};
	check_sentence("redis-server (pid 123) was killed by SIGSEGV (segmentation fault, sent by "
		       "pid 9 of uid 33)");
	/* A crash that was survived is not the end. */
	end.signal = SIGKILL;
	check_sentence("redis-server (pid 123) was killed by SIGKILL");
	set(true, PROCESS_END_EXIT, 1);
	check_sentence("redis-server (pid 123) ended with exit status 1");
	death.exit_kind = FR_EXIT_DIRECT;
	check_sentence("redis-server (pid 123) ended by _exit(1)");
	set(true, PROCESS_END_EXEC, 0);
	check_sentence("redis-server (pid 123) became a program that cannot be traced, by exec()");
}

int main(void)
{
	CASE(test_program, "of the program itself, all but an orderly end counts");
	CASE(test_signals, "a signal that asks a process to end is no death, the others are");
	CASE(test_children, "of its children, signals that nobody sends to end them in order");
	CASE(test_shell, "a shell's _exit(0) is its ordinary end");
	CASE(test_names, "files are named for the death, and known again");
	CASE(test_trigger_names, "files of triggers are named for kind and time");
	CASE(test_sentences, "the sentence says what is known");
	return CHECK_DONE();
}
