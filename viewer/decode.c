/* SPDX-License-Identifier: MIT */
/*
 * Each event class met gets a short list of operations: which member of the payload goes where in
 * struct event, and as what. Lists are found by the address of the class, which stays the same for the
 * life of a graph (a decoder must not outlive it).
 */
#include "viewer/decode.h"

#include <string.h>

#include <glib.h>

#include "viewer/idmap.h"

enum op_source {
	OP_ABSENT,
	OP_UNSIGNED,
	OP_SIGNED,
	OP_STRING,
	OP_ARRAY,
};

struct op {
	uint16_t member; /* index in the payload structure; OP_ABSENT: whether it is -1 then */
	uint8_t source;	 /* enum op_source */
	uint8_t type;	 /* enum event_type */
	uint32_t offset; /* in struct event */
};

#define MAX_OPS 24

struct class
{
	enum event_kind kind; /* EVENT_N: none of ours */
	uint32_t n_ops;
	struct op ops[MAX_OPS];
};

struct decoder {
	struct idmap by_address; /* bt_event_class * → index in classes */
	GArray *classes;	 /* struct class */
	GArray *frames;		 /* uint64_t: storage behind def_stack.frames */
};

struct decoder *decoder_new(void)
{
	struct decoder *decoder = g_new0(struct decoder, 1);

	decoder->classes = g_array_new(FALSE, FALSE, sizeof(struct class));
	decoder->frames = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	return decoder;
}

void decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	idmap_fini(&decoder->by_address);
	g_array_free(decoder->classes, TRUE);
	g_array_free(decoder->frames, TRUE);
	g_free(decoder);
}

static enum op_source class_source(const bt_field_class *field, enum event_type type)
{
	bt_field_class_type is = bt_field_class_get_type(field);

	if (type == EVENT_STRING)
		return is == BT_FIELD_CLASS_TYPE_STRING ? OP_STRING : OP_ABSENT;
	if (type == EVENT_FRAMES) {
		if (!bt_field_class_type_is(is, BT_FIELD_CLASS_TYPE_ARRAY))
			return OP_ABSENT;
		const bt_field_class *element =
			bt_field_class_array_borrow_element_field_class_const(field);
		return bt_field_class_type_is(bt_field_class_get_type(element),
			       BT_FIELD_CLASS_TYPE_UNSIGNED_INTEGER)
			       ? OP_ARRAY
			       : OP_ABSENT;
	}
	if (bt_field_class_type_is(is, BT_FIELD_CLASS_TYPE_UNSIGNED_INTEGER))
		return OP_UNSIGNED;
	if (bt_field_class_type_is(is, BT_FIELD_CLASS_TYPE_SIGNED_INTEGER))
		return OP_SIGNED;
	return OP_ABSENT;
}

static void class_add_op(struct class *class, const bt_field_class *payload, const char *name,
	enum event_type type, uint32_t offset, int is_unknown_minus)
{
	struct op op = {
		.source = OP_ABSENT, .type = type, .offset = offset, .member = is_unknown_minus != 0
	};
	uint64_t n = payload ? bt_field_class_structure_get_member_count(payload) : 0;

	for (uint64_t i = 0; name && i < n && i <= UINT16_MAX; i++) {
		const bt_field_class_structure_member *member =
			bt_field_class_structure_borrow_member_by_index_const(payload, i);
		if (!g_str_equal(bt_field_class_structure_member_get_name(member), name))
			continue;
		op.source = class_source(
			bt_field_class_structure_member_borrow_field_class_const(member), type);
		if (op.source != OP_ABSENT)
			op.member = i;
		break;
	}
	g_assert(class->n_ops < MAX_OPS);
	class->ops[class->n_ops++] = op;
}

