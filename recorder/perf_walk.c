/* SPDX-License-Identifier: MIT */
/*
 * Each frame needs one rule: where the CFA is, where the return address and the caller's rbp and rbx are saved. It is
 * interpreted from the tables anew for every frame: at the rates of a profile that is cheaper than to keep a cache
 * per address space right. Each frame's CFA is above the one before, so a walk ends.
 */
#include "recorder/perf_walk.h"

#include "proto/schema.h"
#include "recorder/procfs.h"
#include "tracer/unwind_expr.h"

/* As in tracer/unwind.c. */
#define MAX_GUESSED_FRAME (1u << 20)

enum step {
	STEP_ON,
	STEP_END,    /* the thread's first function */
	STEP_BROKEN, /* the rule is damaged, or asks for what is not known */
	STEP_ABOVE,  /* needs stack that may lie above the copy */
};

struct walk {
	struct unwind_registers registers; /* of the frame at hand */
	arch_context context; /* what registers.context points to after a signal frame */
	struct unwind_memory memory;
	struct perf_spaces *spaces;
	struct perf_space *space;
	bool is_call; /* registers.pc is a return address */
	bool is_guessed;
};

/* A word of the stack. */
static enum step read_word(struct walk *walk, uintptr_t address, uintptr_t *value_out)
{
	if (unwind_memory_read(&walk->memory, address, value_out))
		return STEP_ON;
	return address >= walk->memory.hi && !(address & 7) ? STEP_ABOVE : STEP_BROKEN;
}

static enum step evaluate(struct walk *walk, const struct cfi_fde *fde, const struct cfi_rule *rule,
	bool has_cfa, uintptr_t cfa, uintptr_t *value_out)
{
	int error = unwind_expression(fde->lo + (uint32_t)rule->value, rule->size, &walk->registers,
		&walk->memory, has_cfa, cfa, value_out);

	return error ? STEP_BROKEN : STEP_ON;
}

/* One register of the caller. */
static enum step apply_rule(struct walk *walk, const struct cfi_fde *fde,
	const struct cfi_rule *rule, uintptr_t cfa, uintptr_t *value)
{
	uintptr_t address = cfa + (uintptr_t)(intptr_t)rule->value;
	enum step step;

	switch (rule->kind) {
	case CFI_SAME:
		return STEP_ON;
	case CFI_UNDEFINED:
		*value = 0;
		return STEP_ON;
	case CFI_VAL_OFFSET:
		*value = address;
		return STEP_ON;
	case CFI_REGISTER:
		return unwind_register(&walk->registers, rule->reg, value) ? STEP_ON : STEP_BROKEN;
	case CFI_EXPRESSION:
	case CFI_VAL_EXPRESSION:
		step = evaluate(walk, fde, rule, true, cfa, &address);
		if (step != STEP_ON)
			return step;
		if (rule->kind == CFI_VAL_EXPRESSION) {
			*value = address;
			return STEP_ON;
		}
		break;
	default:
		break;
	}
	/*
	 * Saved below the stack pointer: an epilogue has popped it and the rule does not tell. There is no copy of
	 * that, and the register has its old value.
	 */
	if (address < walk->registers.sp && rule->kind == CFI_OFFSET)
		return STEP_ON;
	return read_word(walk, address, value);
}

/* To the caller's frame. */
static enum step step_by_row(
	struct walk *walk, const struct cfi_fde *fde, const struct cfi_row *found)
{
	const struct unwind_registers *registers = &walk->registers;
	uintptr_t cfa, ra = 0, fp = registers->fp, bx = registers->bx;
	struct cfi_row row = *found;
	enum step step;

