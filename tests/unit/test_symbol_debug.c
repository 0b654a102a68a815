/* SPDX-License-Identifier: MIT */
/*
 * Debug information in all the places where distributions and compilers put it, made by the real tools. Each
 * program holds the address of an instruction inside an inlined function in its section .here, so that it need not run.
 */
#include "check.h"
#include "run.h"

#include <fcntl.h>
#include <inttypes.h>

#include "common/symbol.h"
#include "common/symbol_file.h"

static const char header[] = "static inline __attribute__((always_inline)) int deepest(int x)\n"
			     "{\n"
			     "	x += 3;\n"
			     "	__asm__ volatile(\"1: nop\\n.pushsection .here,\\\"a\\\"\\n\"\n"
			     "		\".quad 1b\\n.popsection\\n\");\n"
			     "	return x * 2;\n"
			     "}\n";

static const char source[] = "#include \"inline.h\"\n"
			     "static __attribute__((noinline)) int hidden(int x)\n"
			     "{\n"
			     "	return deepest(x) + 1;\n"
			     "}\n"
			     "int main(int argc, char **argv)\n"
			     "{\n"
			     "	(void)argv;\n"
			     "	return hidden(argc);\n"
			     "}\n";

/* All that there is to know, and what the symbol table alone gives. */
#define FULL "deepest inline.h:4 < hidden main.c:4"
#define NAME_ONLY "hidden"
#define NOTHING "?"

static int build(const char *cc, const char *options, const char *name)
{
	run_write("inline.h", header, strlen(header));
	run_write("main.c", source, strlen(source));
	return run("rm -rf %s %s.dwp *.dwo .debug; %s -O1 -no-pie -Wl,--build-id %s main.c -o %s",
		name, name, cc, options, name);
}

