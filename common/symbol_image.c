/* SPDX-License-Identifier: MIT */
/*
 * libdwfl finds nothing by itself: its standard search would go to the network and trust what it finds.
 * All its questions for files are answered here, with files that were compared with the program.
 */
#include "common/symbol_image.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/symbol_debug_file.h"
#include "common/symbol_debuginfod.h"
#include "common/symbol_dwp.h"
#include "common/symbol_file.h"
#include "common/symbol_span.h"
#include "common/symbol_table.h"
#include "common/symbol_units.h"

struct symbol_image {
	char *path;   /* owned; where debug files are looked for */
	int fd;	      /* owned; the file itself */
	int debug_fd; /* owned; its debug file, kept for reopening; -1 none so far */
	int alt_fd;   /* owned; what dwz moved out of that; -1 none so far */
	struct symbol_debuginfod *round; /* borrowed; or NULL */
	Dwfl *dwfl;			 /* owned; NULL at rest */
	Dwfl_Module *dwfl_module;	 /* borrowed from dwfl */
	Dwarf *alt;			 /* owned; NULL at rest */
	struct symbol_dwp *dwp;		 /* owned; NULL at rest, or none */
	gboolean is_dwp_sought;
	GArray *symbols, *units;   /* owned; NULL: not read yet */
	GStringChunk *names;	   /* owned: of symbols */
	gboolean is_without_dwarf; /* looked for, in vain */
};

/*
 * libdwfl asks for the file that dwz made through the same callback as for the debug file, only with another
 * link than the program's own.
 */
static gboolean is_alt_request(Dwfl_Module *module, const char *link, GElf_Word crc)
{
	GElf_Addr bias;
	GElf_Word own_crc = 0;
	Elf *elf = dwfl_module_getelf(module, &bias);
	const char *own = elf ? dwelf_elf_gnu_debuglink(elf, &own_crc) : NULL;

	return link && (!own || strcmp(own, link) != 0 || own_crc != crc);
}

/* Callback of libdwfl: a descriptor of the separate debug file, or -1. */
static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file_name, const char *link, GElf_Word crc, char **path_out)
{
	struct symbol_image *image = *userdata;
	struct symbol_debug_want want = { .path = image->path, .link = link, .crc = crc };
	const unsigned char *build_id = NULL;
	GElf_Addr where;
	int n, fd;

	(void)name, (void)base, (void)file_name, (void)path_out;
	/* attach_alt() takes care of that one. */
	if (is_alt_request(module, link, crc))
		return -1;
	if (image->debug_fd >= 0)
		return fcntl(image->debug_fd, F_DUPFD_CLOEXEC, 0);
	n = dwfl_module_build_id(module, &build_id, &where);
	if (n > 0) {
		want.build_id = build_id;
		want.n_build_id = (size_t)n;
	}
	fd = symbol_debug_file_find(&want);
	if (fd < 0 && n >= 2)
		fd = symbol_debuginfod_find(image->round, build_id, (size_t)n);
	if (fd >= 0)
		image->debug_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd;
}

static int image_begin(struct symbol_image *image)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	void **userdata;
	int fd;

	if (image->dwfl)
		return 0;
	fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	image->dwfl = dwfl_begin(&callbacks);
	if (!image->dwfl) {
		close(fd);
		return -ENOMEM;
	}
	dwfl_report_begin(image->dwfl);
	image->dwfl_module = dwfl_report_elf(image->dwfl, image->path, image->path, fd, 0, true);
	dwfl_report_end(image->dwfl, NULL, NULL);
	if (!image->dwfl_module) {
		close(fd); /* on success libdwfl owns it */
		dwfl_end(image->dwfl);
		image->dwfl = NULL;
		return -EINVAL;
	}
	dwfl_module_info(image->dwfl_module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = image;
	return 0;
}

static void image_end(struct symbol_image *image)
{
	if (image->dwfl)
		dwfl_end(image->dwfl);
	if (image->alt)
		dwarf_end(image->alt);
	image->dwfl = NULL;
	image->dwfl_module = NULL;
	image->alt = NULL;
	symbol_dwp_free(image->dwp);
	image->dwp = NULL;
	image->is_dwp_sought = FALSE;
}

int symbol_image_open(const struct symbol_module *module, int fd, struct symbol_image **image_out)
{
	struct symbol_image *image = g_new0(struct symbol_image, 1);
	int err;

	image->fd = fd;
	image->debug_fd = image->alt_fd = -1;
	image->path = symbol_file_path(module);
	err = image_begin(image);
	if (err) {
		symbol_image_free(image);
		return err;
	}
	*image_out = image;
	return 0;
}

void symbol_image_free(struct symbol_image *image)
{
	if (!image)
		return;
	image_end(image);
	close(image->fd);
	if (image->debug_fd >= 0)
		close(image->debug_fd);
	if (image->alt_fd >= 0)
		close(image->alt_fd);
	if (image->symbols)
		g_array_unref(image->symbols);
	if (image->units)
		g_array_unref(image->units);
	if (image->names)
		g_string_chunk_free(image->names);
	g_free(image->path);
	g_free(image);
}

void symbol_image_set_debuginfod(struct symbol_image *image, struct symbol_debuginfod *round)
{
	image->round = round;
}

Dwfl_Module *symbol_image_module(struct symbol_image *image)
{
	return image_begin(image) == 0 ? image->dwfl_module : NULL;
}

