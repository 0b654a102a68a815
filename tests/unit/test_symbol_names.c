/* SPDX-License-Identifier: MIT */
/* From what stands in symbol tables to what people call a function: demangling, stubs, clones, aliases. */
#include "check.h"
#include "run.h"

#include <inttypes.h>

#include "common/symbol.h"
#include "common/symbol_demangle.h"
#include "common/symbol_file.h"
#include "common/symbol_image.h"
#include "common/symbol_span.h"

struct row {
	const char *mangled;
	const char *name; /* NULL: not mangled, or not in a way that is known */
};

static void check_table(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *got = symbol_demangle(rows[i].mangled);

		if (g_strcmp0(got, rows[i].name) != 0)
			printf("# %s\n", rows[i].mangled);
		if (rows[i].name)
			CHECK_STR(got ? got : "(not demangled)", rows[i].name);
		else
			CHECK(got == NULL);
		g_free(got);
	}
}

static void cxx(void)
{
	static const struct row rows[] = {
		{ "_Z1fv", "f" },
		{ "_ZL6staticv", "static" },
		{ "_ZN3boxIiE3getEv", "box<int>::get" },
		{ "_ZN3fooILi3EE3barEv", "foo<3>::bar" },
		{ "_Z1fIJiidEEvDpT_", "f<int, int, double>" },
		{ "_Z1fDv4_f", "f" },
		{ "_ZN12_GLOBAL__N_13barEv", "(anonymous namespace)::bar" },
		{ "_ZN3FooC1Ev", "Foo::Foo" },
		{ "_ZN3FooC2Ev", "Foo::Foo" },
		{ "_ZN3FooD0Ev", "Foo::~Foo" },
		{ "_ZNK3FoocvbEv", "Foo::operator bool" },
		{ "_ZN3FooplERKS_", "Foo::operator+" },
		{ "_ZN3FoonwEm", "Foo::operator new" },
		{ "_Znwm", "operator new" },
		{ "_ZdlPvm", "operator delete" },
		{ "_ZNKSt8functionIFviEEclEi", "std::function<void (int)>::operator()" },
		{ "_ZThn16_N3Foo3barEv", "non-virtual thunk to Foo::bar()" },
		{ "_ZTv0_n24_N3Foo3barEv", "virtual thunk to Foo::bar()" },
		/* Lambdas, by number and parameters; generic ones. */
		{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()" },
		{ "_ZZ4mainENKUliE0_clEi", "main::{lambda(int)#2}::operator()" },
		{ "_ZZN1A1bEvENKUlT_E_clIiEEDaS0_", "A::b()::{lambda(auto:1)#1}::operator()<int>" },
		/* ABI tags. */
		{ "_ZN3foo3barB5cxx11Ev", "foo::bar[abi:cxx11]" },
		{ "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE6appendEPKc",
			"std::__cxx11::basic_string<char, std::char_traits<char>, "
			"std::allocator<char> >::append" },
		/* What the compiler cut out of a function, or copied, is that function. */
		{ "_Z3foov.cold", "foo" },
		{ "_Z3foov.part.0", "foo" },
		{ "_Z3foov.isra.0", "foo" },
		{ "_Z3foov.constprop.0.isra.0", "foo" },
		{ "_Z3foov.lto_priv.0", "foo" },
	};

	check_table(rows, G_N_ELEMENTS(rows));
}

static void rust(void)
{
	static const struct row rows[] = {
		/* Legacy: the hash goes. */
		{ "_ZN4core3fmt9Formatter3pad17h1234567890abcdefE", "core::fmt::Formatter::pad" },
		{ "_ZN61_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..fmt..Debug$GT$"
		  "3fmt17h0123456789abcdefE",
			"<alloc::vec::Vec<T> as core::fmt::Debug>::fmt" },
		{ "_ZN4core3ptr85drop_in_place$LT$std..rt..lang_start$LT$$LP$$RP$$GT$.."
		  "$u7b$$u7b$closure$u7d$$u7d$$GT$17h0123456789abcdefE",
			"core::ptr::drop_in_place<std::rt::lang_start<()>::{{closure}}>" },
		{ "_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE.llvm."
		  "1234",
			"std::rt::lang_start::{{closure}}" },
		/* v0. */
		{ "_RNvCs1234_7mycrate4main", "mycrate::main" },
		{ "_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar" },
		{ "_RNvMs_NtCs1234_7mycrate3fooNtB4_3Bar3baz", "<mycrate::foo::Bar>::baz" },
		{ "_RNvXs_C3fooNtB4_3BarNtNtC4core3fmt7Display3fmt",
			"<foo::Bar as core::fmt::Display>::fmt" },
		{ "_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>" },
		{ "_RNCNvC3foo4main0", "foo::main::{closure#0}" },
		{ "_RNvC3foo3bar.llvm.123", "foo::bar" },
	};

	check_table(rows, G_N_ELEMENTS(rows));
}

static void not_mangled(void)
{
	static const struct row rows[] = {
		{ "", NULL },
		{ "main", NULL },
		{ "main.cold", NULL },
		{ "_Z", NULL },
		{ "_R", NULL },
		{ "_RNv", NULL },
		{ "_ZNSt", NULL },
		{ "_start", NULL },
		{ "runtime.(*mcache).refill", NULL },
		{ "_D3foo3barFZv", NULL },
	};
	char *deep = g_strnfill(60000, 'P'), *name = g_strconcat("_Z1f", deep, "i", NULL), *got;

	check_table(rows, G_N_ELEMENTS(rows));
	/* Nested 60,000 deep: no crash, and no megabyte of text. */
	got = symbol_demangle(name);
	CHECK(got == NULL || strlen(got) <= 5000);
	g_free(got);
	g_free(name);
	g_free(deep);
}

/* The spans of a file as the symbolizer sees them: `name` covers `addr`. */
static const char *name_in(const char *path, uint64_t addr)
{
	static char name[256];
	struct symbol_module module = { .path = path };
	const struct symbol_span *span;
	struct symbol_image *image;
	int fd;

	if (symbol_file_open(&module, &fd) != 0 || symbol_image_open(&module, fd, &image) != 0)
		return "(cannot be opened)";
	span = symbol_span_find(symbol_image_symbols(image), addr);
	g_strlcpy(name, span ? span->name : "?", sizeof(name));
	symbol_image_free(image);
	return name;
}

static const char calls[] = "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
			    "int main(int c, char **v)\n"
			    "{\n"
			    "	int (*p)(const char *) = puts;\n"
			    "	char *x = malloc((size_t)c);\n"
			    "	if (getpid() == 1)\n"
			    "		p(v[0]);\n"
			    "	printf(\"%p %d\\n\", (void *)x, (int)getpid());\n"
			    "	free(x);\n"
			    "	return p(\"\");\n"
			    "}\n";

/*
 * objdump tells which address each call of main goes to, and what it makes of it: where it says `name@plt`, we do;
 * in programs of which it knows nothing (BTI), the calls are those of the source.
 */
static void check_stubs(const char *cc, const char *objdump, const char *options, unsigned n_calls)
{
	unsigned n = 0, n_wrong = 0;
	char **lines;

	printf("# %s %s\n", cc, options);
	run_write("calls.c", calls, strlen(calls));
	CHECK_INT(run("%s -O1 %s calls.c -o calls", cc, options), 0);
	CHECK_INT(run("%s -d --no-show-raw-insn --disassemble=main calls | "
		      "sed -nE 's/.*\t(bnd )?(call|bl)[ \t]+([0-9a-f]+) <([^>]*@plt)>.*/\\3 \\4/p'",
			  objdump),
		0);
	lines = g_strsplit(run_output, "\n", -1);
	for (char **line = lines; *line; line++) {
		char want[200];
		uint64_t addr;
		const char *got;

		if (sscanf(*line, "%" SCNx64 " %199s", &addr, want) != 2)
			continue;
		/* A stub ends before the next one begins: its last byte is its own, too. */
		for (uint64_t at = addr; at < addr + 8; at += 7) {
			got = name_in(run_path("calls"), at);
			if (strcmp(got, want) == 0)
				continue;
			printf("# %" PRIx64 " is %s, want %s\n", at, got, want);
			n_wrong++;
		}
		n++;
	}
	g_strfreev(lines);
	CHECK_INT(n_wrong, 0);
	CHECK(n >= n_calls);
}

static void stubs(void)
{
	check_stubs(TEST_CC, "objdump", "-Wl,-z,lazy -fcf-protection=none", 3);
	check_stubs(TEST_CC, "objdump", "-Wl,-z,now -fcf-protection=none", 3);
	check_stubs(TEST_CC, "objdump", "-Wl,-z,lazy -fcf-protection=full -Wl,-z,ibtplt", 3);
	check_stubs(TEST_CC, "objdump", "-no-pie -Wl,-z,lazy", 3);
	check_stubs("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objdump", "-Wl,-z,lazy", 3);
	check_stubs("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objdump", "-no-pie -Wl,-z,now", 3);
	check_stubs("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objdump",
		"-mbranch-protection=standard -Wl,-z,force-bti -Wno-attributes", 3);
}

/* A static program calls its own indirect functions through stubs without symbols. */
static void check_indirect(const char *cc, const char *nm, const char *objdump)
{
	static const char source[] = "static int one(void) { return 1; }\n"
				     "static void *choose(void) { return one; }\n"
				     "int picked(void) __attribute__((ifunc(\"choose\")));\n"
				     "int main(void) { return picked(); }\n";
	uint64_t addr = 0;

	run_write("indirect.c", source, strlen(source));
	CHECK_INT(run("%s -O1 -static -no-pie indirect.c -o indirect", cc), 0);
	CHECK_INT(run("%s indirect | awk '$3 == \"picked\" {print $2}'", nm), 0);
	CHECK_STR(run_output, "i\n");
	CHECK_INT(run("%s -d --no-show-raw-insn --disassemble=main indirect | "
		      "sed -nE 's/.*\t(bnd )?(call|bl|jmp|b)[ \t]+([0-9a-f]+) .*/\\3/p' | head -1",
			  objdump),
		0);
	sscanf(run_output, "%" SCNx64, &addr);
	CHECK(addr != 0);
	CHECK_STR(name_in(run_path("indirect"), addr), "picked@plt");
}

static void indirect(void)
{
	check_indirect(TEST_CC, "nm", "objdump");
	check_indirect(
		"aarch64-linux-gnu-gcc", "aarch64-linux-gnu-nm", "aarch64-linux-gnu-objdump");
}

/* A function whose unlikely part the compiler put elsewhere; TEST_CC may be clang, which cuts otherwise. */
static void clones(void)
{
	static const char source[] = "#include <cstdio>\n#include <cstdlib>\n"
				     "__attribute__((cold, noinline)) void report(int x) { "
				     "std::printf(\"%d\\n\", x); std::abort(); }\n"
				     "__attribute__((noinline)) int often(int x) { if (x == 77) { "
				     "report(x); } return x * 3; }\n"
				     "int main(int c, char **) { return often(c); }\n";
	static const char *const options[] = { "", "-g" };

	run_write("clones.cc", source, strlen(source));
	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		struct symbol_batch *batch = symbol_batch_new(NULL);
		struct symbol_module module = { .path = run_path("clones") };
		uint32_t index = symbol_batch_add_module(batch, &module);
		const struct symbol_frame *frames;
		uint64_t addr = 0;
		size_t n;

		CHECK_INT(run("g++ -O2 -no-pie -freorder-blocks-and-partition %s clones.cc -o "
			      "clones && "
			      "nm clones | awk '/often.*cold/ {print $1}'",
				  options[i]),
			0);
		sscanf(run_output, "%" SCNx64, &addr);
		CHECK(addr != 0);
		symbol_batch_add(batch, index, addr);
		symbol_batch_resolve(batch);
		frames = symbol_batch_lookup(batch, index, addr, &n);
		CHECK_STR(frames[n - 1].func, "often");
		CHECK_STR(frames[n - 1].system_name, "_Z5ofteni.cold");
		symbol_batch_free(batch);
	}
}

int main(void)
{
	run_init("test_symbol_names");
	CASE(cxx, "C++ names");
	CASE(rust, "Rust names of both schemes");
	CASE(not_mangled, "other names are left alone");
	CASE(stubs, "stubs of the linkage table, on x86-64 and aarch64");
	CASE(indirect, "stubs of indirect functions in static programs");
	CASE(clones, "the cold part of a function is that function");
	run_fini();
	return CHECK_DONE();
}
