/* SPDX-License-Identifier: MIT */
/* Requests of the program to its recorder: HTTP/1.1 over the unix socket RUNDIR/http.sock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ask_reply {
	unsigned status; /* of HTTP */
	char text[512];	 /* the beginning of a body that was not copied, ended by a 0 */
};

/*
 * Asks, and waits for the whole answer. The body of an answer 200 is copied to `fd`; -1: it goes into reply_out->text, as
 * that of any other answer. Returns 0, whatever the status was, or -errno: -ENOTCONN when the process is not traced or
 * no recorder answers, -ETIMEDOUT after two silent minutes, -EPROTO when the answer is not HTTP, else what writing
 * to `fd` gave. It makes its system calls itself: nothing of it is traced, no cancellation point, errno stays, signals
 * only interrupt it for the time of their handlers. Meanwhile the thread's slot shows it waiting for the network at
 * `frame`, that of the exported function. Takes 5 KiB of stack. Context: the program's own call.
 */
int ask(uintptr_t frame, const char *method, const char *target, int fd,
	struct ask_reply *reply_out);

/* 0 for an answer 200, else the error that it stands for: -EINVAL, -EBUSY, -ENOENT, -EACCES, -EAGAIN, -EIO. */
int ask_error(const struct ask_reply *reply);