const GArray *symbol_image_symbols(struct symbol_image *image)
{
	if (!image->symbols) {
		image->names = g_string_chunk_new(1 << 16);
		image->symbols = symbol_table_read(image, image->names);
	}
	return image->symbols;
}

/* Where the debug information was read from. To g_free(). */
static char *debug_path(const struct symbol_image *image)
{
	char link[64], *path;

	if (image->debug_fd < 0)
		return g_strdup(image->path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", image->debug_fd);
	path = g_file_read_link(link, NULL);
	return path ? path : g_strdup(image->path);
}

/*
 * Debug information without any unit. Where a file of dwz is missing, libdw would look for one by itself, and take any
 * by its name alone: what is found in this one instead is nothing.
 */
static int empty_dwarf_fd(void)
{
	static const char names[] = "\0.debug_info\0.shstrtab";
	struct {
		Elf64_Ehdr head;
		Elf64_Shdr sections[3];
		char names[sizeof(names)];
		unsigned char zeros[16];
	} file = { .head = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT } };
	int fd = memfd_create("no debug information", MFD_CLOEXEC);

	memcpy(file.head.e_ident, ELFMAG, SELFMAG);
	file.head.e_ident[EI_CLASS] = ELFCLASS64;
	file.head.e_ident[EI_DATA] = G_BYTE_ORDER == G_LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;
	file.head.e_ident[EI_VERSION] = EV_CURRENT;
	file.head.e_shoff = offsetof(__typeof__(file), sections);
	file.head.e_ehsize = sizeof(Elf64_Ehdr);
	file.head.e_shentsize = sizeof(Elf64_Shdr);
	file.head.e_shnum = 3;
	file.head.e_shstrndx = 2;
	file.sections[1].sh_name = 1;
	file.sections[1].sh_type = SHT_PROGBITS;
	file.sections[1].sh_offset = offsetof(__typeof__(file), zeros);
	file.sections[1].sh_size = sizeof(file.zeros);
	file.sections[2].sh_name = sizeof("\0.debug_info");
	file.sections[2].sh_type = SHT_STRTAB;
	file.sections[2].sh_offset = offsetof(__typeof__(file), names);
	file.sections[2].sh_size = sizeof(names);
	memcpy(file.names, names, sizeof(names));
	if (fd >= 0 && pwrite(fd, &file, sizeof(file), 0) == (ssize_t)sizeof(file))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Gives `dwarf` the file of dwz that it refers to, if it does. */
static void attach_alt(struct symbol_image *image, Dwarf *dwarf)
{
	const void *build_id = NULL;
	const char *name = NULL;
	ssize_t n = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &build_id);

	if (n <= 0 || image->alt)
		return;
	if (image->alt_fd < 0) {
		char *from = debug_path(image);

		image->alt_fd = symbol_debug_file_alt(from, name, build_id, (size_t)n);
		g_free(from);
	}
	if (image->alt_fd < 0)
		image->alt_fd = symbol_debuginfod_find(image->round, build_id, (size_t)n);
	if (image->alt_fd < 0)
		image->alt_fd = empty_dwarf_fd();
	image->alt = dwarf_begin(image->alt_fd, DWARF_C_READ);
	if (image->alt)
		dwarf_setalt(dwarf, image->alt);
}

Dwarf *symbol_image_dwarf(struct symbol_image *image, Dwarf_Addr *bias_out)
{
	Dwarf *dwarf;

	if (image->is_without_dwarf || image_begin(image) != 0)
		return NULL;
	dwarf = dwfl_module_getdwarf(image->dwfl_module, bias_out);
	if (dwarf)
		attach_alt(image, dwarf);
	else
		image->is_without_dwarf = TRUE;
	return dwarf;
}

const GArray *symbol_image_units(struct symbol_image *image)
{
	Dwarf_Addr bias = 0;
	Dwarf *dwarf;

	if (!image->units) {
		dwarf = symbol_image_dwarf(image, &bias);
		image->units = dwarf ? symbol_units_read(dwarf, bias) : symbol_span_table();
	}
	return image->units;
}

int symbol_image_split_unit(
	struct symbol_image *image, Dwarf_Die *skeleton, uint64_t id, Dwarf_Die *die_out)
{
	if (!image->is_dwp_sought) {
		char *from = debug_path(image);
		char *beside_debug = g_strconcat(from, ".dwp", NULL);
		char *beside = g_strconcat(image->path, ".dwp", NULL);

		image->is_dwp_sought = TRUE;
		image->dwp = symbol_dwp_open(beside);
		if (!image->dwp && strcmp(beside, beside_debug) != 0)
			image->dwp = symbol_dwp_open(beside_debug);
		g_free(beside);
		g_free(beside_debug);
		g_free(from);
	}
	return image->dwp && symbol_dwp_unit(image->dwp, skeleton, id, die_out);
}

int symbol_image_reopen(struct symbol_image *image)
{
	image_end(image);
	return image_begin(image);
}

size_t symbol_image_rest(struct symbol_image *image)
{
	size_t n_bytes = sizeof(*image);

	image_end(image);
	image->round = NULL;
	for (guint i = 0; image->symbols && i < image->symbols->len; i++) {
		const struct symbol_span *span =
			&g_array_index(image->symbols, struct symbol_span, i);

		/* Names stand in the chunk, and in its table of what it holds. */
		n_bytes += sizeof(*span) + strlen(span->name) + 1 + 2 * sizeof(void *);
	}
	if (image->units)
		n_bytes += image->units->len * sizeof(struct symbol_span);
	return n_bytes;
}
