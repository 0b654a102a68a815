/* SPDX-License-Identifier: MIT */
/* How a packet of LTTng-UST 2.13 begins, 64 bit, host byte order. */
#pragma once

#include <stdint.h>

#define UST_PACKET_MAGIC 0xc1fc1fc1u
#define UST_PACKET_ALIGN 4096u /* a packet's size in a file is a multiple of this */

/* Header and context. Times are CLOCK_MONOTONIC ns, sizes bits. */
struct ust_packet_head {
	uint32_t magic;
	uint8_t uuid[16];
	uint32_t stream_id;
	uint64_t stream_instance_id;
	uint64_t timestamp_begin, timestamp_end;
	uint64_t content_size, packet_size;
	uint64_t packet_seq_num;
	uint64_t events_discarded; /* since the stream began, until this packet ended */
	uint32_t cpu_id;
} __attribute__((packed));
