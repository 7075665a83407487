/* SPDX-License-Identifier: Apache-2.0 */
#include "base/format.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

const uint64_t format_powers[20] = {
        UINT64_C(1),
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
};

uint8_t *format_hex(uint8_t *p, uint64_t v) {
        return p + snprintf((char *)p, FORMAT_MAX, "0x%llx", (unsigned long long)v);
}

uint8_t *format_double(uint8_t *p, double v, bool is_float32, int precision) {
        int n = 0;

        if (precision >= 0)
                return p + MIN(snprintf((char *)p, FORMAT_MAX, "%.*f", MIN(precision, 20), v),
                               FORMAT_MAX - 1);
        for (int digits = is_float32 ? 6 : 15; digits <= 17; digits++) {
                n = snprintf((char *)p, FORMAT_MAX, "%.*g", digits, v);
                if (is_float32 ? strtof((char *)p, NULL) == (float)v : strtod((char *)p, NULL) == v)
                        break;
        }
        return p + n;
}

void format_clock_set(struct format_clock *clock, uint64_t second) {
        time_t t = (time_t)second;
        struct tm tm;
        long offset, minutes;

        if (!localtime_r(&t, &tm))
                memset(&tm, 0, sizeof(tm));
        clock->n_date =
                (uint8_t)strftime(clock->date, sizeof(clock->date), "%Y-%m-%dT%H:%M:%S.", &tm);
        offset = tm.tm_gmtoff;
        minutes = (offset < 0 ? -offset : offset) / 60;
        if (offset == 0)
                clock->n_zone = (uint8_t)snprintf(clock->zone, sizeof(clock->zone), "Z");
        else
                clock->n_zone = (uint8_t)snprintf(clock->zone, sizeof(clock->zone), "%c%02d:%02d",
                                                  offset < 0 ? '-' : '+', (int)(minutes / 60 % 100),
                                                  (int)(minutes % 60));
        clock->second = second;
        clock->is_valid = true;
}

/* n / 10^digits with the zeros at its end left out: 1.5, 2. */
static uint8_t *put_fraction(uint8_t *p, uint64_t n, unsigned int digits) {
        uint64_t unit = format_powers[digits], fraction = n % unit;

        p = format_u64(p, n / unit);
        if (fraction == 0)
                return p;
        *p++ = '.';
        format_digits(p, fraction, digits);
        p += digits;
        while (p[-1] == '0')
                p--;
        return p;
}

/* ns in units of 1000^n with two digits behind the point, cut rather than rounded so that 1 ms
 * never reads 1000 us. */
static uint8_t *put_hundredths(uint8_t *p, uint64_t ns, uint64_t unit) {
        p = format_u64(p, ns / unit);
        *p++ = '.';
        format_digits(p, ns % unit * 100 / unit, 2);
        return p + 2;
}

uint8_t *format_duration(uint8_t *p, uint64_t ns) {
        uint64_t minutes;

        if (ns < NSEC_PER_USEC)
                return format_text(format_u64(p, ns), "ns");
        if (ns < NSEC_PER_MSEC)
                return format_text(put_hundredths(p, ns, NSEC_PER_USEC), "\xc2\xb5s");
        if (ns < NSEC_PER_SEC)
                return format_text(put_hundredths(p, ns, NSEC_PER_MSEC), "ms");
        minutes = ns / (60 * NSEC_PER_SEC);
        if (minutes >= 60)
                p = format_text(format_u64(p, minutes / 60), "h");
        if (minutes > 0)
                p = format_text(format_u64(p, minutes % 60), "m");
        return format_text(put_fraction(p, ns % (60 * NSEC_PER_SEC), 9), "s");
}

uint8_t *format_bytes(uint8_t *p, uint64_t n) {
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        uint64_t tenths;
        size_t i = 0;

        if (n < 1024)
                return format_text(format_u64(p, n), " B");
        /* Rounding may carry into the next unit: 1048575 is 1.0 MiB, not 1024 KiB. */
        for (unsigned int shift = 10;; shift += 10, i++) {
                uint64_t whole = n >> shift;
                uint64_t rest = n & ((UINT64_C(1) << shift) - 1);

                tenths = whole * 10 + (((rest >> (shift - 10)) * 10 + 512) >> 10);
                if (tenths < 10235 || i + 1 == ARRAY_SIZE(units))
                        break;
        }
        if (tenths < 100) {
                p = format_u64(p, tenths / 10);
                *p++ = '.';
                *p++ = (uint8_t)('0' + tenths % 10);
        } else {
                p = format_u64(p, (tenths + 5) / 10);
        }
        *p++ = ' ';
        return format_text(p, units[i]);
}

