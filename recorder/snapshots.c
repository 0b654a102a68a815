/* SPDX-License-Identifier: MIT */
#include "recorder/snapshots.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "common/log.h"
#include "common/units.h"
#include "proto/schema.h"
#include "recorder/death_profiles.h"
#include "recorder/store.h"

struct snapshots {
	struct snapshots_settings set;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	GQueue waiting; /* owned struct snapshot_order */
	bool is_writing, is_quitting;
	struct snapshots_status status;
};

static const char *const kind_names[] = {
#define FR_X(id, name) name,
	FR_TRIGGER_TABLE(FR_X)
#undef FR_X
};

void snapshot_order_fini(struct snapshot_order *order)
{
	g_free(order->name);
	g_free(order->said);
	g_free(order->death);
	g_free(order->reason);
	*order = (struct snapshot_order){ 0 };
}

char *snapshots_trigger_name(uint32_t kind, int64_t seconds)
{
	g_autofree char *stamped = store_kept_name(seconds, 0);

	/* "trace-STAMP.out" */
	stamped[strlen(stamped) - strlen(".out")] = '\0';
	return g_strdup_printf("trace-%s-%s", kind < FR_TRIGGER_N ? kind_names[kind] : "trigger",
		stamped + strlen("trace-"));
}

bool snapshots_is_trigger_file(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kind_names); i++) {
		g_autofree char *prefix = g_strdup_printf("trace-%s-", kind_names[i]);
		g_autofree char *plain = NULL;

		if (!g_str_has_prefix(name, prefix))
			continue;
		plain = g_strdup_printf("trace-%s", name + strlen(prefix));
		return store_is_kept_name(plain);
	}
	return false;
}

/* Length of "-NNN.out" or ".out" at the end of the name; 0: neither. */
static size_t ending_length(const char *name)
{
	size_t n = strlen(name);

	if (!g_str_has_suffix(name, ".out"))
		return 0;
	if (n > 8 && name[n - 8] == '-' && g_ascii_isdigit(name[n - 7]) &&
		g_ascii_isdigit(name[n - 6]) && g_ascii_isdigit(name[n - 5]))
		return 8;
	return 4;
}

/* "SIGKILL", "exit1", "exec", "_exit", "_exit3", "end". */
static bool is_reason(const char *text)
{
	static const char *const numbered[] = { "exit", "_exit" };

	if (strcmp(text, "exec") == 0 || strcmp(text, "end") == 0)
		return true;
	if (g_str_has_prefix(text, "SIG") || g_str_has_prefix(text, "signal"))
		return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZsignal+0123456789") == strlen(text);
	for (size_t i = 0; i < G_N_ELEMENTS(numbered); i++) {
		size_t n = strlen(numbered[i]);

		if (strncmp(text, numbered[i], n) == 0)
			return strspn(text + n, "0123456789") == strlen(text + n);
	}
	return false;
}

bool snapshots_is_death_file(const char *name)
{
	g_autofree char *stem = NULL;
	size_t n = ending_length(name);
	char *reason, *pid;

	if (!n || !g_str_has_prefix(name, "trace-"))
		return false;
	stem = g_strndup(name + strlen("trace-"), strlen(name) - strlen("trace-") - n);
	reason = strrchr(stem, '-');
	if (!reason || !is_reason(reason + 1))
		return false;
	*reason = '\0';
	pid = strrchr(stem, '-');
	return pid && pid > stem && pid[1] && strspn(pid + 1, "0123456789") == strlen(pid + 1);
}

/* "…; the last 12.5s are in FILE" */
static void tell(const struct snapshot_order *order, const struct recording_info *info)
{
	/* Tenths of a second are enough for people, unless there are none. */
	uint64_t unit = info->covered_ns < 1000000000 ? 1000000 : 100000000;
	char window[64];

	if (!order->said)
		return;
	units_duration_format((int64_t)(info->covered_ns / unit * unit), window, sizeof(window));
	log_say("%s; the last %s are in %s", order->said, window, info->file);
}

