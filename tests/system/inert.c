/* SPDX-License-Identifier: Apache-2.0 */
/* In place of a worker or a broker: does nothing, for as long as it may. An instance with it stays
 * where it is. */
#include <unistd.h>

int main(void) {
        for (;;)
                pause();
}
