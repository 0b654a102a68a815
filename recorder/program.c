/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD silently does nothing in static and set-user-id programs, disturbs those of another C library,
 * and crashes some sanitizers. So the file is read first, and the user is told.
 */
#include "recorder/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/fs.h"

/* As many as the kernel follows. */
#define MAX_INTERPRETERS 5
/* The kernel's limit for the first line of a script. */
#define MAX_SHEBANG 256

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#define OWN_LOADER "ld-linux-x86-64.so"
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#define OWN_LOADER "ld-linux-aarch64.so"
#else
#error "This processor is not supported"
#endif

/* What the dynamic section and the symbol tables say. */
struct elf_facts {
	bool is_elf, has_interp, has_tsan, has_msan;
	char *loader; /* owned */
	char *soname; /* owned */
	char *asan;   /* owned: DT_NEEDED name of the shared AddressSanitizer */
};

/* The interpreter of a script, or NULL when the file does not begin with "#!". */
static char *shebang_of(const char *path)
{
	char line[MAX_SHEBANG + 1], *start, *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, line, MAX_SHEBANG);
	close(fd);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return NULL;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	start = line + 2 + strspn(line + 2, " \t");
	end = start + strcspn(start, " \t\r");
	return end > start ? g_strndup(start, (size_t)(end - start)) : NULL;
}

static void note_needed(const char *name, struct elf_facts *facts)
{
	if (g_str_has_prefix(name, "libasan.so") && !facts->asan)
		facts->asan = g_strdup(name);
	else if (g_str_has_prefix(name, "libtsan.so"))
		facts->has_tsan = true;
}

static void read_dynamic(Elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr, struct elf_facts *facts)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Dyn dyn;

	for (int i = 0; data && gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
		const char *text;

		if (dyn.d_tag != DT_NEEDED && dyn.d_tag != DT_SONAME)
			continue;
		text = elf_strptr(elf, shdr->sh_link, dyn.d_un.d_val);
		if (text && dyn.d_tag == DT_NEEDED)
			note_needed(text, facts);
		else if (text && !facts->soname)
			facts->soname = g_strdup(text);
	}
}

static void read_symbols(Elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr, struct elf_facts *facts)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Sym sym;

	for (int i = 0; data && gelf_getsym(data, i, &sym); i++) {
		const char *name = elf_strptr(elf, shdr->sh_link, sym.st_name);

		if (!name || name[0] != '_' || name[1] != '_')
			continue;
		if (strcmp(name, "__tsan_init") == 0)
			facts->has_tsan = true;
		else if (strcmp(name, "__msan_init") == 0)
			facts->has_msan = true;
	}
}

static void read_interp(Elf *elf, struct elf_facts *facts)
{
	size_t n = 0, n_file = 0;
	GElf_Phdr phdr;
	const char *raw = elf_rawfile(elf, &n_file);

	if (!raw || elf_getphdrnum(elf, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_INTERP)
			continue;
		facts->has_interp = true;
		if (phdr.p_offset < n_file && phdr.p_filesz <= n_file - phdr.p_offset)
			facts->loader = g_strndup(raw + phdr.p_offset, phdr.p_filesz);
		return;
	}
}

static void read_facts(Elf *elf, struct elf_facts *facts)
{
	Elf_Scn *scn = NULL;

	read_interp(elf, facts);
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_DYNAMIC)
			read_dynamic(elf, scn, &shdr, facts);
		else if (shdr.sh_type == SHT_SYMTAB || shdr.sh_type == SHT_DYNSYM)
			read_symbols(elf, scn, &shdr, facts);
	}
}

static void decide(struct program *program, enum program_kind kind, char *why)
{
	program->kind = kind;
	program->why = why;
}

static void judge(struct program *program, const struct elf_facts *facts)
{
	const char *image = program->image;

	if (facts->has_tsan || facts->has_msan) {
		decide(program, PROGRAM_REFUSED,
			g_strdup_printf(
				"%s is built with %s, which owns the same calls and crashes with "
				"the tracer in it; trace a build without it",
				image, facts->has_tsan ? "ThreadSanitizer" : "MemorySanitizer"));
	} else if (facts->has_interp && facts->loader && !strstr(facts->loader, OWN_LOADER)) {
		decide(program, PROGRAM_BARE,
			g_strdup_printf(
				"%s uses another C library (loader %s), so it runs untraced", image,
				facts->loader));
	} else if (!facts->has_interp &&
		   !(facts->soname && g_str_has_prefix(facts->soname, "ld-"))) {
		/* The loader itself, started as a program, has no interpreter either. */
		decide(program, PROGRAM_CHILDREN,
			g_strdup_printf("%s is statically linked, so it runs untraced", image));
	} else if (facts->asan) {
		program->preload = g_strdup(facts->asan);
	}
}

/* Looks at the ELF file; a file that is none is left to exec to judge. */
static void inspect_image(struct program *program)
{
	struct elf_facts facts = { 0 };
	GElf_Ehdr ehdr;
	int fd = open(program->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	Elf *elf;

	if (fd < 0) {
		/* Executable but unreadable: the kernel makes such a program secure, the loader not. */
		return;
	}
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &ehdr)) {
		if (gelf_getclass(elf) != ELFCLASS64 || ehdr.e_machine != OWN_MACHINE) {
			decide(program, PROGRAM_BARE,
				g_strdup_printf(
					"%s is a program for another kind of processor or a "
					"32-bit one, so it runs untraced",
					program->image));
		} else {
			read_facts(elf, &facts);
			judge(program, &facts);
		}
	}
	elf_end(elf);
	close(fd);
	g_free(facts.loader);
	g_free(facts.soname);
	g_free(facts.asan);
}

/* True when exec gives the image other rights than ours: the loader then ignores LD_PRELOAD. */
static bool is_secure(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return true;
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
		return true;
	return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

int program_inspect(const char *name, struct program *program_out, char **why_out)
{
	struct program program = { .kind = PROGRAM_TRACED };
	int err = fs_find_program(name, &program.path);

	if (err) {
		*why_out = g_strdup_printf("%s: %s", name,
			err == -ENOENT ? (strchr(name, '/') ? "no such file" : "command not found")
				       : "cannot be executed (permission denied, or not a file)");
		return err == -ENOENT ? 127 : 126;
	}
	program.image = g_strdup(program.path);
	for (int i = 0; i < MAX_INTERPRETERS; i++) {
		char *interpreter = shebang_of(program.image);

		if (!interpreter)
			break;
		g_free(program.image);
		program.image = interpreter;
	}
	inspect_image(&program);
	if (program.kind == PROGRAM_TRACED && is_secure(program.image)) {
		decide(&program, PROGRAM_BARE,
			g_strdup_printf(
				"%s runs with another user's rights or with file capabilities, "
				"so the loader keeps the tracer out and it runs untraced",
				program.image));
	}
	*program_out = program;
	return 0;
}

void program_fini(struct program *program)
{
	g_free(program->path);
	g_free(program->image);
	g_free(program->why);
	g_free(program->preload);
}