static uint32_t decoder_add_class(struct decoder *decoder, const bt_event_class *event_class)
{
	struct class class = { .kind = event_kind_of(bt_event_class_get_name(event_class)) };
	const bt_field_class *payload =
		bt_event_class_borrow_payload_field_class_const(event_class);

	if (class.kind < EVENT_N) {
		const struct event_info *info = &event_infos[class.kind];
		class_add_op(&class, payload, "proc", EVENT_U32, offsetof(struct event, proc), 0);
		class_add_op(&class, payload, "tid", EVENT_U32, offsetof(struct event, tid), 0);
		class_add_op(&class, payload, "stack", EVENT_U32, offsetof(struct event, stack), 0);
		for (uint32_t i = 0; i < info->n_fields; i++)
			class_add_op(&class, payload, info->fields[i].name, info->fields[i].type,
				info->fields[i].offset, info->fields[i].is_unknown_minus);
		if (class.kind == EVENT_CALL)
			class_add_op(&class, payload, NULL, EVENT_STRING,
				offsetof(struct event, call.path), 0);
	}
	uint32_t index = decoder->classes->len;
	g_array_append_val(decoder->classes, class);
	idmap_set(&decoder->by_address, (uintptr_t)event_class, 0, index);
	return index;
}

static void decoder_frames(struct decoder *decoder, const bt_field *field, struct event *event)
{
	uint64_t n = bt_field_array_get_length(field);

	n = MIN(n, UINT16_MAX);
	g_array_set_size(decoder->frames, n);
	for (uint64_t i = 0; i < n; i++)
		g_array_index(decoder->frames, uint64_t, i) = bt_field_integer_unsigned_get_value(
			bt_field_array_borrow_element_field_by_index_const(field, i));
	event->def_stack.frames = (const uint64_t *)decoder->frames->data;
	event->def_stack.n_frames = n;
}

static void decoder_apply(
	struct decoder *decoder, const struct op *op, const bt_field *payload, struct event *event)
{
	char *to = (char *)event + op->offset;
	const bt_field *field = NULL;
	uint64_t value = 0;

	if (op->source != OP_ABSENT)
		field = bt_field_structure_borrow_member_field_by_index_const(payload, op->member);
	else if (op->member)
		value = UINT64_MAX;
	switch (op->source) {
	case OP_UNSIGNED:
		value = bt_field_integer_unsigned_get_value(field);
		break;
	case OP_SIGNED:
		value = (uint64_t)bt_field_integer_signed_get_value(field);
		break;
	case OP_STRING:
		/* babeltrace2 2.0 leaves the text of an earlier event in an empty string: its length tells. */
		*(const char **)to =
			bt_field_string_get_length(field) ? bt_field_string_get_value(field) : "";
		if (strcmp(*(const char **)to, "-") == 0)
			*(const char **)to = "";
		return;
	case OP_ARRAY:
		decoder_frames(decoder, field, event);
		return;
	}
	switch (op->type) {
	case EVENT_U32:
	case EVENT_S32:
		*(uint32_t *)to = (uint32_t)value;
		break;
	case EVENT_U64:
	case EVENT_S64:
		*(uint64_t *)to = value;
		break;
	case EVENT_STRING:
		*(const char **)to = "";
		break;
	case EVENT_FRAMES:
		event->def_stack.frames = NULL;
		event->def_stack.n_frames = 0;
		break;
	}
}

int decoder_event(struct decoder *decoder, const bt_message *message, struct event *event_out)
{
	const bt_event *event = bt_message_event_borrow_event_const(message);
	const bt_event_class *event_class = bt_event_borrow_class_const(event);
	uint32_t index = idmap_get(&decoder->by_address, (uintptr_t)event_class, 0);

	if (index == IDMAP_NONE)
		index = decoder_add_class(decoder, event_class);
	const struct class *class = &g_array_index(decoder->classes, struct class, index);
	if (class->kind == EVENT_N)
		return 0;
	const bt_field *payload = bt_event_borrow_payload_field_const(event);
	event_out->kind = class->kind;
	event_out->time_ns = bt_clock_snapshot_get_value(
		bt_message_event_borrow_default_clock_snapshot_const(message));
	for (uint32_t i = 0; i < class->n_ops; i++)
		decoder_apply(decoder, &class->ops[i], payload, event_out);
	return 1;
}
