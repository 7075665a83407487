/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as text. Each function writes at p, where FORMAT_MAX bytes must be free, and returns the
 * byte behind what it wrote; no NUL. What they write is printable ASCII, but for the micro sign of
 * durations. No state but the clock text, which the caller owns.
 */
#pragma once

#include <endian.h>

#include "base/names.h"
#include "base/util.h"

#define FORMAT_MAX 512

extern const uint64_t format_powers[20];

static inline unsigned int format_u64_length(uint64_t v) {
        unsigned int guess = (unsigned int)((64 - __builtin_clzll(v | 1)) * 1233) >> 12;

        return guess + 1 - (v < format_powers[guess]) + (v == 0 && guess == 0);
}

/* The eight digits of v < 10^8 as bytes, the first of them lowest: v is cut into two numbers of
 * four digits, these into four of two, these into eight of one, each step in all lanes at once. */
static inline uint64_t format_eight(uint32_t v) {
        uint64_t x = v / 10000 | (uint64_t)(v % 10000) << 32, q;

        q = (x * 5243 >> 19) & UINT64_C(0x0000007f0000007f);
        x = q | (x - q * 100) << 16;
        q = (x * 103 >> 10) & UINT64_C(0x000f000f000f000f);
        x = q | (x - q * 10) << 8;
        return htole64(x + UINT64_C(0x3030303030303030));
}

/* Writes the n last digits of v < 10^n, and up to seven bytes of nonsense behind them. */
static inline void format_digits(uint8_t *p, uint64_t v, unsigned int n) {
        uint64_t text;

        if (n > 16) {
                uint64_t top = v / UINT64_C(10000000000000000);

                text = format_eight((uint32_t)top) >> (8 * (24 - n));
                memcpy(p, &text, sizeof(text));
                v -= top * UINT64_C(10000000000000000);
                p += n - 16;
                n = 16;
        }
        if (n > 8) {
                uint64_t top = v / 100000000;

                text = format_eight((uint32_t)top) >> (8 * (16 - n));
                memcpy(p, &text, sizeof(text));
                v -= top * 100000000;
                p += n - 8;
                n = 8;
        }
        text = format_eight((uint32_t)v) >> (8 * (8 - n));
        memcpy(p, &text, sizeof(text));
}

static inline uint8_t *format_u64(uint8_t *p, uint64_t v) {
        unsigned int n;

        if (v < 10) {
                *p = (uint8_t)('0' + v);
                return p + 1;
        }
        n = format_u64_length(v);
        format_digits(p, v, n);
        return p + n;
}

static inline uint8_t *format_i64(uint8_t *p, int64_t v) {
        if (v >= 0)
                return format_u64(p, (uint64_t)v);
        *p = '-';
        return format_u64(p + 1, -(uint64_t)v);
}

static inline uint8_t *format_text(uint8_t *p, const char *text) {
        size_t n = strlen(text);

        memcpy(p, text, n);
        return p + n;
}

uint8_t *format_hex(uint8_t *p, uint64_t v); /* 0x1f */

/* The shortest decimal that reads back as v; precision >= 0: that many digits behind the point. Not
 * for NaN and infinity. */
uint8_t *format_double(uint8_t *p, double v, bool is_float32, int precision);

/* Nanoseconds since the epoch as RFC 3339 in local time with nine digits:
 * 2024-07-31T13:39:16.455283441-05:00. */
struct format_clock {
        uint64_t second; /* the one whose text stands below */
        bool is_valid;
        uint8_t n_date;
        uint8_t n_zone;
        char date[31]; /* "2024-07-31T13:39:16." */
        char zone[8];  /* "Z" or "-05:00" */
};
void format_clock_set(struct format_clock *clock, uint64_t second);

static inline uint8_t *format_timestamp(struct format_clock *clock, uint8_t *p, uint64_t ns) {
        uint64_t second = ns / NSEC_PER_SEC;

        if (!clock->is_valid || clock->second != second)
                format_clock_set(clock, second);
        memcpy(p, clock->date, sizeof(clock->date));
        p += clock->n_date;
        format_digits(p, ns - second * NSEC_PER_SEC, 9);
        memcpy(p + 9, clock->zone, sizeof(clock->zone));
        return p + 9 + clock->n_zone;
}

/* 3ns, 1.50µs, 2.25ms, 1.5s, 1m2.5s, 1h0m0s. */
uint8_t *format_duration(uint8_t *p, uint64_t ns);

/* Powers of 1024: 137 B, 1.3 KiB, 79 MiB. */
uint8_t *format_bytes(uint8_t *p, uint64_t n);

/* As ls -l: -rw-r--r--, drwxrwsr-t. */
uint8_t *format_file_mode(uint8_t *p, uint64_t mode);

/* O_RDONLY|O_CLOEXEC; bits without a name as one 0x number at the end. */
uint8_t *format_file_flags(uint8_t *p, enum arch arch, uint64_t flags);

uint8_t *format_errno(uint8_t *p, uint64_t number);  /* "ENOENT"; 0: nothing; error#1000 */
uint8_t *format_signal(uint8_t *p, uint64_t number); /* "SIGKILL"; signal#0 */
uint8_t *format_syscall(uint8_t *p, enum arch arch,
                        uint64_t number); /* "SYS_OPENAT"; syscall_1f4 */

/* n is 4 or 16 bytes in network order; any other length writes nothing. */
uint8_t *format_ip(uint8_t *p, const uint8_t *address, size_t n);
