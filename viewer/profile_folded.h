/* SPDX-License-Identifier: MIT */
/* A profile as folded stacks, for flame graph tools and grep. */
#pragma once

#include "viewer/profile.h"

/*
 * Appends a line per stack, "root;...;leaf VALUE", in order of text; VALUE is what the profile shows unless asked for
 * another type. Labels are left out, equal stacks summed, stacks of value 0 not shown.
 */
void profile_folded(const struct profile *profile, GString *out);
