/* SPDX-License-Identifier: MIT */
/* Loads and unloads a library whose constructors do work: at one place, in a loop, on many threads. */
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>

#include "cases.h"

static char plugin_path[PATH_MAX];

static int use_plugin(void)
{
	void *library = dlopen(plugin_path, RTLD_NOW);
	int (*answer)(void);
	int result;

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(99);
	}
	answer = (int (*)(void))dlsym(library, "plugin_answer");
	MUST(answer);
	result = answer();
	MUST(dlclose(library) == 0);
	return result;
}

static int run_once(void)
{
	printf("answer %d\n", use_plugin());
	return 0;
}

static int run_churn(void)
{
	int sum = 0;

	for (int i = 0; i < 50; i++)
		sum += use_plugin();
	printf("sum %d\n", sum);
	return 0;
}

static void *use_many(void *arg)
{
	for (int i = 0; i < 20; i++)
		*(int *)arg += use_plugin();
	return NULL;
}

/* The constructors' lines come in any order and number here: they go to /dev/null. */
static int run_threads(void)
{
	pthread_t threads[4];
	int sums[4] = { 0 };

	MUST(freopen("/dev/null", "w", stdout));
	for (int i = 0; i < 4; i++)
		MUST(pthread_create(&threads[i], NULL, use_many, &sums[i]) == 0);
	for (int i = 0; i < 4; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	fprintf(stderr, "sum %d\n", sums[0] + sums[1] + sums[2] + sums[3]);
	return 0;
}

static int run_missing(void)
{
	printf("dlopen: %s\n", dlopen("/nonexistent/library.so", RTLD_NOW) ? "?" : dlerror());
	printf("dlsym: %s\n", dlsym(RTLD_DEFAULT, "no_such_symbol_here") ? "?" : "not found");
	return 0;
}

static const struct test_case cases[] = {
	{ "once", run_once },
	{ "churn", run_churn },
	{ "threads", run_threads },
	{ "missing", run_missing },
};

int main(int argc, char **argv)
{
	char self[PATH_MAX] = "";

	MUST(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(plugin_path, sizeof(plugin_path), "%.4000s/libplugin.so", dirname(self));
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
