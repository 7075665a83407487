/* SPDX-License-Identifier: Apache-2.0 */
/* The entrypoint of a container that has nothing to do; with an argument it stays. */
#include <unistd.h>

int main(int argc, char **argv) {
        (void)argv;
        if (argc == 1)
                return 0;
        for (;;)
                pause();
}
