/* SPDX-License-Identifier: MIT */
/*
 * A shared object for test_unwind.c, built with different PLUGIN_FRAME: the same address in the next one loaded
 * there has another rule. plugin_resolved is bound by a resolver that runs inside lazy binding.
 */
#include "unwind_plugin.h"

static void (*resolver_hook)(void);

__attribute__((noinline)) int plugin_call(void (*hook)(void))
{
	volatile char frame[PLUGIN_FRAME];

	frame[0] = 1;
	resolver_hook = hook;
	hook();
	return frame[0];
}

static int resolved(int value)
{
	return value + 1;
}

__attribute__((used)) static int (*resolve(void))(int)
{
	if (resolver_hook)
		resolver_hook();
	return resolved;
}

int plugin_resolved(int value) __attribute__((ifunc("resolve")));
