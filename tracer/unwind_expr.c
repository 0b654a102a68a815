/* SPDX-License-Identifier: MIT */
/*
 * The stack machine of DWARF expressions (DWARF 5 section 2.5), as far as unwind rules use it: PLT entries,
 * realigned stacks (DRAP), hand-written assembly. Memory is read on the walked stack only.
 */
#include "tracer/unwind_expr.h"

#define MAX_DEPTH 16
#define MAX_OPERATORS 256 /* known rules have up to 10 */

struct evaluation {
	const uint8_t *at, *end;
	const struct unwind_registers *registers;
	struct unwind_memory *memory;
	uint64_t stack[MAX_DEPTH];
	unsigned depth;
	int error; /* 0, or a negated enum unwind_end */
};

bool unwind_register(
	const struct unwind_registers *registers, unsigned number, uintptr_t *value_out)
{
	switch (number) {
	case ARCH_REG_RA:
		*value_out = registers->pc;
		return true;
	case ARCH_REG_SP:
		*value_out = registers->sp;
		return true;
	case ARCH_REG_FP:
		*value_out = registers->fp;
		return true;
	case ARCH_REG_BX:
		*value_out = registers->bx;
		return !ARCH_HAS_LINK || registers->bx != 0;
	default:
		return registers->context &&
		       arch_context_register(registers->context, number, value_out);
	}
}

static void push(struct evaluation *e, uint64_t value)
{
	if (e->depth == MAX_DEPTH)
		e->error = -UNWIND_END_EXPRESSION;
	else
		e->stack[e->depth++] = value;
}

static uint64_t pop(struct evaluation *e)
{
	if (e->depth == 0) {
		e->error = -UNWIND_END_EXPRESSION;
		return 0;
	}
	return e->stack[--e->depth];
}

UNWIND_RAW static uint64_t operand(struct evaluation *e, unsigned size)
{
	uint64_t value = 0;

	if ((size_t)(e->end - e->at) < size) {
		e->error = -UNWIND_END_EXPRESSION;
		return 0;
	}
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)*e->at++ << 8 * i;
	return value;
}

/* A base-128 number; is_signed extends its sign. */
UNWIND_RAW static uint64_t operand_leb(struct evaluation *e, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (e->at < e->end) {
		uint8_t byte = *e->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if (is_signed && shift < 64 && (byte & 0x40))
			value |= ~0ull << shift;
		return value;
	}
	e->error = -UNWIND_END_EXPRESSION;
	return 0;
}

static void push_register(struct evaluation *e, uint64_t number)
{
	uint64_t offset = operand_leb(e, true);
	uintptr_t value;

	if (number > 255 || !unwind_register(e->registers, (unsigned)number, &value))
		e->error = -UNWIND_END_REGISTER;
	else
		push(e, value + offset);
}

static void run_deref(struct evaluation *e)
{
	uintptr_t value = 0;

	if (!unwind_memory_read(e->memory, pop(e), &value))
		e->error = -UNWIND_END_BOUNDS;
	else
		push(e, value);
}

/* Constants. False: not one of them. */
static bool run_constant(struct evaluation *e, uint8_t op)
{
	switch (op) {
	case 0x08: /* const1u */
		push(e, operand(e, 1));
		return true;
	case 0x09: /* const1s */
		push(e, (uint64_t)(int8_t)operand(e, 1));
		return true;
	case 0x0a: /* const2u */
		push(e, operand(e, 2));
		return true;
	case 0x0b: /* const2s */
		push(e, (uint64_t)(int16_t)operand(e, 2));
		return true;
	case 0x0c: /* const4u */
		push(e, operand(e, 4));
		return true;
	case 0x0d: /* const4s */
		push(e, (uint64_t)(int32_t)operand(e, 4));
		return true;
	case 0x0e: /* const8u */
	case 0x0f: /* const8s */
		push(e, operand(e, 8));
		return true;
	case 0x10: /* constu */
		push(e, operand_leb(e, false));
		return true;
	case 0x11: /* consts */
		push(e, operand_leb(e, true));
		return true;
	default:
		return false;
	}
}

