/* SPDX-License-Identifier: Apache-2.0 */
#include "base/format.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/lib/needs.h"

static uint8_t text[FORMAT_MAX + 64];

static const char *end(const uint8_t *p) {
        text[p - text] = '\0';
        return (char *)text;
}

static void test_integers(void **state) {
        uint64_t v = 1;

        assert_string_equal(end(format_u64(text, 0)), "0");
        assert_string_equal(end(format_u64(text, UINT64_MAX)), "18446744073709551615");
        assert_string_equal(end(format_i64(text, INT64_MIN)), "-9223372036854775808");
        assert_string_equal(end(format_i64(text, -1)), "-1");
        assert_string_equal(end(format_hex(text, 0)), "0x0");
        assert_string_equal(end(format_hex(text, UINT64_MAX)), "0xffffffffffffffff");
        /* Each number of digits, at both of its ends and in between. */
        for (unsigned int digits = 1; digits <= 19; digits++, v *= 10) {
                const uint64_t values[] = { v, v + v / 3, v * 9 + (v - 1) };

                for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                        char want[32];

                        snprintf(want, sizeof(want), "%llu", (unsigned long long)values[i]);
                        assert_string_equal(end(format_u64(text, values[i])), want);
                        assert_int_equal(format_u64_length(values[i]), digits);
                }
        }
}

static void test_doubles(void **state) {
        static const double values[] = { 0,     -0.0,   1,           0.1,  1.0 / 3,
                                         1e300, 5e-324, -123456.789, 1e15, 123456789012345678.0 };

        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                assert_true(strtod(end(format_double(text, values[i], false, -1)), NULL) ==
                            values[i]);
        assert_string_equal(end(format_double(text, 0.1, false, -1)), "0.1");
        assert_string_equal(end(format_double(text, 0.1f, true, -1)), "0.1");
        assert_string_equal(end(format_double(text, 2.345, false, 2)), "2.35");
        assert_string_equal(end(format_double(text, 5, false, 0)), "5");
        /* As long as it gets. */
        assert_int_equal(strlen(end(format_double(text, -1.7e308, false, 20))), 331);
}

static void test_timestamp(void **state) {
        struct format_clock clock = { 0 };

        setenv("TZ", "UTC0", 1);
        tzset();
        assert_string_equal(end(format_timestamp(&clock, text, UINT64_C(1722451156455283441))),
                            "2024-07-31T18:39:16.455283441Z");
        assert_string_equal(end(format_timestamp(&clock, text, UINT64_C(1722451156000000000))),
                            "2024-07-31T18:39:16.000000000Z");
        assert_string_equal(end(format_timestamp(&clock, text, 0)),
                            "1970-01-01T00:00:00.000000000Z");
        assert_string_equal(end(format_timestamp(&clock, text, UINT64_C(1722451157000000001))),
                            "2024-07-31T18:39:17.000000001Z");
        clock.is_valid = false;
        setenv("TZ", "XXX5:30", 1);
        tzset();
        assert_string_equal(end(format_timestamp(&clock, text, UINT64_C(1722451156455283441))),
                            "2024-07-31T13:09:16.455283441-05:30");
        clock.is_valid = false;
        setenv("TZ", "YYY-2", 1);
        tzset();
        assert_string_equal(end(format_timestamp(&clock, text, UINT64_MAX)),
                            "2554-07-22T01:34:33.709551615+02:00");
}