/* The address in .here; to be asked for before the program is stripped of anything. */
static uint64_t address_of(const char *name)
{
	uint64_t addr = 0;

	CHECK_INT(run("objcopy -O binary --only-section=.here %s here.bin && od -An -tu8 here.bin",
			  name),
		0);
	sscanf(run_output, "%" SCNu64, &addr);
	CHECK(addr != 0);
	return addr;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What a batch says about the address in the program. To g_free(). */
static char *frames_at(const char *name, uint64_t addr)
{
	char path[512];
	uint8_t build_id[64];
	struct symbol_module module = { .path = path, .build_id = build_id };
	struct symbol_batch *batch = symbol_batch_new(NULL);
	const struct symbol_frame *frames;
	GString *text = g_string_new(NULL);
	uint32_t index;
	size_t n;
	int fd;

	snprintf(path, sizeof(path), "%s", run_path(name));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	module.n_build_id = symbol_build_id_of_fd(fd, build_id, sizeof(build_id));
	CHECK(module.n_build_id > 0);
	close(fd);
	index = symbol_batch_add_module(batch, &module);
	symbol_batch_add(batch, index, addr);
	symbol_batch_resolve(batch);
	frames = symbol_batch_lookup(batch, index, addr, &n);
	for (size_t i = 0; i < n; i++) {
		g_string_append_printf(text, "%s%s", i ? " < " : "", frames[i].func);
		if (frames[i].line)
			g_string_append_printf(
				text, " %s:%u", base_name(frames[i].file), frames[i].line);
	}
	if (!text->len)
		g_string_assign(text, NOTHING);
	symbol_batch_free(batch);
	return g_string_free(text, FALSE);
}

static void check_frames(const char *name, uint64_t addr, const char *want)
{
	char *got = frames_at(name, addr);

	CHECK_STR(got, want);
	g_free(got);
}

/* As Fedora ships it: the symbols that .dynsym lacks, compressed, in the stripped program. */
static void mini_debug_info(void)
{
	uint64_t addr;

	CHECK_INT(build(TEST_CC, "", "mini"), 0);
	addr = address_of("mini");
	CHECK_INT(run("objcopy --only-keep-debug mini mini.debug && "
		      "nm mini --format=posix --defined-only | awk '$2 ~ /^[tT]$/ {print $1}' > "
		      "keep && "
		      "objcopy -S --remove-section .comment --keep-symbols=keep mini.debug "
		      "mini.small && "
		      "strip mini"),
		0);
	check_frames("mini", addr, NOTHING);
	CHECK_INT(
		run("xz -f mini.small && objcopy --add-section .gnu_debugdata=mini.small.xz mini"),
		0);
	check_frames("mini", addr, NAME_ONLY);
}

/* `name`.debug goes where packages with debug symbols put it; returns that path. */
static const char *install_debug_file(const char *name)
{
	static char path[300];
	uint8_t id[64];
	int fd = open(run_path(name), O_RDONLY | O_CLOEXEC), n = 0;
	size_t n_id = symbol_build_id_of_fd(fd, id, sizeof(id));

	close(fd);
	n = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%02x/", id[0]);
	for (size_t i = 1; i < n_id; i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%02x", id[i]);
	snprintf(path + n, sizeof(path) - (size_t)n, ".debug");
	CHECK_INT(run("mkdir -p $(dirname %s) && mv %s.debug %s", path, name, path), 0);
	return path;
}

static void by_build_id(void)
{
	const char *path;
	uint64_t addr;

	if (geteuid() != 0) {
		printf("# not root: /usr/lib/debug cannot be written to\n");
		CHECK(access("/usr/lib/debug/.build-id", W_OK) != 0);
		return;
	}
	CHECK_INT(build(TEST_CC, "-g", "installed"), 0);
	addr = address_of("installed");
	CHECK_INT(run("objcopy --only-keep-debug installed installed.debug && strip installed"), 0);
	check_frames("installed", addr, NOTHING);
	path = install_debug_file("installed");
	check_frames("installed", addr, FULL);
	/* A file of another build in its place is not believed. */
	CHECK_INT(run("sed -i 's/hidden/wrong/g' main.c && %s -O1 -g -no-pie -Wl,--build-id main.c "
		      "-o other && "
		      "objcopy --only-keep-debug other %s",
			  TEST_CC, path),
		0);
	check_frames("installed", addr, NOTHING);
	CHECK_INT(run("rm -f %s; rmdir --ignore-fail-on-non-empty $(dirname %s)", path, path), 0);
}

/* What dwz reads of TEST_CC: of DWARF 5 it does not know .debug_addr, which clang makes for every program. */
#ifdef __clang__
#define DWZ_DEBUG "-gdwarf-4"
#else
#define DWZ_DEBUG "-g"
#endif

/* What two programs have in common, in a file of its own. `name` is how they refer to it. */
static void check_dwz(const char *name)
{
	uint64_t addr;

	CHECK_INT(build(TEST_CC, DWZ_DEBUG, "one"), 0);
	addr = address_of("one");
	CHECK_INT(run("cp main.c two.c && echo 'int two;' >> two.c && rm -f shared.debug && "
		      "%s -O1 " DWZ_DEBUG
		      " -no-pie -Wl,--build-id two.c -o two && dwz -m shared.debug -M %s "
		      "one two && "
		      "readelf -S one | grep -q gnu_debugaltlink",
			  TEST_CC, name),
		0);
	check_frames("one", addr, FULL);
	/* Gone: what is left must not be wrong. The program itself names the function. */
	CHECK_INT(run("mv shared.debug moved.debug"), 0);
	check_frames("one", addr, "hidden main.c:4");
	/* Another file of that name is not believed. */
	CHECK_INT(run("sed 's/deepest/wrongly/g' inline.h > i && mv i inline.h && "
		      "sed -i 's/deepest/wrongly/g' main.c two.c && "
		      "%s -O1 " DWZ_DEBUG " -no-pie -Wl,--build-id main.c -o three && "
		      "%s -O1 " DWZ_DEBUG
		      " -no-pie -Wl,--build-id two.c -o four && dwz -m shared.debug -M %s "
		      "three four",
			  TEST_CC, TEST_CC, name),
		0);
	check_frames("one", addr, "hidden main.c:4");
}

static void dwz(void)
{
	check_dwz("shared.debug");
	check_dwz(run_path("shared.debug"));
}

static void check_split(const char *cc, const char *options)
{
	uint64_t addr;

	printf("# %s %s\n", cc, options);
	CHECK_INT(build(cc, options, "split"), 0);
	addr = address_of("split");
	CHECK_INT(run("ls *.dwo"), 0);
	check_frames("split", addr, FULL);
	/* The skeleton alone has the line, and the symbol table the function. */
	CHECK_INT(run("mkdir -p away && mv *.dwo away/"), 0);
	check_frames("split", addr, "hidden inline.h:4");
	/* Of another compilation: not believed. */
	CHECK_INT(
		run("mkdir -p new && cd new && sed 's/deepest/wrongly/g' ../inline.h > inline.h && "
		    "sed 's/deepest/wrongly/g' ../main.c > main.c && rm -f *.dwo && "
		    "%s -O1 -no-pie %s main.c -o split && mv *.dwo ../$(cd ../away && ls *.dwo)",
			cc, options),
		0);
	check_frames("split", addr, "hidden inline.h:4");
	CHECK_INT(run("rm -rf away new"), 0);
}

static void split_dwarf(void)
{
	check_split("gcc", "-g -gsplit-dwarf");
	check_split("gcc", "-gdwarf-4 -gsplit-dwarf");
	check_split("clang", "-g -gsplit-dwarf");
}

/* Looks the address up with a copy of `good` of which some bytes are wrong, again and again. */
static void damage(const char *good, const char *damaged, const char *program, uint64_t addr)
{
	char *bytes, *name;
	gsize n;
	unsigned n_bad = 0;

	CHECK(g_file_get_contents(run_path(good), &bytes, &n, NULL));
	srandom(1);
	for (int i = 0; i < 300; i++) {
		char *copy = g_memdup2(bytes, n);

		for (int k = 0; k < 8; k++)
			copy[(size_t)random() % n] = (char)random();
		run_write(damaged, copy, n);
		name = frames_at(program, addr);
		n_bad += !strstr(name, "hidden");
		g_free(name);
		g_free(copy);
	}
	/* A damaged text may make another name; a symbol remains where there is none. */
	CHECK(n_bad < 100);
	g_free(bytes);
}

static void check_package(const char *cc, const char *options, const char *dwp)
{
	uint64_t addr;

	printf("# %s %s, %s\n", cc, options, dwp);
	CHECK_INT(build(cc, options, "packed"), 0);
	addr = address_of("packed");
	CHECK_INT(run("timeout 60 %s -e packed -o packed.dwp && rm -f *.dwo", dwp), 0);
	check_frames("packed", addr, FULL);
	/* Damaged in any place: less is known, and nothing breaks. */
	CHECK_INT(run("cp packed.dwp good.dwp"), 0);
	damage("good.dwp", "packed.dwp", "packed", addr);
	CHECK_INT(run("truncate -s 1000 packed.dwp"), 0);
	check_frames("packed", addr, "hidden inline.h:4");
}

static void package(void)
{
	check_package("gcc", "-gdwarf-4 -gsplit-dwarf", "dwp");
	check_package("clang", "-gdwarf-5 -gsplit-dwarf", "llvm-dwp");
	check_package("clang", "-gdwarf-4 -gsplit-dwarf", "llvm-dwp");
}

static void plain(void)
{
	static const char *const options[] = { "-g", "-gdwarf-2", "-gdwarf-3", "-gdwarf-4",
		"-gdwarf-5", "-g -gz", "-g -gz=zlib-gnu", "-g1", "-g3", "-g -ffunction-sections" };

	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		printf("# %s\n", options[i]);
		CHECK_INT(build("gcc", options[i], "plain"), 0);
		check_frames("plain", address_of("plain"), FULL);
	}
	CHECK_INT(build("clang", "-g", "plain"), 0);
	check_frames("plain", address_of("plain"), FULL);
	CHECK_INT(build("clang", "-gline-tables-only", "plain"), 0);
	check_frames("plain", address_of("plain"), FULL);
}

int main(void)
{
	run_init("test_symbol_debug");
	CASE(plain, "debug information in the program, in every version and by both compilers");
	CASE(mini_debug_info, "symbols from .gnu_debugdata");
	CASE(by_build_id, "debug files below /usr/lib/debug/.build-id, and only those that fit");
	CASE(dwz, "what dwz moved into a shared file, and only that very file");
	CASE(split_dwarf, "split units beside the object, and skeletons alone");
	CASE(package, "split units in a package");
	run_fini();
	return CHECK_DONE();
}