static char file_type(uint64_t mode) {
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return 'd';
        case S_IFLNK:
                return 'l';
        case S_IFCHR:
                return 'c';
        case S_IFBLK:
                return 'b';
        case S_IFIFO:
                return 'p';
        case S_IFSOCK:
                return 's';
        default:
                return '-';
        }
}

uint8_t *format_file_mode(uint8_t *p, uint64_t mode) {
        static const char letters[] = "rwxrwxrwx";

        p[0] = (uint8_t)file_type(mode);
        for (unsigned int i = 0; i < 9; i++)
                p[1 + i] = (uint8_t)(mode & (0400u >> i) ? letters[i] : '-');
        if (mode & S_ISUID)
                p[3] = mode & S_IXUSR ? 's' : 'S';
        if (mode & S_ISGID)
                p[6] = mode & S_IXGRP ? 's' : 'S';
        if (mode & S_ISVTX)
                p[9] = mode & S_IXOTH ? 't' : 'T';
        return p + 10;
}

struct flag {
        uint32_t value[_ARCH_MAX];
        const char *name;
};

/* Combined names stand before the ones they are made of. */
static const struct flag open_flags[] = {
        { { 0100, 0100 }, "O_CREAT" },           { { 0200, 0200 }, "O_EXCL" },
        { { 0400, 0400 }, "O_NOCTTY" },          { { 01000, 01000 }, "O_TRUNC" },
        { { 02000, 02000 }, "O_APPEND" },        { { 04000, 04000 }, "O_NONBLOCK" },
        { { 04010000, 04010000 }, "O_SYNC" },    { { 010000, 010000 }, "O_DSYNC" },
        { { 020000, 020000 }, "O_ASYNC" },       { { 040000, 0200000 }, "O_DIRECT" },
        { { 0100000, 0400000 }, "O_LARGEFILE" }, { { 020200000, 020040000 }, "O_TMPFILE" },
        { { 0200000, 040000 }, "O_DIRECTORY" },  { { 0400000, 0100000 }, "O_NOFOLLOW" },
        { { 01000000, 01000000 }, "O_NOATIME" }, { { 02000000, 02000000 }, "O_CLOEXEC" },
        { { 010000000, 010000000 }, "O_PATH" },
};

uint8_t *format_file_flags(uint8_t *p, enum arch arch, uint64_t flags) {
        static const char *const access_modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };

        p = format_text(p, access_modes[flags & 3]);
        flags &= ~UINT64_C(3);
        for (size_t i = 0; i < ARRAY_SIZE(open_flags) && flags; i++) {
                uint32_t value = open_flags[i].value[arch];

                if ((flags & value) != value)
                        continue;
                *p++ = '|';
                p = format_text(p, open_flags[i].name);
                flags &= ~(uint64_t)value;
        }
        if (flags) {
                *p++ = '|';
                p = format_hex(p, flags);
        }
        return p;
}

uint8_t *format_errno(uint8_t *p, uint64_t number) {
        const char *name = errno_name(number);

        if (number == 0)
                return p;
        if (name)
                return format_text(p, name);
        return format_i64(format_text(p, "error#"), (int64_t)number);
}

uint8_t *format_signal(uint8_t *p, uint64_t number) {
        const char *name = signal_name(number);

        if (name)
                return format_text(p, name);
        return format_i64(format_text(p, "signal#"), (int64_t)number);
}

uint8_t *format_syscall(uint8_t *p, enum arch arch, uint64_t number) {
        const char *name = syscall_name(arch, number);

        if (name)
                return format_text(p, name);
        return p + snprintf((char *)p, FORMAT_MAX, "syscall_%llx", (unsigned long long)number);
}

uint8_t *format_ip(uint8_t *p, const uint8_t *address, size_t n) {
        if (n == 4) {
                for (unsigned int i = 0; i < 4; i++) {
                        p = format_u64(p, address[i]);
                        *p++ = '.';
                }
                return p - 1;
        }
        if (n == 16 && inet_ntop(AF_INET6, address, (char *)p, INET6_ADDRSTRLEN))
                return p + strlen((char *)p);
        return p;
}
