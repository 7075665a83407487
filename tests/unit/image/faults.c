/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/image/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_armed;
static enum fault_kind armed_kind;
static size_t n_calls, fail_at;
static size_t n_allocated;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void __real_free(void *p);
ssize_t __real_write(int fd, const void *data, size_t n);
int __real_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_unlinkat(int fd, const char *path, int flags);
int __real_mkdirat(int fd, const char *path, mode_t mode);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);
ssize_t __wrap_write(int fd, const void *data, size_t n);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_unlinkat(int fd, const char *path, int flags);
int __wrap_mkdirat(int fd, const char *path, mode_t mode);

static bool fails(bool is_disk) {
        if (!is_armed || is_disk != (armed_kind != FAULT_MALLOC) || ++n_calls != fail_at)
                return false;
        if (armed_kind == FAULT_KILL)
                _exit(0);
        errno = is_disk ? ENOSPC : ENOMEM;
        return true;
}

static void *counted(void *p) {
        n_allocated += p != NULL;
        return p;
}

void *__wrap_malloc(size_t n) {
        return fails(false) ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size) {
        return fails(false) ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n) {
        if (fails(false))
                return NULL;
        return p ? __real_realloc(p, n) : counted(__real_realloc(p, n));
}

void *__wrap_reallocarray(void *p, size_t n, size_t size) {
        if (fails(false))
                return NULL;
        return p ? __real_reallocarray(p, n, size) : counted(__real_reallocarray(p, n, size));
}

char *__wrap_strdup(const char *s) {
        return fails(false) ? NULL : counted(__real_strdup(s));
}

void __wrap_free(void *p) {
        n_allocated -= p != NULL;
        __real_free(p);
}

ssize_t __wrap_write(int fd, const void *data, size_t n) {
        /* A full disk takes a part first. */
        if (fails(true)) {
                if (n > 1)
                        (void)!__real_write(fd, data, n / 2);
                errno = ENOSPC;
                return -1;
        }
        return __real_write(fd, data, n);
}

int __wrap_fsync(int fd) {
        return fails(true) ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to) {
        return fails(true) ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

int __wrap_unlinkat(int fd, const char *path, int flags) {
        return fails(true) ? -1 : __real_unlinkat(fd, path, flags);
}

int __wrap_mkdirat(int fd, const char *path, mode_t mode) {
        return fails(true) ? -1 : __real_mkdirat(fd, path, mode);
}

/* libcrypto keeps what it allocates first (providers, caches), so it is made to fail but not
 * counted. */
static void *crypto_malloc(size_t n, const char *file, int line) {
        (void)file;
        (void)line;
        return fails(false) ? NULL : __real_malloc(n);
}

static void *crypto_realloc(void *p, size_t n, const char *file, int line) {
        (void)file;
        (void)line;
        return fails(false) ? NULL : __real_realloc(p, n);
}

static void crypto_free(void *p, const char *file, int line) {
        (void)file;
        (void)line;
        __real_free(p);
}

void faults_init(void) {
        if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
                abort();
        json_set_alloc_funcs(__wrap_malloc,
                             __wrap_free); /* before our own json_parse() says the same */
}

void faults_arm(enum fault_kind kind, size_t n) {
        armed_kind = kind;
        fail_at = n;
        n_calls = 0;
        is_armed = true;
}

size_t faults_disarm(void) {
        is_armed = false;
        return n_calls;
}

size_t faults_allocated(void) {
        return n_allocated;
}
