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

} // namespace flightrec

#endif
