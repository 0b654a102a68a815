/* SPDX-License-Identifier: MIT */
/* See session.h. Transitions: IDLE → STARTING → RECORDING → ENDING → IDLE; STARTING → IDLE on failure. */
#include "recorder/session.h"

int session_begin(
	struct session *session, enum session_kind kind, uint64_t duration_ns, uint64_t *id_out)
{
	if (session->state != SESSION_IDLE)
		return SESSION_E_BUSY;
	session->state = SESSION_STARTING;
	session->kind = kind;
	session->reason = SESSION_END_NONE;
	session->duration_ns = duration_ns;
	session->begin_ns = session->deadline_ns = 0;
	*id_out = ++session->id;
	return 0;
}

/* True when `id` is the recording that is on. */
static bool is_current(const struct session *session, uint64_t id)
{
	return session->state != SESSION_IDLE && session->id == id;
}

int session_started(struct session *session, uint64_t id, uint64_t now_ns)
{
	if (!is_current(session, id) || session->state != SESSION_STARTING)
		return SESSION_E_STALE;
	session->state = SESSION_RECORDING;
	session->begin_ns = now_ns;
	if (session->duration_ns)
		session->deadline_ns = now_ns + session->duration_ns;
	return 0;
}

int session_end(struct session *session, uint64_t id, enum session_end reason)
{
	if (!is_current(session, id))
		return SESSION_E_STALE;
	if (session->state == SESSION_ENDING || session->reason != SESSION_END_NONE)
		return SESSION_E_ENDING;
	session->reason = reason;
	return 0;
}

bool session_is_due(struct session *session, uint64_t now_ns)
{
	if (session->state != SESSION_RECORDING)
		return false;
	if (session->reason == SESSION_END_NONE && session->deadline_ns &&
		now_ns >= session->deadline_ns)
		session->reason = SESSION_END_DURATION;
	return session->reason != SESSION_END_NONE;
}

int session_ending(struct session *session, uint64_t id)
{
	if (!is_current(session, id) || session->state != SESSION_RECORDING)
		return SESSION_E_STALE;
	session->state = SESSION_ENDING;
	return 0;
}

int session_finished(struct session *session, uint64_t id)
{
	if (!is_current(session, id))
		return SESSION_E_STALE;
	session->state = SESSION_IDLE;
	return 0;
}

const char *session_kind_name(enum session_kind kind)
{
	static const char *const names[] = { "run", "pprof", "trace" };

	return names[kind];
}

const char *session_state_name(enum session_state state)
{
	static const char *const names[] = { "idle", "starting", "recording", "writing" };

	return names[state];
}

const char *session_end_name(enum session_end reason)
{
	static const char *const names[] = {
		"",
		"duration",
		"stop",
		"exit",
		"size_cap",
		"disk_full",
		"disconnect",
	};

	return names[reason];
}
