/* SPDX-License-Identifier: Apache-2.0 */
/* Text to numbers, strictly: the whole string, in range, no sign or space that is not asked for.
 * -EINVAL or -ERANGE. */
#pragma once

#include "base/util.h"

/* Decimal, or hexadecimal behind 0x. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret);
int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret);

/* The digits at the front, of base 10 or 16; *text moves behind them. False: there are none, or
 * they are too large a number, and *text stays. */
bool parse_leading(const char **text, unsigned int base, uint64_t *ret);

/* "true", "false", "yes", "no", "1", "0". */
int parse_bool(const char *text, bool *ret);

/* "10s", "500ms", "1m30s", "2h", "1us", "1ns"; a bare number (fractions allowed) is seconds.
 * Nanoseconds. */
int parse_duration(const char *text, uint64_t *ret_ns);

/* "64K", "4M", "1G" (powers of 1024), bare = bytes. */
int parse_size(const char *text, uint64_t *ret);
