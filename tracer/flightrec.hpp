/* SPDX-License-Identifier: MIT */
/* flightrec.h for C++: scopes that end by themselves. See there for what things mean. */
#ifndef FLIGHTREC_HPP
#define FLIGHTREC_HPP

#include "flightrec.h"

#include <string>
#include <utility>

namespace flightrec
{

/* A task that ends with the object, wherever it was moved to. */
class task
{
public:
	explicit task(const char *type, flightrec_task_t parent = 0) : id_(flightrec_task_begin(parent, type))
	{
	}
	task(task &&other) noexcept : id_(std::exchange(other.id_, 0))
	{
	}
	task &operator=(task &&other) noexcept
	{
		if (this != &other) {
			end();
			id_ = std::exchange(other.id_, 0);
		}
		return *this;
	}
	task(const task &) = delete;
	task &operator=(const task &) = delete;
	~task()
	{
		end();
	}
	void end() noexcept
	{
		if (id_)
			flightrec_task_end(std::exchange(id_, 0));
	}
	flightrec_task_t id() const noexcept
	{
		return id_;
	}
	void log(const char *category, const std::string &message) const
	{
		flightrec_log(id_, category, message.c_str());
	}

private:
	flightrec_task_t id_;
};

/* The calling thread works on a task until the end of the scope. */
class task_scope
{
public:
	explicit task_scope(flightrec_task_t id) : before_(flightrec_task_enter(id))
	{
	}
	explicit task_scope(const task &t) : task_scope(t.id())
	{
	}
	task_scope(const task_scope &) = delete;
	task_scope &operator=(const task_scope &) = delete;
	~task_scope()
	{
		flightrec_task_enter(before_);
	}

private:
	flightrec_task_t before_;
};

/* A region from here to the end of the scope. */
class region
{
public:
	explicit region(const char *type, flightrec_task_t task_id = 0) : id_(flightrec_region_begin(task_id, type))
	{
	}
	region(const region &) = delete;
	region &operator=(const region &) = delete;
	~region()
	{
		flightrec_region_end(id_);
	}

private:
	flightrec_region_t id_;
};

/* A label from here to the end of the scope. */
class label
{
public:
	label(const std::string &key, const std::string &value) : depth_(flightrec_label_push(key.c_str(), value.c_str()))
	{
	}
	label(const label &) = delete;
	label &operator=(const label &) = delete;
	~label()
	{
		flightrec_label_pop(depth_);
	}

private:
	int depth_;
};

/* The labels of another thread, handed over with its work, from here to the end of the scope. */
class labels
{
public:
	explicit labels(flightrec_labels_t set) : before_(flightrec_labels_set(set))
	{
	}
	labels(const labels &) = delete;
	labels &operator=(const labels &) = delete;
	~labels()
	{
		flightrec_labels_set(before_);
	}

private:
	flightrec_labels_t before_;
};

/* An entry of a profile, as long as the object lives; its key is the object itself. So it is not moved. */
class profile_entry
{
public:
	explicit profile_entry(flightrec_profile_t *profile, int skip = 0) : profile_(profile)
	{
		flightrec_profile_add(profile_, this, skip);
	}
	profile_entry(const profile_entry &) = delete;
	profile_entry &operator=(const profile_entry &) = delete;
	~profile_entry()
	{
		flightrec_profile_remove(profile_, this);
	}

private:
	flightrec_profile_t *profile_;
};

/* A CPU profile from here to the end of the scope. error() says whether it began. */
class cpu_profile
{
public:
	explicit cpu_profile(int fd, int hz = 0) : error_(flightrec_cpu_profile_start(fd, hz))
	{
	}
	cpu_profile(const cpu_profile &) = delete;
	cpu_profile &operator=(const cpu_profile &) = delete;
	~cpu_profile()
	{
		if (error_ == 0)
			flightrec_cpu_profile_stop();
	}
	int error() const noexcept
	{
		return error_;
	}

private:
	int error_;
};

/* As flightrec_trigger(). */
inline int trigger(const std::string &reason)
{
	return flightrec_trigger(reason.c_str());
}

} // namespace flightrec

#endif
