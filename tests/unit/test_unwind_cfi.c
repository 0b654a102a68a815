/* SPDX-License-Identifier: MIT */
/*
 * tracer/unwind_find.c, unwind_cfi.c and unwind_expr.c: rules read in place against libdw's at random
 * addresses of real binaries, damaged tables, expressions. Binaries are mapped here, not loaded.
 */
#include "check.h"

#include <dlfcn.h>
#include <elf.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "random.h"
#include "tracer/unwind_cfi.h"
#include "tracer/unwind_expr.h"

#define N_ADDRESSES 20000

/* An ELF file with its segments where its addresses say, from `image` on. */
struct binary {
	Elf *elf;	/* owned */
	Dwarf_CFI *cfi; /* owned */
	uint8_t *image; /* owned mapping; address 0 of the file */
	size_t image_size;
	int fd;
	uint64_t text_start, text_end; /* the largest executable segment */
	const uint8_t *hdr, *lo, *hi;  /* .eh_frame_hdr and the segment with the tables */
};

static int map_segments(struct binary *binary)
{
	uint64_t hdr = 0;
	GElf_Phdr segment;
	size_t n, i;

	elf_getphdrnum(binary->elf, &n);
	for (i = 0; i < n && gelf_getphdr(binary->elf, (int)i, &segment); i++) {
		if (segment.p_type == PT_LOAD)
			binary->image_size = segment.p_vaddr + segment.p_memsz;
		if (segment.p_type == PT_GNU_EH_FRAME)
			hdr = segment.p_vaddr;
	}
	binary->image =
		mmap(NULL, binary->image_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!hdr || binary->image == MAP_FAILED)
		return -1;
	for (i = 0; i < n && gelf_getphdr(binary->elf, (int)i, &segment); i++) {
		uint64_t skew = segment.p_vaddr & 4095;

		if (segment.p_type != PT_LOAD)
			continue;
		if ((segment.p_flags & PF_X) &&
			segment.p_memsz > binary->text_end - binary->text_start) {
			binary->text_start = segment.p_vaddr;
			binary->text_end = segment.p_vaddr + segment.p_memsz;
		}
		if (segment.p_flags & PF_W)
			continue;
		if (mmap(binary->image + segment.p_vaddr - skew, segment.p_filesz + skew, PROT_READ,
			    MAP_PRIVATE | MAP_FIXED, binary->fd,
			    (off_t)(segment.p_offset - skew)) == MAP_FAILED)
			return -1;
		if (hdr >= segment.p_vaddr && hdr < segment.p_vaddr + segment.p_filesz) {
			binary->hdr = binary->image + hdr;
			binary->lo = binary->image + segment.p_vaddr;
			binary->hi = binary->lo + segment.p_filesz;
		}
	}
	return binary->hdr && binary->text_end ? 0 : -1;
}

static void binary_close(struct binary *binary)
{
	if (binary->image)
		munmap(binary->image, binary->image_size);
	if (binary->cfi)
		dwarf_cfi_end(binary->cfi);
	elf_end(binary->elf);
	close(binary->fd);
}

