/* SPDX-License-Identifier: MIT */
/* The shape of every system call hook: begin, the real call, end. */
#pragma once

#include "tracer/eintr.h"
#include "tracer/internal.h"
#include "tracer/thread.h"

/* A libc call under way; lives in the hook's frame. */
struct call {
	struct thread_wait wait;
	uint64_t begin_ns;
	uint32_t stack;
	uint16_t id;	 /* enum fr_call */
	uint8_t n_heard; /* see call_channel.h; 0: it waits for no channel */
	int32_t fd;
};

int call_begin_slow(struct call *call, unsigned id, int fd, uintptr_t frame);

/* 0: not traced now (off, nested, called by lttng-ust): make the real call and nothing else. */
static inline int call_begin(
	struct call *call, unsigned id, int fd, uintptr_t frame, uintptr_t caller)
{
	if (unlikely(!fr_on) || unlikely(fr_is_lttng(caller)))
		return 0;
	return call_begin_slow(call, id, fd, frame);
}

/*
 * The call returned `ret`, or -errno: totals, event, state. Keeps errno. `path` as proto/schema.md has it for
 * flightrec_syscall:path, or NULL; it is read only when the kernel has read it too (see call_saw_path()).
 */
void call_end(struct call *call, int64_t ret, const char *path);

/* Does the error prove that the kernel has read the path? An address it refused must not be touched by us either. */
int call_saw_path(int64_t ret);

/* An event ahead of the call, for those that do not return when they succeed (exec). */
void call_announce(struct call *call, const char *path);

#define CALL_BEGIN(call, id, fd) call_begin(call, id, fd, FR_FRAME(), FR_RETURN())

/* ret as an event shows it: the result, or -errno. For functions that return -1 on error. */
#define CALL_RESULT(ret) ((ret) == (__typeof__(ret))-1 ? -(int64_t)errno : (int64_t)(ret))

/*
 * A hook: `fd` and `path` are expressions of the arguments (-1 and NULL: none), `result` one of `ret` as
 * call_end() wants it.
 */
#define CALL_HOOK_AS(type, name, call_id, fd, path, result, params, args) \
	FR_REAL(name)                                                     \
	FR_EXPORT type name params                                        \
	{                                                                 \
		struct call call;                                         \
		type ret;                                                 \
                                                                          \
		if (!CALL_BEGIN(&call, FR_CALL_##call_id, fd))            \
			return REAL(name) args;                           \
		ret = REAL(name) args;                                    \
		call_end(&call, result, path);                            \
		return ret;                                               \
	}

/* On a function that returns -1 and sets errno. */
#define CALL_HOOK(type, name, call_id, fd, params, args) \
	CALL_HOOK_AS(type, name, call_id, fd, NULL, CALL_RESULT(ret), params, args)

/* The same for calls that name a file. */
#define CALL_HOOK_PATH(type, name, call_id, fd, path, params, args) \
	CALL_HOOK_AS(type, name, call_id, fd, path, CALL_RESULT(ret), params, args)

/* On a function that returns an error number and leaves errno alone. */
#define CALL_HOOK_RC(type, name, call_id, fd, params, args) \
	CALL_HOOK_AS(type, name, call_id, fd, NULL, -(int64_t)ret, params, args)

/*
 * A hook of a call that the kernel does not restart after a signal of ours (eintr.h). `is_eintr` says of `ret` that the
 * call was interrupted; `again` makes ready for the next time: `wait` is a struct eintr_wait, the arguments are variables.
 */
#define CALL_HOOK_AGAIN_AS(type, name, call_id, fd, result, is_eintr, again, params, args)       \
	FR_REAL(name)                                                                            \
	FR_EXPORT type name params                                                               \
	{                                                                                        \
		struct call call;                                                                \
		int is_traced = CALL_BEGIN(&call, FR_CALL_##call_id, fd);                        \
		struct eintr_wait wait = { .begin_ns = is_traced ? call.begin_ns : call_now() }; \
		type ret;                                                                        \
                                                                                                 \
		for (;;) {                                                                       \
			eintr_begin();                                                           \
			ret = REAL(name) args;                                                   \
			if (likely(!(is_eintr)) || !eintr_is_ours(FR_FRAME()))                   \
				break;                                                           \
			again;                                                                   \
		}                                                                                \
		(void)wait;                                                                      \
		if (likely(is_traced))                                                           \
			call_end(&call, result, NULL);                                           \
		return ret;                                                                      \
	}

/* A call that is not followed now is hardly worth reading a clock; where nothing is, no signal of ours comes. */
static inline uint64_t call_now(void)
{
	return fr_on ? fr_now() : 0;
}

#define CALL_IS_EINTR(ret) ((ret) == -1 && errno == EINTR)

/* On a function that returns -1 and sets errno. */
#define CALL_HOOK_AGAIN(type, name, call_id, fd, again, params, args)                            \
	CALL_HOOK_AGAIN_AS(type, name, call_id, fd, CALL_RESULT(ret), CALL_IS_EINTR(ret), again, \
		params, args)

/* The same for one that takes no time limit, or keeps its own. */
#define CALL_HOOK_SAME(type, name, call_id, fd, params, args) \
	CALL_HOOK_AGAIN(type, name, call_id, fd, (void)0, params, args)
