/* SPDX-License-Identifier: MIT */
/*
 * Programs are compiled here, as users compile theirs, and looked up in. Each prints the addresses that it
 * wants named and then waits, so that cases may look at it running, replaced or gone.
 */
#include "check.h"
#include "run.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>

#include "common/symbol.h"
#include "common/symbol_file.h"
#include "common/symbol_image.h"
#include "common/symbol_span.h"

/* Prints the load bias and three addresses: a plain function, inside an inlined one, a static one. */
static const char program[] =
	"#include <link.h>\n"					       /* 1 */
	"#include <stdio.h>\n"					       /* 2 */
	"#include <unistd.h>\n"					       /* 3 */
	"static volatile int sink;\n"				       /* 4 */
	"static void *here;\n"					       /* 5 */
	"static inline __attribute__((always_inline)) void deepest(void)\n" /* 6 */
	"{\n"							       /* 7 */
	"	sink += 3;\n"					       /* 8 */
	"	__asm__ volatile(\"leaq (%%rip), %0\" : \"=r\"(here));\n" /* 9 */
	"	sink += 4;\n"					       /* 10 */
	"}\n"							       /* 11 */
	"static inline __attribute__((always_inline)) void middle(void)\n" /* 12 */
	"{\n"							       /* 13 */
	"	sink *= 2;\n"					       /* 14 */
	"	deepest();\n"					       /* 15 */
	"}\n"							       /* 16 */
	"__attribute__((noinline)) void outer(void)\n"		       /* 17 */
	"{\n"							       /* 18 */
	"	sink++;\n"					       /* 19 */
	"	middle();\n"					       /* 20 */
	"}\n"							       /* 21 */
	"static __attribute__((noinline)) void hidden(void) { sink--; }\n" /* 22 */
	"static int on(struct dl_phdr_info *i, size_t n, void *p)\n"   /* 23 */
	"{\n"							       /* 24 */
	"	*(unsigned long *)p = i->dlpi_addr;\n"		       /* 25 */
	"	return 1;\n"					       /* 26 */
	"}\n"							       /* 27 */
	"int main(void)\n"					       /* 28 */
	"{\n"							       /* 29 */
	"	unsigned long bias = 0;\n"			       /* 30 */
	"	outer();\n"					       /* 31 */
	"	hidden();\n"					       /* 32 */
	"	dl_iterate_phdr(on, &bias);\n"			       /* 33 */
	"	printf(\"%lx %lx %lx %lx\\n\", bias, (long)here, (long)outer + 1, (long)hidden + 1);\n"
	"	fflush(stdout);\n"
	"	pause();\n"
	"	return 0;\n"
	"}\n";

struct target {
	FILE *output;
	pid_t pid;
	uint64_t bias, inlined, outer, hidden;
	uint8_t build_id[64];
	size_t n_build_id;
	char path[512];
};