static void test_duration(void **state) {
        static const struct {
                uint64_t ns;
                const char *want;
        } cases[] = {
                { 0, "0ns" },
                { 999, "999ns" },
                { 1000, "1.00\xc2\xb5s" },
                { 1500, "1.50\xc2\xb5s" },
                { 999999, "999.99\xc2\xb5s" },
                { 1000000, "1.00ms" },
                { 2250000, "2.25ms" },
                { 999999999, "999.99ms" },
                { 1000000000, "1s" },
                { 1500000000, "1.5s" },
                { 1234567891, "1.234567891s" },
                { 60000000000, "1m0s" },
                { 62500000000, "1m2.5s" },
                { 3600000000000, "1h0m0s" },
                { UINT64_MAX, "5124095h34m33.709551615s" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(end(format_duration(text, cases[i].ns)), cases[i].want);
}

static void test_bytes(void **state) {
        static const struct {
                uint64_t n;
                const char *want;
        } cases[] = {
                { 0, "0 B" },
                { 137, "137 B" },
                { 1023, "1023 B" },
                { 1024, "1.0 KiB" },
                { 1331, "1.3 KiB" },
                { 10239, "10 KiB" },
                { 10240, "10 KiB" },
                { 1047552, "1023 KiB" },
                { 1048575, "1.0 MiB" },
                { 1048576, "1.0 MiB" },
                { 82854982, "79 MiB" },
                { UINT64_C(1) << 30, "1.0 GiB" },
                { UINT64_C(3) << 39, "1.5 TiB" },
                { UINT64_C(1) << 50, "1.0 PiB" },
                { UINT64_MAX, "16 EiB" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(end(format_bytes(text, cases[i].n)), cases[i].want);
}

static void test_file_mode(void **state) {
        static const struct {
                uint32_t mode;
                const char *want;
        } cases[] = {
                { 0, "----------" },       { 0644, "-rw-r--r--" },    { 0777, "-rwxrwxrwx" },
                { 0100644, "-rw-r--r--" }, { 0040755, "drwxr-xr-x" }, { 0120777, "lrwxrwxrwx" },
                { 0020620, "crw--w----" }, { 0060660, "brw-rw----" }, { 0010644, "prw-r--r--" },
                { 0140755, "srwxr-xr-x" }, { 04755, "-rwsr-xr-x" },   { 04644, "-rwSr--r--" },
                { 02755, "-rwxr-sr-x" },   { 02644, "-rw-r-Sr--" },   { 01777, "-rwxrwxrwt" },
                { 01666, "-rw-rw-rwT" },   { 0107777, "-rwsrwsrwt" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(end(format_file_mode(text, cases[i].mode)), cases[i].want);
}

static void test_file_flags(void **state) {
        static const struct {
                enum arch arch;
                uint64_t flags;
                const char *want;
        } cases[] = {
                { ARCH_AMD64, 0, "O_RDONLY" },
                { ARCH_AMD64, 1, "O_WRONLY" },
                { ARCH_AMD64, 2, "O_RDWR" },
                { ARCH_AMD64, 3, "O_ACCMODE" },
                { ARCH_AMD64, 02000000, "O_RDONLY|O_CLOEXEC" },
                { ARCH_AMD64, 01101, "O_WRONLY|O_CREAT|O_TRUNC" },
                { ARCH_AMD64, 0302, "O_RDWR|O_CREAT|O_EXCL" },
                { ARCH_AMD64, 06401, "O_WRONLY|O_NOCTTY|O_APPEND|O_NONBLOCK" },
                { ARCH_AMD64, 010001, "O_WRONLY|O_DSYNC" },
                { ARCH_AMD64, 04010001, "O_WRONLY|O_SYNC" },
                { ARCH_AMD64, 020000, "O_RDONLY|O_ASYNC" },
                { ARCH_AMD64, 040000, "O_RDONLY|O_DIRECT" },
                { ARCH_AMD64, 0100000, "O_RDONLY|O_LARGEFILE" },
                { ARCH_AMD64, 0200000, "O_RDONLY|O_DIRECTORY" },
                { ARCH_AMD64, 0400000, "O_RDONLY|O_NOFOLLOW" },
                { ARCH_AMD64, 01000000, "O_RDONLY|O_NOATIME" },
                { ARCH_AMD64, 010000000, "O_RDONLY|O_PATH" },
                { ARCH_AMD64, 020200002, "O_RDWR|O_TMPFILE" },
                { ARCH_AMD64, 020000002, "O_RDWR|0x400000" },
                { ARCH_AMD64, UINT64_C(1) << 40, "O_RDONLY|0x10000000000" },
                { ARCH_ARM64, 040000, "O_RDONLY|O_DIRECTORY" },
                { ARCH_ARM64, 0100000, "O_RDONLY|O_NOFOLLOW" },
                { ARCH_ARM64, 0200000, "O_RDONLY|O_DIRECT" },
                { ARCH_ARM64, 0400000, "O_RDONLY|O_LARGEFILE" },
                { ARCH_ARM64, 020040002, "O_RDWR|O_TMPFILE" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(end(format_file_flags(text, cases[i].arch, cases[i].flags)),
                                    cases[i].want);
}

static void test_every_flag_fits(void **state) {
        assert_true(format_file_flags(text, ARCH_AMD64, UINT64_MAX) < text + FORMAT_MAX);
        assert_true(format_file_flags(text, ARCH_ARM64, UINT64_MAX) < text + FORMAT_MAX);
}

/* libc knows the same numbers by other ways; where a number has two names either is right. */
static void test_errno_names(void **state) {
        for (int i = 1; i < 134; i++) {
                const char *libc = strerrorname_np(i), *ours = errno_name((uint64_t)i);

                if (!libc) {
                        assert_null(ours);
                        continue;
                }
                assert_non_null(ours);
                if (i != EAGAIN && i != EDEADLK && i != EOPNOTSUPP)
                        assert_string_equal(ours, libc);
        }
        assert_string_equal(end(format_errno(text, EAGAIN)), "EAGAIN");
        assert_string_equal(end(format_errno(text, EDEADLK)), "EDEADLK");
        assert_string_equal(end(format_errno(text, EOPNOTSUPP)), "EOPNOTSUPP");
        assert_string_equal(end(format_errno(text, 0)), "");
        assert_string_equal(end(format_errno(text, 2)), "ENOENT");
        assert_string_equal(end(format_errno(text, 512)), "ERESTARTSYS");
        assert_string_equal(end(format_errno(text, 1000)), "error#1000");
        assert_string_equal(end(format_errno(text, (uint64_t)-2)), "error#-2");
}

static void test_signal_names(void **state) {
        for (int i = 1; i < 32; i++) {
                char want[32];

                snprintf(want, sizeof(want), "SIG%s", i == SIGIO ? "IO" : sigabbrev_np(i));
                assert_string_equal(end(format_signal(text, (uint64_t)i)), want);
        }
        assert_string_equal(end(format_signal(text, 0)), "signal#0");
        assert_string_equal(end(format_signal(text, 32)), "signal#32");
        assert_string_equal(end(format_signal(text, UINT64_MAX)), "signal#-1");
}

static void test_syscall_names(void **state) {
        static const struct {
                enum arch arch;
                uint64_t number;
                const char *want;
        } cases[] = {
                { ARCH_AMD64, 0, "SYS_READ" },
                { ARCH_AMD64, 59, "SYS_EXECVE" },
                { ARCH_AMD64, 257, "SYS_OPENAT" },
                { ARCH_AMD64, 231, "SYS_EXIT_GROUP" },
                { ARCH_AMD64, 334, "SYS_RSEQ" },
                { ARCH_AMD64, 437, "SYS_OPENAT2" },
                { ARCH_AMD64, 300, "SYS_FANOTIFY_INIT" },
                { ARCH_ARM64, 0, "SYS_IO_SETUP" },
                { ARCH_ARM64, 56, "SYS_OPENAT" },
                { ARCH_ARM64, 63, "SYS_READ" },
                { ARCH_ARM64, 221, "SYS_EXECVE" },
                { ARCH_ARM64, 94, "SYS_EXIT_GROUP" },
                { ARCH_ARM64, 437, "SYS_OPENAT2" },
                { ARCH_ARM64, 262, "SYS_FANOTIFY_INIT" },
                { ARCH_AMD64, 462, "SYS_MSEAL" },
                { ARCH_ARM64, 462, "SYS_MSEAL" },
                { ARCH_AMD64, 500, "syscall_1f4" },
                { ARCH_ARM64, 250, "syscall_fa" },
                { ARCH_AMD64, 400, "syscall_190" },
                { ARCH_AMD64, UINT64_MAX, "syscall_ffffffffffffffff" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(end(format_syscall(text, cases[i].arch, cases[i].number)),
                                    cases[i].want);
}

/* The headers of the machine that builds, as far as they go. */
static void test_syscalls_of_this_machine(void **state) {
#define SAME(_name, _nr) assert_string_equal(syscall_name(ARCH_NATIVE, _nr), "SYS_" _name)
        SAME("READ", SYS_read);
        SAME("OPENAT", SYS_openat);
        SAME("CLOSE", SYS_close);
        SAME("MMAP", SYS_mmap);
        SAME("NEWFSTATAT", SYS_newfstatat);
        SAME("FCNTL", SYS_fcntl);
        SAME("LSEEK", SYS_lseek);
        SAME("SENDFILE", SYS_sendfile);
        SAME("FADVISE64", SYS_fadvise64);
        SAME("PERF_EVENT_OPEN", SYS_perf_event_open);
        SAME("BPF", SYS_bpf);
        SAME("CLONE3", SYS_clone3);
        SAME("WAITID", SYS_waitid);
        SAME("PRLIMIT64", SYS_prlimit64);
        SAME("RT_SIGRETURN", SYS_rt_sigreturn);
        SAME("GETDENTS64", SYS_getdents64);
        SAME("STATX", SYS_statx);
        SAME("FUTEX_WAITV", SYS_futex_waitv);
#undef SAME
}

static void test_names_are_unique(void **state) {
        for (enum arch arch = 0; arch < _ARCH_MAX; arch++)
                for (uint64_t i = 0; i < 512; i++)
                        for (uint64_t k = i + 1; k < 512 && syscall_name(arch, i); k++)
                                if (syscall_name(arch, k))
                                        assert_string_not_equal(syscall_name(arch, i),
                                                                syscall_name(arch, k));
}

static void test_ip(void **state) {
        static const uint8_t v4[] = { 10, 0, 200, 255 }, zero[16] = { 0 };
        static const uint8_t v6[] = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
        static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4 };

        assert_string_equal(end(format_ip(text, v4, 4)), "10.0.200.255");
        assert_string_equal(end(format_ip(text, zero, 4)), "0.0.0.0");
        assert_string_equal(end(format_ip(text, v6, 16)), "2001:db8::1");
        assert_string_equal(end(format_ip(text, zero, 16)), "::");
        assert_string_equal(end(format_ip(text, mapped, 16)), "::ffff:1.2.3.4");
        assert_string_equal(end(format_ip(text, v6, 0)), "");
        assert_string_equal(end(format_ip(text, v6, 5)), "");
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_timestamp),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_file_mode),
        cmocka_unit_test(test_file_flags),
        cmocka_unit_test(test_every_flag_fits),
        cmocka_unit_test(test_errno_names),
        cmocka_unit_test(test_signal_names),
        cmocka_unit_test(test_syscall_names),
        cmocka_unit_test(test_syscalls_of_this_machine),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_ip),
};

TEST_MAIN("client-format", tests)