	if (row.ra.kind == CFI_UNDEFINED)
		return STEP_END;
	if (row.cfa.kind == CFI_REGISTER) {
		if (!unwind_register(registers, row.cfa.reg, &cfa))
			return STEP_BROKEN;
		cfa += (uintptr_t)(intptr_t)row.cfa.value;
	} else if (row.cfa.kind == CFI_EXPRESSION) {
		step = evaluate(walk, fde, &row.cfa, false, 0, &cfa);
		if (step != STEP_ON)
			return step;
	} else {
		return STEP_BROKEN;
	}
	/* A leaf on aarch64: still in its register. */
	if (ARCH_HAS_LINK && row.ra.kind == CFI_SAME)
		row.ra = (struct cfi_rule){ .kind = CFI_REGISTER, .reg = ARCH_REG_BX };
	/*
	 * vfork pops its return address into a register, and a leaf on aarch64 need not have a frame: only there the
	 * CFA may stay where it is.
	 */
	if (cfa < registers->sp || (cfa == registers->sp && row.ra.kind != CFI_REGISTER) ||
		(cfa & 7) || row.ra.kind == CFI_SAME)
		return STEP_BROKEN;
	if ((step = apply_rule(walk, fde, &row.ra, cfa, &ra)) != STEP_ON ||
		(step = apply_rule(walk, fde, &row.fp, cfa, &fp)) != STEP_ON ||
		(step = apply_rule(walk, fde, &row.bx, cfa, &bx)) != STEP_ON)
		return step;
	walk->registers = (struct unwind_registers){
		.pc = arch_address(ra), .sp = cfa, .fp = fp, .bx = ARCH_HAS_LINK ? 0 : bx
	};
	walk->is_call = true;
	return STEP_ON;
}

/* From a handler's trampoline to what the signal interrupted: its registers lie on the stack. */
static enum step step_by_signal(struct walk *walk)
{
	uintptr_t at = arch_signal_context(walk->registers.sp);

	if (at < walk->memory.lo || (at & 7))
		return STEP_BROKEN;
	if (at >= walk->memory.hi || walk->memory.hi - at < ARCH_CONTEXT_SIZE)
		return STEP_ABOVE;
	memset(&walk->context, 0, sizeof(walk->context));
	memcpy(&walk->context, (const void *)(at + walk->memory.shift), ARCH_CONTEXT_SIZE);
	walk->registers = (struct unwind_registers){ .pc = arch_context_pc(&walk->context),
		.sp = arch_context_sp(&walk->context),
		.fp = arch_context_fp(&walk->context),
		.bx = arch_context_bx(&walk->context),
		.context = &walk->context };
	walk->is_call = false;
	return STEP_ON;
}

static enum step step_by_frame_pointer(struct walk *walk)
{
	uintptr_t fp = walk->registers.fp, caller_fp, pc;
	enum step step;

	if (fp < walk->registers.sp || (fp & 7) || fp - walk->registers.sp > MAX_GUESSED_FRAME)
		return STEP_BROKEN;
	if ((step = read_word(walk, fp, &caller_fp)) != STEP_ON ||
		(step = read_word(walk, fp + 8, &pc)) != STEP_ON)
		return step;
	walk->is_guessed = true;
	walk->registers = (struct unwind_registers){
		.pc = arch_address(pc),
		.sp = fp + 16,
		.fp = caller_fp,
		.bx = ARCH_HAS_LINK ? 0 : walk->registers.bx,
	};
	walk->is_call = true;
	return STEP_ON;
}

static bool is_trampoline(const struct walk *walk, uintptr_t pc)
{
	uint8_t code[ARCH_TRAMPOLINE_SIZE];

	return procfs_memory(walk->space->pid, pc, code, sizeof(code)) == sizeof(code) &&
	       arch_is_trampoline(code);
}

/* Code without a rule: ends and trampolines that have no table; then frame pointers are a guess. */
static enum step step_without_rule(
	struct walk *walk, const struct perf_mapping *mapping, uint64_t *address)
{
	uintptr_t pc = walk->registers.pc;

	/* A leaf is no trampoline but for an instant, and to look costs a system call. */
	if (walk->is_call && mapping && is_trampoline(walk, pc)) {
		*address = pc + 1;
		return step_by_signal(walk);
	}
	if (walk->is_call && mapping) {
		/* A coroutine "returns" to the first byte of a function that nothing called. */
		if (mapping->image && perf_image_is_function_start(walk->spaces->images,
					      mapping->image, pc - mapping->base)) {
			*address = pc + 1;
			return STEP_END;
		}
		if (mapping->is_loader)
			return STEP_END;
	}
	return step_by_frame_pointer(walk);
}

