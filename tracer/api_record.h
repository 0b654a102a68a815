/* SPDX-License-Identifier: MIT */
/* What the life of the process needs of the functions that ask the recorder. */
#pragma once

/* What the parent has started is the parent's to end. */
void api_record_after_fork(void);
