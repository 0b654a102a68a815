/* SPDX-License-Identifier: MIT */
/*
 * setuid() and its kin. libc carries them out in every thread and aborts the program when one of them
 * succeeds and another fails. In a program of one thread the others are liblttng-ust's and ours, which it knows
 * nothing of: one that has set its own capabilities or PR_SET_KEEPCAPS (setpriv, daemons that keep one capability)
 * may be allowed what they are not. Then the call is made for the calling thread alone, as libc does
 * where there is one thread.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/types.h>
#include <unistd.h>

#include "tracer/census.h"
#include "tracer/internal.h"
#include "tracer/process.h"
#include "tracer/sys.h"

struct capabilities {
	struct __user_cap_data_struct word[_LINUX_CAPABILITY_U32S_3];
};

static int capabilities_read(uint32_t tid, struct capabilities *out)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, (int)tid };

	return (int)sys(SYS_capget, &header, out->word);
}

static int is_same(const struct capabilities *a, const struct capabilities *b)
{
	unsigned i;

	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (a->word[i].effective != b->word[i].effective ||
			a->word[i].permitted != b->word[i].permitted)
			return 0;
	return 1;
}

/* Would libc abort the program, perhaps? */
static int is_apart(void)
{
	struct capabilities self = { 0 }, other = { 0 };
	uint32_t i, tid;

	if (!process_is_ready() || fr_self.in_vfork || !census_is_single() ||
		capabilities_read(0, &self) < 0)
		return 0;
	for (i = 0; i < CENSUS_MAX_OWN; i++) {
		tid = census_own(i);
		if (tid && capabilities_read(tid, &other) == 0 && !is_same(&self, &other))
			return 1;
	}
	return 0;
}

static int result(long ret)
{
	if (ret >= 0)
		return (int)ret;
	errno = (int)-ret;
	return -1;
}

/* clang-format off */
#define CRED_HOOK(name, params, args, ...)                                  \
	FR_REAL(name)                                                       \
	FR_EXPORT int name params                                           \
	{                                                                   \
		return unlikely(is_apart()) ? result(sys(__VA_ARGS__)) : REAL(name) args; \
	}

CRED_HOOK(setuid, (uid_t uid), (uid), SYS_setuid, uid)
CRED_HOOK(setgid, (gid_t gid), (gid), SYS_setgid, gid)
CRED_HOOK(seteuid, (uid_t uid), (uid), SYS_setresuid, -1, uid, -1)
CRED_HOOK(setegid, (gid_t gid), (gid), SYS_setresgid, -1, gid, -1)
CRED_HOOK(setreuid, (uid_t ruid, uid_t euid), (ruid, euid), SYS_setreuid, ruid, euid)
CRED_HOOK(setregid, (gid_t rgid, gid_t egid), (rgid, egid), SYS_setregid, rgid, egid)
CRED_HOOK(setresuid, (uid_t ruid, uid_t euid, uid_t suid), (ruid, euid, suid), SYS_setresuid, ruid, euid, suid)
CRED_HOOK(setresgid, (gid_t rgid, gid_t egid, gid_t sgid), (rgid, egid, sgid), SYS_setresgid, rgid, egid, sgid)
CRED_HOOK(setgroups, (size_t n, const gid_t *groups), (n, groups), SYS_setgroups, n, groups)
/* clang-format on */
