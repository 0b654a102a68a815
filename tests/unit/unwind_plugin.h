/* SPDX-License-Identifier: MIT */
/* The shared objects that test_unwind.c loads. */
#pragma once

#define PLUGIN_EXPORT __attribute__((visibility("default")))

/* Calls the hook from a frame of PLUGIN_FRAME bytes. */
PLUGIN_EXPORT int plugin_call(void (*hook)(void));

/* Its first call binds it lazily; the resolver calls the hook of the last plugin_call(). */
PLUGIN_EXPORT int plugin_resolved(int value);

/* Calls plugin_resolved() through a PLT entry that is not bound yet (in another object). */
PLUGIN_EXPORT int plugin_call_lazily(int value);