static void write_one(struct snapshots *snapshots, const struct snapshot_order *order)
{
	struct death_profiles members = {
		.profiles = snapshots->set.profiles,
		.pid = order->profiles_pid,
		.cpu_hz = snapshots->set.cpu_hz,
		.end_ns = order->trigger.time_ns,
	};
	struct trace_trigger trigger = order->trigger;
	struct recording_snapshot_request request = {
		.name = order->name,
		.death = order->death,
		.death_signal = order->death_signal,
		.trigger = order->has_trigger ? &trigger : NULL,
		.has_names = true,
	};
	struct recording_info *info = g_new0(struct recording_info, 1);
	g_autofree char *why = NULL;
	int rc;

	trigger.reason = order->reason;
	if (order->profiles_pid) {
		request.add_members = death_profiles_add;
		request.members = &members;
	}
	rc = recording_snapshot(snapshots->set.recording, &request, info, &why);
	if (rc)
		log_error("%s, but no trace of it could be written: %s",
			order->said ? order->said : order->name, why);
	else
		tell(order, info);
	store_retain_kind(snapshots->set.output_dir,
		order->death ? snapshots_is_death_file : snapshots_is_trigger_file,
		snapshots->set.keep);
	pthread_mutex_lock(&snapshots->mutex);
	if (rc)
		snapshots->status.n_failed++;
	else
		snapshots->status.n_written++;
	if (!rc)
		g_strlcpy(snapshots->status.last_file, info->file,
			sizeof(snapshots->status.last_file));
	pthread_mutex_unlock(&snapshots->mutex);
	g_free(info);
}

static void *thread_main(void *arg)
{
	struct snapshots *snapshots = arg;

	pthread_setname_np(pthread_self(), "snapshots");
	pthread_mutex_lock(&snapshots->mutex);
	for (;;) {
		struct snapshot_order *order = g_queue_pop_head(&snapshots->waiting);

		if (!order && snapshots->is_quitting)
			break;
		if (!order) {
			pthread_cond_wait(&snapshots->changed, &snapshots->mutex);
			continue;
		}
		snapshots->is_writing = true;
		pthread_mutex_unlock(&snapshots->mutex);
		write_one(snapshots, order);
		snapshot_order_fini(order);
		g_free(order);
		pthread_mutex_lock(&snapshots->mutex);
		snapshots->is_writing = false;
		pthread_cond_broadcast(&snapshots->changed);
	}
	pthread_mutex_unlock(&snapshots->mutex);
	return NULL;
}

int snapshots_new(const struct snapshots_settings *settings, struct snapshots **snapshots_out)
{
	struct snapshots *snapshots = g_new0(struct snapshots, 1);
	int err;

	snapshots->set = *settings;
	g_queue_init(&snapshots->waiting);
	pthread_mutex_init(&snapshots->mutex, NULL);
	pthread_cond_init(&snapshots->changed, NULL);
	err = -pthread_create(&snapshots->thread, NULL, thread_main, snapshots);
	if (err) {
		g_free(snapshots);
		return err;
	}
	*snapshots_out = snapshots;
	return 0;
}

void snapshots_free(struct snapshots *snapshots)
{
	if (!snapshots)
		return;
	pthread_mutex_lock(&snapshots->mutex);
	snapshots->is_quitting = true;
	pthread_cond_broadcast(&snapshots->changed);
	pthread_mutex_unlock(&snapshots->mutex);
	pthread_join(snapshots->thread, NULL);
	pthread_mutex_destroy(&snapshots->mutex);
	pthread_cond_destroy(&snapshots->changed);
	g_free(snapshots);
}

/* Takes the content of `order` over. */
static struct snapshot_order *copy_order(struct snapshot_order *order)
{
	struct snapshot_order *copy = g_new(struct snapshot_order, 1);

	*copy = *order;
	*order = (struct snapshot_order){ 0 };
	return copy;
}

bool snapshots_submit(struct snapshots *snapshots, struct snapshot_order *order)
{
	bool is_fine;

	pthread_mutex_lock(&snapshots->mutex);
	is_fine = snapshots->waiting.length < SNAPSHOTS_MAX_WAITING;
	if (is_fine)
		g_queue_push_tail(&snapshots->waiting, copy_order(order));
	else
		snapshots->status.n_dropped++;
	pthread_cond_broadcast(&snapshots->changed);
	pthread_mutex_unlock(&snapshots->mutex);
	snapshot_order_fini(order);
	return is_fine;
}

void snapshots_drain(struct snapshots *snapshots)
{
	pthread_mutex_lock(&snapshots->mutex);
	while (snapshots->waiting.length || snapshots->is_writing)
		pthread_cond_wait(&snapshots->changed, &snapshots->mutex);
	pthread_mutex_unlock(&snapshots->mutex);
}

void snapshots_write_now(struct snapshots *snapshots, struct snapshot_order *order)
{
	pthread_mutex_lock(&snapshots->mutex);
	g_queue_push_head(&snapshots->waiting, copy_order(order));
	pthread_cond_broadcast(&snapshots->changed);
	pthread_mutex_unlock(&snapshots->mutex);
	snapshots_drain(snapshots);
}

void snapshots_status(struct snapshots *snapshots, struct snapshots_status *status_out)
{
	pthread_mutex_lock(&snapshots->mutex);
	*status_out = snapshots->status;
	pthread_mutex_unlock(&snapshots->mutex);
}
