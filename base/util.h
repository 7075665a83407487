/* SPDX-License-Identifier: Apache-2.0 */
/* Small words that every file uses: cleanup attributes, ownership transfer, sizes, strings. No
 * state. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STRINGIFY_(_x) #_x
#define STRINGIFY(_x) STRINGIFY_(_x)
#define ARRAY_SIZE(_a) (sizeof(_a) / sizeof((_a)[0]))
/* Each use has names of its own (_n), so that uses nest. */
#define VAR_(_name, _n) VAR__(_name, _n)
#define VAR__(_name, _n) _##_name##_##_n
#define MIN_(_a, _b, _n)                                                                           \
        ({                                                                                         \
                __typeof__(_a) VAR_(a, _n) = (_a);                                                 \
                __typeof__(_b) VAR_(b, _n) = (_b);                                                 \
                VAR_(a, _n) < VAR_(b, _n) ? VAR_(a, _n) : VAR_(b, _n);                             \
        })
#define MAX_(_a, _b, _n)                                                                           \
        ({                                                                                         \
                __typeof__(_a) VAR_(a, _n) = (_a);                                                 \
                __typeof__(_b) VAR_(b, _n) = (_b);                                                 \
                VAR_(a, _n) > VAR_(b, _n) ? VAR_(a, _n) : VAR_(b, _n);                             \
        })
#define MIN(_a, _b) MIN_(_a, _b, __COUNTER__)
#define MAX(_a, _b) MAX_(_a, _b, __COUNTER__)
#define container_of(_ptr, _type, _member)                                                         \
        ((_type *)(void *)((char *)(_ptr)-offsetof(_type, _member)))
#define ALIGN_UP(_n, _to) (((_n) + (_to)-1) / (_to) * (_to))
#define PRINTF_LIKE(_fmt, _args) __attribute__((format(printf, _fmt, _args)))

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)

/* Runs _func(&variable) when the variable goes out of scope. */
#define cleanup(_func) __attribute__((cleanup(_func)))
#define cleanup_free cleanup(freep)
#define cleanup_close cleanup(closep)

/* Makes x_freep(), for cleanup(x_freep), from x_free(). */
#define DEFINE_CLEANUP(_type, _free)                                                               \
        static inline void _free##p(_type **p) {                                                   \
                if (*p)                                                                            \
                        _free(*p);                                                                 \
        }

/* Hands an owned pointer or fd over: the variable is left empty, so its cleanup does nothing. */
#define TAKE_PTR(_p)                                                                               \
        ({                                                                                         \
                __typeof__(_p) _taken = (_p);                                                      \
                (_p) = NULL;                                                                       \
                _taken;                                                                            \
        })
#define TAKE_FD(_fd)                                                                               \
        ({                                                                                         \
                int _taken = (_fd);                                                                \
                (_fd) = -1;                                                                        \
                _taken;                                                                            \
        })

/* Borrowed bytes of foreign origin: not NUL-terminated, not validated. */
struct bytes {
        const uint8_t *data;
        size_t len;
};
#define BYTES(_data, _len) ((struct bytes){ (const uint8_t *)(_data), (_len) })

static inline void freep(void *p) {
        free(*(void **)p);
}

/* Closes and forgets; keeps errno. */
static inline void close_fd(int *fd) {
        int saved = errno;

        if (*fd >= 0)
                close(*fd);
        *fd = -1;
        errno = saved;
}

static inline void closep(int *fd) {
        close_fd(fd);
}

static inline bool str_eq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* The rest of `s` behind `prefix`, or NULL. */
static inline const char *str_after(const char *s, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}