static int binary_open(struct binary *binary, const char *path)
{
	memset(binary, 0, sizeof(*binary));
	binary->fd = open(path, O_RDONLY);
	if (binary->fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	binary->elf = elf_begin(binary->fd, ELF_C_READ_MMAP, NULL);
	binary->cfi = dwarf_getcfi_elf(binary->elf);
	if (!binary->cfi || map_segments(binary) != 0) {
		binary_close(binary);
		return -ENOEXEC;
	}
	return 0;
}

/* The operands of an expression in order, as libdw lists them, against its bytes. */
static int same_expression(const uint8_t *at, size_t size, const Dwarf_Op *ops, size_t n_ops)
{
	const uint8_t *end = at + size;

	for (size_t i = 0; i < n_ops; i++) {
		uint64_t value = 0;
		unsigned shift = 0, n_fixed = 0;
		int is_leb = 0, is_signed = 0;

		if (at == end || *at != ops[i].atom)
			return 0;
		at++;
		if (ops[i].atom >= DW_OP_const1u && ops[i].atom <= DW_OP_const8s)
			n_fixed = 1u << ((ops[i].atom - DW_OP_const1u) / 2);
		else if (ops[i].atom >= DW_OP_breg0 && ops[i].atom <= DW_OP_breg31)
			is_leb = is_signed = 1;
		else if (ops[i].atom == DW_OP_plus_uconst)
			is_leb = 1;
		for (unsigned k = 0; k < n_fixed; k++)
			value |= (uint64_t)*at++ << 8 * k;
		while (is_leb) {
			value |= (uint64_t)(*at & 0x7f) << shift;
			shift += 7;
			is_leb = *at++ & 0x80;
		}
		if (is_signed && (at[-1] & 0x40))
			value |= ~0ull << shift;
		if ((n_fixed || shift) && value != ops[i].number)
			return 0;
	}
	return at == end;
}

static int same_cfa(const struct cfi_fde *fde, const struct cfi_rule *rule, Dwarf_Frame *frame)
{
	Dwarf_Op *ops;
	size_t n_ops;

	if (dwarf_frame_cfa(frame, &ops, &n_ops) != 0)
		return 0;
	if (rule->kind == CFI_EXPRESSION)
		return same_expression(fde->lo + (uint32_t)rule->value, rule->size, ops, n_ops);
	if (rule->kind != CFI_REGISTER || n_ops != 1)
		return 0;
	if (ops[0].atom == DW_OP_bregx)
		return ops[0].number == rule->reg && (int64_t)ops[0].number2 == rule->value;
	return ops[0].atom == DW_OP_breg0 + rule->reg && (int64_t)ops[0].number == rule->value;
}

/* libdw says CFA + offset as {call_frame_cfa, plus_uconst offset}, and a value by stack_value at the end. */
static int same_register(
	const struct cfi_fde *fde, const struct cfi_rule *rule, Dwarf_Frame *frame, int number)
{
	Dwarf_Op memory[3], *ops;
	size_t n_ops;
	int is_value;
	int64_t offset;

	if (dwarf_frame_register(frame, number, memory, &ops, &n_ops) != 0)
		return 0;
	/* elfutils 0.188 takes rax for rbx where it lists the registers that keep their value by default. */
	if (n_ops == 0 && number == ARCH_REG_BX && ops == memory && rule->kind == CFI_SAME)
		return 1;
	if (n_ops == 0)
		return rule->kind == (ops == memory ? CFI_UNDEFINED : CFI_SAME);
	is_value = ops[n_ops - 1].atom == DW_OP_stack_value;
	n_ops -= is_value;
	switch (rule->kind) {
	case CFI_OFFSET:
	case CFI_VAL_OFFSET:
		if (is_value != (rule->kind == CFI_VAL_OFFSET) ||
			ops[0].atom != DW_OP_call_frame_cfa)
			return 0;
		offset = n_ops == 2 ? (int64_t)ops[1].number : 0;
		return offset == rule->value;
	case CFI_REGISTER:
		return n_ops == 1 && ops[0].atom == DW_OP_regx && ops[0].number == rule->reg;
	case CFI_EXPRESSION:
	case CFI_VAL_EXPRESSION:
		if (is_value != (rule->kind == CFI_VAL_EXPRESSION) ||
			ops[0].atom != DW_OP_call_frame_cfa)
			return 0;
		return same_expression(
			fde->lo + (uint32_t)rule->value, rule->size, ops + 1, n_ops - 1);
	default:
		return 0;
	}
}

/* 1: the same rules, or both have none; *has_rule_out. */
static int same_at(const struct binary *binary, uint64_t address, int *has_rule_out)
{
	uintptr_t pc = (uintptr_t)binary->image + address;
	Dwarf_Frame *frame = NULL;
	struct cfi_fde fde;
	struct cfi_row row;
	enum cfi_status status;
	bool is_signal;
	int ret;

	status = cfi_find_in(pc, binary->hdr, binary->lo, binary->hi, &fde);
	if (status == CFI_OK)
		status = cfi_row_at(&fde, pc, &row);
	*has_rule_out = status == CFI_OK;
	if (dwarf_cfi_addrframe(binary->cfi, address, &frame) != 0)
		return status == CFI_NO_FDE;
	ret = status == CFI_OK && dwarf_frame_info(frame, NULL, NULL, &is_signal) == ARCH_REG_RA &&
	      is_signal == fde.is_signal && same_cfa(&fde, &row.cfa, frame) &&
	      same_register(&fde, &row.fp, frame, ARCH_REG_FP) &&
	      same_register(&fde, &row.bx, frame, ARCH_REG_BX) &&
	      same_register(&fde, &row.ra, frame, ARCH_REG_RA);
	free(frame);
	return ret;
}

static unsigned n_binaries;

static void compare_binary(const char *path)
{
	unsigned n_same = 0, n_rules = 0;
	struct binary binary;

	if (binary_open(&binary, path) != 0) {
		printf("# %s: not here\n", path);
		return;
	}
	n_binaries++;
	for (unsigned i = 0; i < N_ADDRESSES; i++) {
		uint64_t address =
			binary.text_start + random_next() % (binary.text_end - binary.text_start);
		int has_rule;

		if (same_at(&binary, address, &has_rule))
			n_same++;
		else if (i - n_same < 10)
			printf("# differs at %#jx\n", (uintmax_t)address);
		n_rules += (unsigned)has_rule;
	}
	printf("# %s: %u of %u have rules, %u agree\n", path, n_rules, N_ADDRESSES, n_same);
	CHECK_INT(n_same, N_ADDRESSES);
	CHECK(n_rules > N_ADDRESSES / 4);
	binary_close(&binary);
}

static void check_binaries(void)
{
	compare_binary("/lib/x86_64-linux-gnu/libc.so.6");
	compare_binary("/lib64/ld-linux-x86-64.so.2");
	compare_binary("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");
	compare_binary("/usr/lib/x86_64-linux-gnu/libcrypto.so.3");
	compare_binary("/usr/bin/python3");
	compare_binary("/usr/bin/node");
	compare_binary("/usr/bin/git");
	compare_binary("/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus");
	compare_binary("/proc/self/exe");
	CHECK(n_binaries >= 4);
}

/* Damaged tables between pages without access: whatever they say, nothing outside is read. */
static void check_damage(void)
{
	unsigned n_found = 0, n_refused = 0;
	struct binary binary;
	uint8_t *copy, *lo;
	size_t size, hdr_at;

	if (binary_open(&binary, "/proc/self/exe") != 0)
		return;
	size = (size_t)(binary.hi - binary.lo);
	hdr_at = (size_t)(binary.hdr - binary.lo);
	copy = mmap(NULL, size + 4 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(copy + 4096, (size + 4095) & ~4095ul, PROT_READ | PROT_WRITE);
	/* The tables end where the pages end; alignment is that of a word. */
	lo = copy + 4096 + (((size + 4095) & ~4095ul) - (size & ~7ul));
	size &= ~7ul;
	for (unsigned round = 0; round < 3000; round++) {
		uintptr_t text =
			(uintptr_t)lo + binary.text_start - (uintptr_t)(binary.lo - binary.image);

		memcpy(lo, binary.lo, size);
		for (unsigned k = 0; k < 1 + round % 400; k++)
			lo[hdr_at + random_next() % (size - hdr_at)] = (uint8_t)random_next();
		for (unsigned k = 0; k < 40; k++) {
			uintptr_t pc = text + random_next() % (binary.text_end - binary.text_start);
			struct cfi_fde fde;
			struct cfi_row row;

			if (cfi_find_in(pc, lo + hdr_at, lo, lo + size, &fde) != CFI_OK)
				n_refused++;
			else
				n_found += cfi_row_at(&fde, pc, &row) == CFI_OK;
		}
	}
	CHECK(n_found > 1000);
	CHECK(n_refused > 1000);
	munmap(copy, size + 4 * 4096);
	binary_close(&binary);
}

static void check_own_objects(void)
{
	struct dl_find_object *object = calloc(1, sizeof(*object));
	struct cfi_fde fde;
	struct cfi_row row;
	uintptr_t self = (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0));

	CHECK(cfi_is_available());
	CHECK_INT(cfi_find(self, &fde, object), CFI_OK);
	CHECK(self >= fde.pc_begin && self < fde.pc_end);
	CHECK_INT(cfi_row_at(&fde, self, &row), CFI_OK);
	CHECK_INT(row.ra.kind, CFI_OFFSET);
	CHECK_INT(row.ra.value, -8);
	CHECK(!cfi_is_loader(object));
	CHECK_INT(cfi_find((uintptr_t)object, &fde, object), CFI_NO_OBJECT);
	free(object);
}

/* Evaluates with rbx = 5, rsp = the address of `stack`. */
static int evaluate(const char *code, size_t size, uint64_t *stack, size_t n, uintptr_t *value)
{
	struct unwind_registers registers = {
		.pc = 0x1b, .sp = (uintptr_t)stack, .fp = 3, .bx = 5
	};
	struct unwind_memory memory = { .lo = (uintptr_t)stack, .hi = (uintptr_t)(stack + n) };

	return unwind_expression(
		(const uint8_t *)code, size, &registers, &memory, true, 1000, value);
}

#define CHECK_EXPRESSION(code, want)                                              \
	do {                                                                      \
		uintptr_t value = 0;                                              \
		CHECK_INT(evaluate(code, sizeof(code) - 1, stack, 4, &value), 0); \
		CHECK_INT(value, want);                                           \
	} while (0)

#define CHECK_REFUSED(code, why)                                                       \
	do {                                                                           \
		uintptr_t value = 0;                                                   \
		CHECK_INT(evaluate(code, sizeof(code) - 1, stack, 4, &value), -(why)); \
	} while (0)

static void check_expressions(void)
{
	uint64_t stack[4] = { 11, 22, 33, 44 };
	char loop[300];

	CHECK_EXPRESSION("\x23\x88\x01", 1136);			  /* plus_uconst 136 */
	CHECK_EXPRESSION("\x73\x7f", 4);			  /* breg3 -1 */
	CHECK_EXPRESSION("\x77\x08\x06", 22);			  /* breg7 8; deref */
	CHECK_EXPRESSION("\x80\x00\x3f\x1a\x3b\x2a", 1);	  /* (rip & 15) >= 11 */
	CHECK_EXPRESSION("\x77\x08\x73\x7d\x38\x1e\x22\x06", 44); /* *(rsp + 8 + 8 * (rbx - 3)) */
	CHECK_EXPRESSION("\x08\xf0\x09\xf0\x1c", 256);		  /* const1u - const1s */
	CHECK_EXPRESSION(
		"\x32\x33\x24\x12\x21\x31\x25\x1f\x20", 7); /* shl, dup, or, shr, neg, not */
	CHECK_EXPRESSION("\x0e\xff\xff\xff\xff\xff\xff\xff\xff\x33\x2d", 1); /* -1 < 3 */
	CHECK_EXPRESSION("\x92\x03\x02", 7);				     /* bregx 3 + 2 */
	CHECK_REFUSED("\x72\x00", UNWIND_END_REGISTER);			     /* rcx is not known */
	CHECK_REFUSED("\x77\x20\x06", UNWIND_END_BOUNDS);		     /* above the stack */
	CHECK_REFUSED("\x77\x04\x06", UNWIND_END_BOUNDS);		     /* not aligned */
	CHECK_REFUSED("\x13\x13", UNWIND_END_EXPRESSION);		     /* empty stack */
	CHECK_REFUSED("\x0e\x01", UNWIND_END_EXPRESSION);		     /* cut short */
	CHECK_REFUSED("\x23\x80", UNWIND_END_EXPRESSION);
	CHECK_REFUSED("\xe0", UNWIND_END_EXPRESSION);
	memset(loop, 0x12, sizeof(loop)); /* dup, too often */
	CHECK_REFUSED(loop, UNWIND_END_EXPRESSION);
	memset(loop, 0x96, sizeof(loop)); /* nop, too often */
	CHECK_REFUSED(loop, UNWIND_END_EXPRESSION);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	CASE(check_own_objects, "loaded objects and their rules are found");
	CASE(check_expressions, "expressions evaluate, and what they may not do is refused");
	CASE(check_binaries, "rules at 20000 addresses of each binary are those of libdw");
	CASE(check_damage, "damaged tables are read within their bounds");
	return CHECK_DONE();
}
