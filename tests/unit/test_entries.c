/* SPDX-License-Identifier: MIT */
/*
 * The hooks in assembly, vfork.S and dlopen.S, with all that they use in place of the tracer's: the real functions
 * are reached with what was passed, at the first call and later ones, and the caller goes on in parent and child.
 */
#include "check.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracer/offsets.h"

#define HIDDEN __attribute__((visibility("hidden")))

/* As struct fr_thread begins. */
struct block {
	char bytes[64];
};
_Static_assert(FR_OFFSET_IN_VFORK < sizeof(struct block), "the block holds what vfork.S writes");
extern __thread struct block fr_self HIDDEN;
__thread struct block fr_self;

extern void *fr_real_vfork HIDDEN, *fr_real_dlopen HIDDEN;
extern int fr_answers_dlopen HIDDEN;
void *fr_find_vfork(void) HIDDEN;
void *fr_find_dlopen(void) HIDDEN;
void *fr_answer_dlopen(const char *path, int flags) HIDDEN;
void *fr_real_vfork, *fr_real_dlopen;
int fr_answers_dlopen;
static int n_found_vfork, n_found_dlopen;

/* Uses all registers that a callee may, so that what is not kept is lost. */
static void *find(const char *name, void **real)
{
	char text[200];

	snprintf(text, sizeof(text), "%s %f %d %s", name, 1.5, 7, "so that registers are used");
	*real = dlsym(RTLD_NEXT, name);
	return *real;
}

void *fr_find_vfork(void)
{
	n_found_vfork++;
	return find("vfork", &fr_real_vfork);
}

void *fr_find_dlopen(void)
{
	n_found_dlopen++;
	return find("dlopen", &fr_real_dlopen);
}

static char answer;
void *fr_answer_dlopen(const char *path, int flags)
{
	return flags == RTLD_NOW && strcmp(path, "some library") == 0 ? &answer : NULL;
}

/* The child tells by its exit code whether it was marked: under an emulator its memory may be its own. */
static int code; /* not a variable of the frame that the child shares */

static void vfork_once(void)
{
	volatile int kept = 1000 + code;
	int status = 0;
	/* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork) */
	pid_t pid = vfork();

	if (pid == 0)
		_exit(fr_self.bytes[FR_OFFSET_IN_VFORK] == 1 ? code : 1);
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(WEXITSTATUS(status), code);
	CHECK_INT(fr_self.bytes[FR_OFFSET_IN_VFORK], 0);
	CHECK_INT(kept, 1000 + code);
}

static void test_vfork(void)
{
	for (code = 40; code < 43; code++)
		vfork_once();
	CHECK_INT(n_found_vfork, 1);
}

static void test_dlopen(void)
{
	void *first = dlopen("libm.so.6", RTLD_NOW), *second = dlopen("libm.so.6", RTLD_NOW);

	CHECK(first != NULL);
	CHECK(first == second);
	CHECK(first && dlsym(first, "cos"));
	CHECK(!dlopen("no-such-library.so", RTLD_NOW));
	CHECK(strstr(dlerror(), "no-such-library.so") != NULL);
	CHECK_INT(n_found_dlopen, 1);
}

static void test_answer(void)
{
	void *real = dlopen("libm.so.6", RTLD_NOW);

	fr_answers_dlopen = 1;
	CHECK(dlopen("some library", RTLD_NOW) == &answer);
	CHECK(!dlopen("another", RTLD_NOW));
	fr_answers_dlopen = 0;
	CHECK(dlopen("libm.so.6", RTLD_NOW) == real);
}

int main(void)
{
	CASE(test_vfork, "vfork returns in the child, marked, and in the parent, without the mark");
	CASE(test_dlopen, "dlopen is libc's, at the first call and later ones");
	CASE(test_answer, "dlopen is ours while it is told to answer");
	return CHECK_DONE();
}