/* Stack shuffles and operators of one argument. False: not one of them. */
static bool run_unary(struct evaluation *e, uint8_t op)
{
	uint64_t a, b;

	switch (op) {
	case 0x06: /* deref */
		run_deref(e);
		return true;
	case 0x12: /* dup */
		a = pop(e);
		push(e, a);
		push(e, a);
		return true;
	case 0x13: /* drop */
		pop(e);
		return true;
	case 0x14: /* over */
		a = pop(e);
		b = pop(e);
		push(e, b);
		push(e, a);
		push(e, b);
		return true;
	case 0x16: /* swap */
		a = pop(e);
		b = pop(e);
		push(e, a);
		push(e, b);
		return true;
	case 0x1f: /* neg */
		push(e, -pop(e));
		return true;
	case 0x20: /* not */
		push(e, ~pop(e));
		return true;
	case 0x23: /* plus_uconst */
		a = pop(e);
		push(e, a + operand_leb(e, false));
		return true;
	case 0x96: /* nop */
		return true;
	default:
		return false;
	}
}

/* Operators of two arguments, `a` below `b`. */
static void run_binary(struct evaluation *e, uint8_t op)
{
	uint64_t b = pop(e), a = pop(e);

	switch (op) {
	case 0x1a: /* and */
		return push(e, a & b);
	case 0x1c: /* minus */
		return push(e, a - b);
	case 0x1e: /* mul */
		return push(e, a * b);
	case 0x21: /* or */
		return push(e, a | b);
	case 0x22: /* plus */
		return push(e, a + b);
	case 0x24: /* shl */
		return push(e, b < 64 ? a << b : 0);
	case 0x25: /* shr */
		return push(e, b < 64 ? a >> b : 0);
	case 0x26: /* shra */
		return push(e, (uint64_t)((int64_t)a >> (b < 64 ? b : 63)));
	case 0x27: /* xor */
		return push(e, a ^ b);
	case 0x29: /* eq */
		return push(e, a == b);
	case 0x2a: /* ge */
		return push(e, (int64_t)a >= (int64_t)b);
	case 0x2b: /* gt */
		return push(e, (int64_t)a > (int64_t)b);
	case 0x2c: /* le */
		return push(e, (int64_t)a <= (int64_t)b);
	case 0x2d: /* lt */
		return push(e, (int64_t)a < (int64_t)b);
	case 0x2e: /* ne */
		return push(e, a != b);
	default:
		e->error = -UNWIND_END_EXPRESSION;
	}
}

int unwind_expression(const uint8_t *code, size_t size, const struct unwind_registers *registers,
	struct unwind_memory *memory, bool has_initial, uintptr_t initial, uintptr_t *value_out)
{
	struct evaluation e;

	e.at = code;
	e.end = code + size;
	e.registers = registers;
	e.memory = memory;
	e.depth = 0;
	e.error = 0;
	if (has_initial)
		push(&e, initial);
	for (unsigned n = 0; e.at < e.end && !e.error; n++) {
		uint8_t op = (uint8_t)operand(&e, 1);

		if (n == MAX_OPERATORS)
			return -UNWIND_END_EXPRESSION;
		if (op >= 0x30 && op <= 0x4f) /* lit0..31 */
			push(&e, op - 0x30u);
		else if (op >= 0x70 && op <= 0x8f) /* breg0..31 */
			push_register(&e, op - 0x70u);
		else if (op == 0x92) /* bregx */
			push_register(&e, operand_leb(&e, false));
		else if (!run_constant(&e, op) && !run_unary(&e, op))
			run_binary(&e, op);
	}
	if (!e.error)
		*value_out = pop(&e);
	return e.error;
}
