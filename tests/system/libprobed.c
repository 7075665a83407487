/* SPDX-License-Identifier: Apache-2.0 */
/* A library that containers of a test have, each its own copy. */
#include "tests/system/probed.h"

__attribute__((visibility("default"), noinline)) int lib_function(int value) {
        __asm__ volatile("");
        return value + 1;
}
