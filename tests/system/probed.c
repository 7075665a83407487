/* SPDX-License-Identifier: Apache-2.0 */
/* `probed N [LIBRARY]` calls a function, passes a USDT probe, and calls a function of the library,
 * N times each, with 0 to N - 1. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/sdt.h>

#include "tests/system/probed.h"

__attribute__((visibility("default"), noinline)) int probed_function(int value) {
        __asm__ volatile("");
        return value + 1000;
}

int main(int argc, char **argv) {
        void *library = argc > 2 ? dlopen(argv[2], RTLD_NOW) : NULL;
        int (*function)(int value) = library ? (int (*)(int))dlsym(library, "lib_function") : NULL;

        if (argc < 2 || (argc > 2 && !function))
                return 2;
        for (int i = 0; i < atoi(argv[1]); i++) {
                if (probed_function(i) != i + 1000)
                        return 3;
                DTRACE_PROBE2(gadget_test, ping, i, 7L * i);
                if (function && function(i) != i + 1)
                        return 3;
        }
        return 0;
}
