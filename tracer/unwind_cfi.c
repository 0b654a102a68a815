/* SPDX-License-Identifier: MIT */
/*
 * Runs the instructions of a CIE and an FDE (DWARF 5 section 6.4) up to the wanted pc. Only the rules that
 * the walk carries are kept, so that a row is small enough for a handler's stack.
 */
#include "tracer/unwind_cfi.h"

#include "tracer/unwind_reader.h"

/* Rows that DW_CFA_remember_state keeps; compilers use one or two. */
#define MAX_REMEMBERED 8

struct machine {
	const struct cfi_fde *fde;
	struct reader reader;
	struct cfi_row row;
	struct cfi_row initial; /* what DW_CFA_restore goes back to */
	struct cfi_row remembered[MAX_REMEMBERED];
	unsigned n_remembered;
	uintptr_t at; /* address of the row */
};

/* The rule of a register, or a rule that nobody reads when the walk does not carry it. */
static struct cfi_rule *rule_of(
	const struct machine *machine, struct cfi_row *row, uint64_t reg, struct cfi_rule *ignored)
{
	if (reg == machine->fde->ra_register)
		return &row->ra;
	if (reg == ARCH_REG_FP)
		return &row->fp;
	if (reg == ARCH_REG_BX)
		return &row->bx;
	return ignored;
}

static void set_value(
	struct machine *machine, struct cfi_rule *rule, uint8_t kind, uint64_t reg, int64_t value)
{
	if (value != (int32_t)value || reg > 255)
		machine->reader.is_bad = true;
	*rule = (struct cfi_rule){ .kind = kind, .reg = (uint8_t)reg, .value = (int32_t)value };
}

static void set_expression(struct machine *machine, struct cfi_rule *rule, uint8_t kind)
{
	struct reader *reader = &machine->reader;
	uint64_t size = read_uleb(reader);
	uint64_t distance = (uint64_t)(reader->at - machine->fde->lo);

	if (size > (uint64_t)(reader->end - reader->at) || size > UINT16_MAX ||
		distance > UINT32_MAX) {
		reader->is_bad = true;
		return;
	}
	*rule = (struct cfi_rule){
		.kind = kind, .size = (uint16_t)size, .value = (int32_t)(uint32_t)distance
	};
	reader->at += size;
}

/* Multiplies without overflow traps; what does not fit in 32 bits is refused by set_value(). */
static int64_t factored(const struct machine *machine, int64_t value)
{
	int64_t product;

	if (__builtin_mul_overflow(value, (int64_t)machine->fde->data_align, &product))
		return INT64_MAX;
	return product;
}

/* DW_CFA_def_cfa*: only the named parts change; changing a part of an expression is an error. */
static void define_cfa(struct machine *machine, const uint64_t *reg, int64_t value, bool has_value)
{
	struct cfi_rule *cfa = &machine->row.cfa;

	if ((!reg || !has_value) && cfa->kind != CFI_REGISTER)
		machine->reader.is_bad = true;
	set_value(machine, cfa, CFI_REGISTER, reg ? *reg : cfa->reg,
		has_value ? value : (int64_t)cfa->value);
}

/* Instructions that set the rule of one register. False: not one of them. */
static bool run_register_rule(struct machine *machine, uint8_t op)
{
	struct reader *reader = &machine->reader;
	struct cfi_rule ignored = { 0 }, *rule;
	uint64_t reg;

	if ((op < 0x05 || op > 0x09) && op != 0x10 && op != 0x11 && (op < 0x14 || op > 0x16) &&
		op != 0x2f)
		return false;
	reg = read_uleb(reader);
	rule = rule_of(machine, &machine->row, reg, &ignored);
	switch (op) {
	case 0x05: /* offset_extended */
		set_value(machine, rule, CFI_OFFSET, 0,
			factored(machine, (int64_t)read_uleb(reader)));
		break;
	case 0x06: /* restore_extended */
		*rule = *rule_of(machine, &machine->initial, reg, &ignored);
		break;
	case 0x07: /* undefined */
		set_value(machine, rule, CFI_UNDEFINED, 0, 0);
		break;
	case 0x08: /* same_value */
		set_value(machine, rule, CFI_SAME, 0, 0);
		break;
	case 0x09: /* register */
		set_value(machine, rule, CFI_REGISTER, read_uleb(reader), 0);
		break;
	case 0x10: /* expression */
		set_expression(machine, rule, CFI_EXPRESSION);
		break;
	case 0x11: /* offset_extended_sf */
		set_value(machine, rule, CFI_OFFSET, 0, factored(machine, read_sleb(reader)));
		break;
	case 0x14: /* val_offset */
		set_value(machine, rule, CFI_VAL_OFFSET, 0,
			factored(machine, (int64_t)read_uleb(reader)));
		break;
	case 0x15: /* val_offset_sf */
		set_value(machine, rule, CFI_VAL_OFFSET, 0, factored(machine, read_sleb(reader)));
		break;
	case 0x16: /* val_expression */
		set_expression(machine, rule, CFI_VAL_EXPRESSION);
		break;
	default: /* 0x2f, GNU_negative_offset_extended */
		set_value(machine, rule, CFI_OFFSET, 0,
			-factored(machine, (int64_t)read_uleb(reader)));
	}
	return true;
}

