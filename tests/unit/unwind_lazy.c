/* SPDX-License-Identifier: MIT */
/* Linked with lazy binding against a plugin, so that its call goes through the loader's resolver once. */
#include "unwind_plugin.h"

int plugin_call_lazily(int value)
{
	return plugin_resolved(value) + 1;
}
