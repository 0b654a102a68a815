/* SPDX-License-Identifier: MIT */
/* C++: exceptions across threads, std::mutex and friends, thread-local objects, new that fails. */
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <future>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct noisy {
	const char *name;
	~noisy()
	{
		std::printf("destructor of %s\n", name);
	}
};

int run_exceptions()
{
	auto job = std::async(std::launch::async, [] {
		noisy guard{ "the thread's guard" };
		throw std::runtime_error("thrown in a thread");
	});

	try {
		job.get();
	} catch (const std::exception &error) {
		std::printf("caught: %s\n", error.what());
	}
	try {
		std::vector<char>().at(5);
	} catch (const std::out_of_range &) {
		std::puts("caught: out of range");
	}
	return 0;
}

int run_locks()
{
	std::mutex mutex;
	std::shared_mutex shared;
	std::condition_variable wake;
	std::once_flag once;
	bool is_ready = false;
	long sum = 0;
	std::vector<std::thread> threads;

	for (int i = 0; i < 4; i++) {
		threads.emplace_back([&] {
			std::unique_lock<std::mutex> lock(mutex);

			wake.wait(lock, [&] { return is_ready; });
			std::call_once(once, [] { std::puts("once"); });
			for (int k = 0; k < 1000; k++)
				sum += k;
			lock.unlock();
			std::shared_lock<std::shared_mutex> reader(shared);
		});
	}
	{
		std::lock_guard<std::mutex> lock(mutex);
		is_ready = true;
	}
	wake.notify_all();
	for (auto &thread : threads)
		thread.join();
	std::printf("sum %ld\n", sum);
	return 0;
}

int run_thread_local()
{
	thread_local noisy here{ "main's object" };
	std::thread([] { thread_local noisy there{ "the thread's object" }; (void)there.name; }).join();
	(void)here.name;
	return 0;
}

int run_bad_alloc()
{
	try {
		volatile std::size_t huge = static_cast<std::size_t>(-1) / 4;
		char *volatile block = new char[huge];
		delete[] block;
	} catch (const std::bad_alloc &) {
		std::puts("caught: bad_alloc");
	}
	return 0;
}

int run_terminate()
{
	std::set_terminate([] {
		std::puts("terminate");
		std::fflush(stdout);
		std::_Exit(31);
	});
	std::thread([] { throw 1; }).join();
	return 0;
}

const struct {
	const char *name;
	int (*run)();
} cases[] = {
	{ "exceptions", run_exceptions },
	{ "locks", run_locks },
	{ "thread_local", run_thread_local },
	{ "bad_alloc", run_bad_alloc },
	{ "terminate", run_terminate },
};

} // namespace

int main(int argc, char **argv)
{
	for (const auto &test : cases) {
		if (argc == 2 && std::strcmp(argv[1], "--list") == 0)
			std::puts(test.name);
		else if (argc == 2 && std::strcmp(argv[1], test.name) == 0)
			return test.run();
	}
	return argc == 2 && std::strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
