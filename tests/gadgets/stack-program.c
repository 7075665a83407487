/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program whose stacks are known: says where its functions are, and then, for each byte that it
 * reads, calls main() > program_outer() > program_inner() > library_outer() > library_inner() > a
 * system call. With an argument it spins instead, in program_spin().
 */
#include <stdio.h>
#include <unistd.h>

#include "stack-library.h"

long program_inner(void);
long program_outer(void);
void program_spin(void);

__attribute__((noinline)) long program_inner(void) {
        long result = library_outer();

        __asm__ volatile("" : "+r"(result));
        return result;
}

__attribute__((noinline)) long program_outer(void) {
        long result = program_inner();

        __asm__ volatile("" : "+r"(result));
        return result;
}

__attribute__((noinline)) void program_spin(void) {
        for (volatile unsigned int i = 0; i < 1000000; i++)
                ;
}

int main(int argc, char **argv) {
        long sum = 0;
        char c;

        printf("%p %p\n", (void *)program_outer, library_place());
        fflush(stdout);
        if (argc > 1)
                for (;;) /* until it is killed */
                        program_spin();
        while (read(STDIN_FILENO, &c, 1) == 1)
                sum += program_outer();
        return sum == -1;
}
