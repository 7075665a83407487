/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the n-th call of a kind fail, in a program linked with --wrap for those calls. Counting is
 * off until faults_arm().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum fault_kind {
        FAULT_MALLOC, /* also calloc, realloc, reallocarray, strdup, and what jansson and libcrypto
                         allocate */
        FAULT_DISK,   /* write, fsync, renameat, unlinkat, mkdirat: an error */
        FAULT_KILL,   /* the same calls: the process ends, as SIGKILL would end it */
};

/* Call first in main: libcrypto takes its allocator only before its first use. */
void faults_init(void);

/* The n-th call from now on fails, counted from 1; 0 = only count. */
void faults_arm(enum fault_kind kind, size_t n);

/* Ends it. Number of calls since faults_arm(). */
size_t faults_disarm(void);

/* Blocks that our code and jansson hold. */
size_t faults_allocated(void);