static enum step step(struct walk *walk, const struct perf_mapping *mapping, uint64_t *address)
{
	uintptr_t pc = walk->registers.pc - walk->is_call;
	enum cfi_status status = CFI_NO_OBJECT;
	struct cfi_fde fde;
	struct cfi_row row;

	if (mapping && mapping->image)
		status = perf_image_row(
			walk->spaces->images, mapping->image, pc - mapping->base, &fde, &row);
	if (status != CFI_OK)
		return step_without_rule(walk, mapping, address);
	if (!fde.is_signal)
		return step_by_row(walk, &fde, &row);
	*address = walk->registers.pc + 1;
	return step_by_signal(walk);
}

static bool is_user_address(uintptr_t pc)
{
	return pc - ARCH_PAGE < (1ull << ARCH_ADDRESS_BITS) - ARCH_PAGE;
}

size_t perf_walk(struct perf_spaces *spaces, struct perf_space *space,
	const struct perf_walk_start *start, struct perf_walk_frame *frames, size_t max,
	unsigned *flags_out)
{
	uintptr_t sp = arch_context_sp(start->context);
	struct walk walk = { .registers = { arch_context_pc(start->context), sp,
				     arch_context_fp(start->context),
				     arch_context_bx(start->context), start->context },
		.memory = { .lo = sp,
			.hi = (sp + start->n_stack) & ~(uintptr_t)7,
			.shift = (uintptr_t)start->stack - sp },
		.spaces = spaces,
		.space = space };
	enum step result = sp & 7 ? STEP_BROKEN : STEP_ON;
	unsigned flags = 0;
	size_t n = 0;

	while (n < max) {
		uintptr_t pc = walk.registers.pc - walk.is_call;
		const struct perf_mapping *mapping;

		if (!is_user_address(pc) && n > 0) {
			result = walk.registers.pc == 0 ? STEP_END : STEP_BROKEN;
			break;
		}
		mapping = perf_space_find(spaces, space, pc);
		frames[n] = (struct perf_walk_frame){ pc + 1,
			mapping ? mapping->code : PERF_CODE_PROGRAM };
		if (result == STEP_ON)
			result = step(&walk, mapping, &frames[n].address);
		n++;
		if (result != STEP_ON)
			break;
	}
	if (result == STEP_ON || (result == STEP_ABOVE && start->is_short))
		flags |= FR_STACK_CUT;
	else if (result != STEP_END)
		flags |= FR_STACK_BROKEN;
	if (walk.is_guessed)
		flags |= FR_STACK_GUESSED;
	*flags_out = flags;
	return n;
}

bool perf_walk_strip(const struct perf_walk_frame *frames, size_t n, unsigned flags,
	uint64_t *addresses, size_t *n_out, bool *is_own_out)
{
	bool has_program = (flags & (FR_STACK_BROKEN | FR_STACK_CUT)) != 0, has_tracer = false;
	size_t first = 0, n_kept = 0;
	bool is_own;

	for (size_t i = 0; i < n; i++) {
		has_program |= frames[i].code == PERF_CODE_PROGRAM;
		has_tracer |= frames[i].code == PERF_CODE_TRACER || frames[i].code == PERF_CODE_UST;
	}
	if (has_tracer && !has_program)
		return false;
	/* What LTTng was called for ends at the hook that did. */
	is_own = n > 0 && frames[0].code == PERF_CODE_TRACER;
	for (size_t i = 0; i < n && frames[i].code != PERF_CODE_PROGRAM; i++)
		if (frames[i].code == PERF_CODE_UST) {
			is_own = true;
			first = i + 1;
		}
	for (size_t i = first; i < n; i++)
		if (frames[i].code != PERF_CODE_TRACER)
			addresses[n_kept++] = frames[i].address;
	*n_out = n_kept;
	*is_own_out = is_own;
	return true;
}
