/* SPDX-License-Identifier: MIT */
/* Offsets in struct fr_thread that vfork.S needs; thread.c checks them at compile time. */
#pragma once

#define FR_OFFSET_VFORK_RETURN 0
#define FR_OFFSET_IN_VFORK 8
