/* SPDX-License-Identifier: MIT */
/*
 * Unwind tables (.eh_frame) of loaded objects, interpreted where they lie: pc → FDE → the row of
 * rules in force there. No state of its own, no memory of its own, no call but _dl_find_object.
 * Every read is bounded by the segment that holds the tables. Context: hook | signal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracer/unwind_arch.h"

struct dl_find_object;

enum cfi_status {
	CFI_OK,
	CFI_NO_OBJECT, /* the pc is in no loaded object (or glibc < 2.35 cannot say) */
	CFI_NO_FDE,    /* the object has no tables, or none for this pc */
	CFI_BAD,       /* damaged or unknown tables */
	CFI_LONG,      /* more than CFI_MAX_BYTES of instructions */
};

/* Instructions interpreted for one pc; the longest entry known (cc1plus) has 20 KB. */
#define CFI_MAX_BYTES 65536u

enum cfi_rule_kind {
	CFI_SAME,
	CFI_UNDEFINED,
	CFI_OFFSET,	    /* saved at CFA + value */
	CFI_VAL_OFFSET,	    /* is CFA + value */
	CFI_REGISTER,	    /* is register `reg` (for the CFA: plus value) */
	CFI_EXPRESSION,	    /* saved at the expression's result (for the CFA: is it) */
	CFI_VAL_EXPRESSION, /* is the expression's result */
};

struct cfi_rule {
	uint8_t kind;
	uint8_t reg;
	uint16_t size; /* of the expression, bytes */
	int32_t value; /* offset in bytes; of an expression: its distance from cfi_fde.lo, as u32 */
};

/* The registers that the walk carries. 32 bytes: a handler's stack may be small. */
struct cfi_row {
	struct cfi_rule cfa, fp, bx, ra;
};

/* One FDE and its CIE, parsed. Pointers are borrowed from the object. */
struct cfi_fde {
	const uint8_t *lo, *hi; /* the segment that holds the tables */
	uintptr_t pc_begin, pc_end;
	const uint8_t *initial, *initial_end; /* the CIE's instructions */
	const uint8_t *program, *program_end; /* the FDE's instructions */
	uint32_t code_align;
	int32_t data_align;
	uint8_t encoding; /* of addresses in the instructions (DW_EH_PE_*) */
	uint8_t ra_register;
	bool is_signal; /* augmentation S */
};

/*
 * Finds the FDE of `pc`. *object_out gets what _dl_find_object() said unless the result is
 * CFI_NO_OBJECT; fde_out is complete only for CFI_OK.
 */
enum cfi_status cfi_find(uintptr_t pc, struct cfi_fde *fde_out, struct dl_find_object *object_out);

/* The same in a given .eh_frame_hdr that lies, like all its tables, in [lo, hi). */
enum cfi_status cfi_find_in(uintptr_t pc, const uint8_t *hdr, const uint8_t *lo, const uint8_t *hi,
	struct cfi_fde *fde_out);

/* The row in force at `pc`, which is in [pc_begin, pc_end). */
enum cfi_status cfi_row_at(const struct cfi_fde *fde, uintptr_t pc, struct cfi_row *row_out);

/* Can objects be found at all (glibc ≥ 2.35)? */
bool cfi_is_available(void);

/* The object's code at `pc` when `size` bytes of it can be read there; else NULL. */
const uint8_t *cfi_code_at(const struct dl_find_object *object, uintptr_t pc, size_t size);

/* Is this the object that holds the loader itself? */
bool cfi_is_loader(const struct dl_find_object *object);
