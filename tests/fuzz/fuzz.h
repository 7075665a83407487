/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzz target is: one function over bytes, which aborts when something is not as it has to
 * be. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in every build, also where assert() does not. */
#define MUST(_condition)                                                                           \
        do {                                                                                       \
                if (!(_condition))                                                                 \
                        abort();                                                                   \
        } while (0)
