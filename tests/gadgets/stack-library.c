/* SPDX-License-Identifier: Apache-2.0 */
/* The library of stack-program.c: two functions, the inner one of which does a system call. */
#include "stack-library.h"

#include <sys/syscall.h>

/* By hand: libc's wrapper would have a frame of its own, or none. */
static inline __attribute__((always_inline)) long call_getppid(void) {
#if defined(__aarch64__)
        register long nr __asm__("x8") = SYS_getppid;
        register long result __asm__("x0");

        __asm__ volatile("svc 0" : "=r"(result) : "r"(nr) : "memory");
        return result;
#else
        long result = SYS_getppid;

        __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
        return result;
#endif
}

__attribute__((noinline)) long library_inner(void) {
        long result = call_getppid();

        __asm__ volatile("" : "+r"(result)); /* the function goes on behind it */
        return result;
}

/* To a program that is linked to lie somewhere it would be a place in the program. */
void *library_place(void) {
        return (void *)library_inner;
}

__attribute__((noinline)) long library_outer(void) {
        long result = library_inner();

        __asm__ volatile("" : "+r"(result));
        return result;
}