/* All other instructions without operands in the opcode byte. False: unknown. */
static bool run_other(struct machine *machine, uint8_t op)
{
	struct reader *reader = &machine->reader;
	uint64_t reg;

	switch (op) {
	case 0x00: /* nop */
		return true;
	case 0x01: /* set_loc */
		machine->at = read_encoded(reader, machine->fde->encoding, 0);
		return true;
	case 0x02: /* advance_loc1 */
	case 0x03: /* advance_loc2 */
	case 0x04: /* advance_loc4 */
		machine->at += read_fixed(reader, 1u << (op - 2)) * machine->fde->code_align;
		return true;
	case 0x0a: /* remember_state */
		if (machine->n_remembered == MAX_REMEMBERED)
			return false;
		machine->remembered[machine->n_remembered++] = machine->row;
		return true;
	case 0x0b: /* restore_state */
		if (machine->n_remembered == 0)
			return false;
		machine->row = machine->remembered[--machine->n_remembered];
		return true;
	case 0x0c: /* def_cfa */
		reg = read_uleb(reader);
		define_cfa(machine, &reg, (int64_t)read_uleb(reader), true);
		return true;
	case 0x0d: /* def_cfa_register */
		reg = read_uleb(reader);
		define_cfa(machine, &reg, 0, false);
		return true;
	case 0x0e: /* def_cfa_offset */
		define_cfa(machine, NULL, (int64_t)read_uleb(reader), true);
		return true;
	case 0x0f: /* def_cfa_expression */
		set_expression(machine, &machine->row.cfa, CFI_EXPRESSION);
		return true;
	case 0x12: /* def_cfa_sf */
		reg = read_uleb(reader);
		define_cfa(machine, &reg, factored(machine, read_sleb(reader)), true);
		return true;
	case 0x13: /* def_cfa_offset_sf */
		define_cfa(machine, NULL, factored(machine, read_sleb(reader)), true);
		return true;
	case 0x2d: /* GNU_window_save, AARCH64_negate_ra_state: addresses are stripped instead */
		return true;
	case 0x2e: /* GNU_args_size */
		read_uleb(reader);
		return true;
	default:
		return false;
	}
}

/* Runs [code, end) until the row at hand no longer covers what begins at or before `pc`. */
static bool run_program(
	struct machine *machine, const uint8_t *code, const uint8_t *end, uintptr_t pc)
{
	struct reader *reader = &machine->reader;

	*reader = (struct reader){ code, end, false };
	while (reader->at < reader->end && !reader->is_bad) {
		uint8_t op = (uint8_t)read_fixed(reader, 1);
		struct cfi_rule ignored = { 0 };
		uint8_t low = op & 0x3f;

		switch (op >> 6) {
		case 1: /* advance_loc */
			machine->at += (uintptr_t)low * machine->fde->code_align;
			break;
		case 2: /* offset */
			set_value(machine, rule_of(machine, &machine->row, low, &ignored),
				CFI_OFFSET, 0, factored(machine, (int64_t)read_uleb(reader)));
			break;
		case 3: /* restore */
			*rule_of(machine, &machine->row, low, &ignored) =
				*rule_of(machine, &machine->initial, low, &ignored);
			break;
		default:
			if (!run_register_rule(machine, op) && !run_other(machine, op))
				return false;
		}
		if (machine->at > pc)
			break;
	}
	return !reader->is_bad;
}

enum cfi_status cfi_row_at(const struct cfi_fde *fde, uintptr_t pc, struct cfi_row *row_out)
{
	struct machine machine;

	if (fde->program_end - fde->program > (ptrdiff_t)CFI_MAX_BYTES ||
		fde->initial_end - fde->initial > (ptrdiff_t)CFI_MAX_BYTES)
		return CFI_LONG;
	machine.fde = fde;
	machine.n_remembered = 0;
	machine.at = fde->pc_begin;
	machine.row = (struct cfi_row){ { .kind = CFI_UNDEFINED }, { .kind = CFI_SAME },
		{ .kind = CFI_SAME }, { .kind = CFI_SAME } };
	machine.initial = machine.row;
	if (!run_program(&machine, fde->initial, fde->initial_end, pc))
		return CFI_BAD;
	machine.initial = machine.row;
	machine.at = fde->pc_begin;
	if (!run_program(&machine, fde->program, fde->program_end, pc))
		return CFI_BAD;
	*row_out = machine.row;
	return CFI_OK;
}