/* Starts run_dir/name. */
static int target_start(struct target *target, const char *name)
{
	int ends[2], fd;

	memset(target, 0, sizeof(*target));
	snprintf(target->path, sizeof(target->path), "%s", run_path(name));
	fd = open(target->path, O_RDONLY | O_CLOEXEC);
	target->n_build_id =
		symbol_build_id_of_fd(fd, target->build_id, sizeof(target->build_id));
	close(fd);
	if (pipe(ends) < 0)
		return -1;
	target->pid = fork();
	if (target->pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl(target->path, name, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	target->output = fdopen(ends[0], "re");
	return fscanf(target->output, "%lx %lx %lx %lx", &target->bias, &target->inlined,
		       &target->outer, &target->hidden) == 4 ?
		0 : -1;
}

static void target_stop(struct target *target)
{
	if (target->pid > 0) {
		kill(target->pid, SIGKILL);
		waitpid(target->pid, NULL, 0);
	}
	if (target->output)
		fclose(target->output);
}

static struct symbol_module module_of(const struct target *target, int is_alive)
{
	struct symbol_module module = {
		.path = target->path,
		.build_id = target->build_id,
		.n_build_id = target->n_build_id,
		.base = target->bias,
		.pid = is_alive ? target->pid : 0,
	};

	return module;
}

static struct symbol_batch *look_up(
	const struct symbol_module *module, const uint64_t *pcs, size_t n, size_t *n_without)
{
	struct symbol_batch *batch = symbol_batch_new(NULL);
	uint32_t index = symbol_batch_add_module(batch, module);

	for (size_t i = 0; i < n; i++)
		symbol_batch_add(batch, index, pcs[i]);
	*n_without = symbol_batch_resolve(batch);
	return batch;
}

/* The name of the physical function at `pc`; frames go to the log. "?" when unknown. */
static const char *name_at(struct symbol_batch *batch, uint64_t pc)
{
	size_t n;
	const struct symbol_frame *frames = symbol_batch_lookup(batch, 0, pc, &n);

	return *frames[n - 1].func ? frames[n - 1].func : "?";
}

static int compile(const char *options, const char *name)
{
	run_write("p.c", program, strlen(program));
	return run("%s -D_GNU_SOURCE %s -Wl,--build-id p.c -o %s", TEST_CC, options, name);
}

static void check_inlined(const char *options)
{
	const struct symbol_frame *frames;
	struct symbol_batch *batch;
	struct symbol_module module;
	struct target target;
	size_t n, n_without;

	CHECK_INT(compile(options, "inlined"), 0);
	CHECK_INT(target_start(&target, "inlined"), 0);
	module = module_of(&target, 1);
	batch = look_up(&module, (uint64_t[]){ target.inlined, target.outer, target.hidden }, 3,
		&n_without);
	CHECK_INT(n_without, 0);
	frames = symbol_batch_lookup(batch, 0, target.inlined, &n);
	CHECK_INT(n, 3);
	if (n == 3) {
		CHECK_STR(frames[0].func, "deepest");
		CHECK(frames[0].line == 9 || frames[0].line == 10);
		CHECK_INT(frames[0].func_line, 6);
		CHECK(g_str_has_suffix(frames[0].file, "p.c"));
		CHECK_STR(frames[1].func, "middle");
		CHECK_INT(frames[1].line, 15);
		CHECK_INT(frames[1].func_line, 12);
		CHECK_STR(frames[2].func, "outer");
		CHECK_STR(frames[2].system_name, "outer");
		CHECK_INT(frames[2].line, 20);
		CHECK_INT(frames[2].func_line, 17);
		CHECK(g_str_has_suffix(frames[2].file, "p.c"));
	}
	CHECK_STR(name_at(batch, target.outer), "outer");
	CHECK_STR(name_at(batch, target.hidden), "hidden");
	symbol_batch_free(batch);
	target_stop(&target);
}

static void inlined_pie(void)
{
	check_inlined("-O2 -g -fPIE -pie");
}

static void inlined_no_pie(void)
{
	check_inlined("-O2 -g -fno-pie -no-pie");
}

static void inlined_dwarf4(void)
{
	check_inlined("-O2 -gdwarf-4");
}

static void symbols_only(void)
{
	struct symbol_batch *batch;
	struct symbol_module module;
	struct target target;
	size_t n_without, n;

	CHECK_INT(compile("-O2", "plain"), 0);
	CHECK_INT(target_start(&target, "plain"), 0);
	module = module_of(&target, 1);
	batch = look_up(&module,
		(uint64_t[]){ target.inlined, target.hidden, target.bias + 0x10 }, 3, &n_without);
	CHECK_INT(n_without, 0);
	CHECK_STR(name_at(batch, target.inlined), "outer");
	CHECK_STR(name_at(batch, target.hidden), "hidden");
	/* The ELF header is no code, and an address that nobody asked for is unknown. */
	CHECK_STR(name_at(batch, target.bias + 0x10), "?");
	CHECK_STR(name_at(batch, target.outer), "?");
	CHECK_INT(symbol_batch_lookup(batch, 0, target.inlined, &n)->line, 0);
	symbol_batch_free(batch);
	target_stop(&target);
}

static void stripped(void)
{
	struct symbol_batch *batch;
	struct symbol_module module;
	struct target target;
	size_t n_without;

	CHECK_INT(compile("-O2 -rdynamic", "stripped"), 0);
	CHECK_INT(run("strip stripped"), 0);
	CHECK_INT(target_start(&target, "stripped"), 0);
	module = module_of(&target, 1);
	batch = look_up(&module, (uint64_t[]){ target.outer, target.hidden }, 2, &n_without);
	CHECK_STR(name_at(batch, target.outer), "outer");
	/* Not exported: no name at all, and not that of a neighbour. */
	CHECK_STR(name_at(batch, target.hidden), "?");
	symbol_batch_free(batch);
	target_stop(&target);
}

static void separate_debug_file(void)
{
	struct symbol_batch *batch;
	struct symbol_module module;
	struct target target;
	size_t n_without, n;

	CHECK_INT(compile("-O2 -g", "split"), 0);
	CHECK_INT(run("mkdir -p .debug && objcopy --only-keep-debug split .debug/split.debug && "
		      "strip split && objcopy --add-gnu-debuglink=.debug/split.debug split"),
		0);
	CHECK_INT(target_start(&target, "split"), 0);
	module = module_of(&target, 1);
	batch = look_up(&module, &target.inlined, 1, &n_without);
	symbol_batch_lookup(batch, 0, target.inlined, &n);
	CHECK_INT(n, 3);
	CHECK_STR(name_at(batch, target.inlined), "outer");
	symbol_batch_free(batch);
	/* A debug file of another build must not be taken. */
	CHECK_INT(run("sed -i 's/outer/wrong/' p.c && %s -D_GNU_SOURCE -O1 -g -Wl,--build-id p.c -o other && "
		      "objcopy --only-keep-debug other .debug/split.debug", TEST_CC),
		0);
	batch = look_up(&module, &target.inlined, 1, &n_without);
	CHECK_STR(name_at(batch, target.inlined), "?");
	symbol_batch_free(batch);
	target_stop(&target);
}

static void replaced(void)
{
	struct symbol_batch *batch;
	struct symbol_module module;
	struct target target;
	size_t n_without;

	CHECK_INT(compile("-O2 -g", "replaced"), 0);
	CHECK_INT(target_start(&target, "replaced"), 0);
	CHECK_INT(run("sed 's/outer/wrong/g; s/hidden/alien/g' p.c > q.c && "
		      "%s -D_GNU_SOURCE -O2 -g -Wl,--build-id q.c -o new && mv new replaced", TEST_CC),
		0);
	/* Alive: the old file is still reachable through /proc. */
	module = module_of(&target, 1);
	batch = look_up(&module, &target.outer, 1, &n_without);
	CHECK_STR(name_at(batch, target.outer), "outer");
	CHECK_INT(n_without, 0);
	symbol_batch_free(batch);
	/* Gone: unknown, never the name in the new file. */
	target_stop(&target);
	module = module_of(&target, 0);
	batch = look_up(&module, (uint64_t[]){ target.outer, target.hidden }, 2, &n_without);
	CHECK_STR(name_at(batch, target.outer), "?");
	CHECK_STR(name_at(batch, target.hidden), "?");
	CHECK_INT(n_without, 1);
	symbol_batch_free(batch);
}

static void deleted_without_build_id(void)
{
	struct symbol_batch *batch;
	struct symbol_module module;
	struct target target;
	size_t n_without;

	run_write("p.c", program, strlen(program));
	CHECK_INT(run("%s -D_GNU_SOURCE -O2 -Wl,--build-id=none p.c -o noid", TEST_CC), 0);
	CHECK_INT(target_start(&target, "noid"), 0);
	CHECK_INT(target.n_build_id, 0);
	CHECK_INT(run("sed 's/outer/wrong/g' p.c > q.c && %s -D_GNU_SOURCE -O2 -Wl,--build-id=none q.c -o n && "
		      "mv n noid", TEST_CC),
		0);
	module = module_of(&target, 1);
	module.build_id = NULL;
	batch = look_up(&module, &target.outer, 1, &n_without);
	/* The mapped file through map_files; without the right to open that, unknown. */
	CHECK(!strcmp(name_at(batch, target.outer), "outer") ||
		!strcmp(name_at(batch, target.outer), "?"));
	symbol_batch_free(batch);
	target_stop(&target);
}

static void missing(void)
{
	struct symbol_module module = { .path = "/nonexistent/x.so", .base = 0x1000 };
	struct symbol_batch *batch;
	size_t n_without;
	uint64_t pc = 0x1234;

	batch = look_up(&module, &pc, 1, &n_without);
	CHECK_INT(n_without, 1);
	CHECK_STR(name_at(batch, pc), "?");
	symbol_batch_free(batch);
	run_write("garbage", "\177ELF garbage", 12);
	module.path = run_path("garbage");
	batch = look_up(&module, &pc, 1, &n_without);
	CHECK_INT(n_without, 1);
	CHECK_STR(name_at(batch, pc), "?");
	symbol_batch_free(batch);
	module.path = "/dev/zero";
	batch = look_up(&module, &pc, 1, &n_without);
	CHECK_INT(n_without, 1);
	symbol_batch_free(batch);
}

static void templates(void)
{
	static const char source[] =
		"#include <cstdio>\n#include <unistd.h>\n"
		"namespace ns { template <class T> struct box { T v; __attribute__((noinline)) T get(int); };\n"
		"template <class T> T box<T>::get(int) { asm(\"\"); return v; } }\n"
		"template struct ns::box<int>;\n"
		"int main() { ns::box<int> b{1}; auto f = &ns::box<int>::get; long p[2];\n"
		"  __builtin_memcpy(p, &f, 16); auto l = [](int x) __attribute__((noinline)) {\n"
		"  asm(\"\"); return x + 1; }; int (*lp)(int) = l; lp(b.get(2)); long base = 0;\n"
		"  printf(\"%lx %lx %lx %lx\\n\", base, p[0], p[0] + 1, (long)lp); fflush(stdout); pause(); }\n";
	static const char *const options[] = { "-O1 -g", "-O1" };

	run_write("t.cc", source, strlen(source));
	for (size_t i = 0; i < 2; i++) {
		struct symbol_batch *batch;
		struct symbol_module module;
		struct target target;
		size_t n_without, n;

		CHECK_INT(run("%s %s -no-pie -Wl,--build-id t.cc -o templates", TEST_CXX, options[i]), 0);
		CHECK_INT(target_start(&target, "templates"), 0);
		module = module_of(&target, 1);
		batch = look_up(&module, (uint64_t[]){ target.inlined, target.outer }, 2, &n_without);
		CHECK_STR(name_at(batch, target.outer), "ns::box<int>::get");
		CHECK_STR(symbol_batch_lookup(batch, 0, target.outer, &n)->system_name,
			"_ZN2ns3boxIiE3getEi");
		symbol_batch_free(batch);
		target_stop(&target);
	}
}

static void libc_aliases(void)
{
	static const char *const names[] = { "read", "write", "malloc", "epoll_wait", "nanosleep" };
	Dl_info info;

	CHECK(dladdr(dlsym(RTLD_DEFAULT, "puts"), &info) != 0);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		uint64_t pc = (uintptr_t)dlvsym(RTLD_NEXT, names[i], "GLIBC_2.2.5");
		struct symbol_module module = {
			.path = info.dli_fname,
			.base = (uintptr_t)info.dli_fbase,
		};
		struct symbol_batch *batch;
		size_t n_without;

		if (!pc)
			pc = (uintptr_t)dlsym(RTLD_NEXT, names[i]);
		/* A sanitizer's wrapper is no part of libc. */
		if (pc < module.base || pc > module.base + (4 << 20))
			continue;
		batch = look_up(&module, &pc, 1, &n_without);
		CHECK(strstr(name_at(batch, pc), names[i]) != NULL);
		CHECK(name_at(batch, pc)[0] != '_');
		symbol_batch_free(batch);
	}
}

static void plt(void)
{
	struct symbol_module module = { .path = run_path("plt") };
	struct symbol_image *image;
	const GArray *spans;
	unsigned n_found = 0;
	int fd;

	CHECK_INT(compile("-O2 -Wl,-z,lazy", "plt"), 0);
	if (symbol_file_open(&module, &fd) != 0 || symbol_image_open(&module, fd, &image) != 0) {
		CHECK(!"the program can be opened");
		return;
	}
	spans = symbol_image_symbols(image);
	for (guint i = 0; i < spans->len; i++) {
		const struct symbol_span *span = &g_array_index(spans, struct symbol_span, i);

		n_found += strcmp(span->name, "pause@plt") == 0;
	}
	CHECK(n_found >= 1);
	symbol_image_free(image);
}

static void vdso(void)
{
	uint64_t base = getauxval(AT_SYSINFO_EHDR), pc = 0;
	struct symbol_module module = { .path = "[vdso]", .base = base };
	void *handle = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	struct symbol_batch *batch;
	size_t n_without;

	if (handle)
		pc = (uintptr_t)dlsym(handle, "__vdso_clock_gettime");
	CHECK(pc != 0);
	batch = look_up(&module, &pc, 1, &n_without);
	CHECK(strstr(name_at(batch, pc), "clock_gettime") != NULL);
	symbol_batch_free(batch);
	/* Another kernel's image (a blackbox from elsewhere) has another build-id. */
	module.build_id = (const uint8_t *)"0123456789";
	module.n_build_id = 10;
	batch = look_up(&module, &pc, 1, &n_without);
	CHECK_STR(name_at(batch, pc), "?");
	symbol_batch_free(batch);
	if (handle)
		dlclose(handle);
}

static void in_two_steps(void)
{
	struct symbol_batch *batch = symbol_batch_new(NULL);
	const struct symbol_frame *before, *after;
	struct symbol_module module;
	struct target target;
	uint32_t index;
	size_t n;

	CHECK_INT(compile("-O2 -g", "steps"), 0);
	CHECK_INT(target_start(&target, "steps"), 0);
	module = module_of(&target, 1);
	index = symbol_batch_add_module(batch, &module);
	CHECK_INT(symbol_batch_add_module(batch, &module), index);
	symbol_batch_add(batch, index, target.outer);
	symbol_batch_add(batch, index, target.outer);
	CHECK_INT(symbol_batch_resolve(batch), 0);
	before = symbol_batch_lookup(batch, index, target.outer, &n);
	symbol_batch_add(batch, index, target.hidden);
	symbol_batch_add(batch, index, target.outer);
	CHECK_INT(symbol_batch_resolve(batch), 0);
	after = symbol_batch_lookup(batch, index, target.outer, &n);
	CHECK(before == after);
	CHECK_STR(name_at(batch, target.hidden), "hidden");
	symbol_batch_free(batch);
	target_stop(&target);
}

int main(void)
{
	run_init("test_symbol");
	CASE(inlined_pie, "inlined frames and lines of a PIE");
	CASE(inlined_no_pie, "inlined frames and lines of a program at a fixed address");
	CASE(inlined_dwarf4, "inlined frames and lines from DWARF 4");
	CASE(symbols_only, "names from .symtab without debug information");
	CASE(stripped, "a stripped program has its exported names and no others");
	CASE(separate_debug_file, "a debug file is found by its link, and only when it fits");
	CASE(replaced, "a replaced program is named from /proc while it runs, then unknown");
	CASE(deleted_without_build_id, "without a build-id a replaced file is not trusted");
	CASE(missing, "files that are missing or no ELF give unknown");
	CASE(templates, "C++ template names, with and without debug information");
	CASE(libc_aliases, "libc functions get the name that people call");
	CASE(plt, "PLT stubs are named after what they call");
	CASE(vdso, "the vDSO has names, another kernel's has not");
	CASE(in_two_steps, "a second resolve keeps the first one's frames");
	run_fini();
	return CHECK_DONE();
}
