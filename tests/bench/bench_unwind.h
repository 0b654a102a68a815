/* SPDX-License-Identifier: MIT */
/* Calls `leaf` from a stack of `depth` frames chosen by the bits of `path`. */
#pragma once

void frames_without_fp(unsigned path, int depth, void (*leaf)(void));
void frames_with_fp(unsigned path, int depth, void (*leaf)(void));
