/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/kmsg.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <seccomp.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/parse.h"

/* The record comes from a thread of the kernel, a moment after the death. */
#define RECORD_DEADLINE (50 * NSEC_PER_MSEC)
#define RECORD_SIZE_MAX 8192
#define RECORD_SECCOMP "type=1326 "

int kmsg_open(void) {
        int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0)
                close_fd(&fd);
        return fd;
}

/* The number behind " KEY=". */
static bool find_number(const char *record, const char *key, const char *prefix, uint32_t *ret) {
        const char *value = strstr(record, key);
        char text[16] = "";
        size_t n;

        if (!value)
                return false;
        value += strlen(key);
        n = strcspn(value, " \n");
        if (n == 0 || n + strlen(prefix) >= sizeof(text))
                return false;
        snprintf(text, sizeof(text), "%s%.*s", prefix, (int)n, value);
        return parse_u32(text, 0, UINT32_MAX, ret) == 0;
}

bool kmsg_parse(const char *record, pid_t worker, uint32_t *ret_arch, uint32_t *ret_nr) {
        uint32_t pid;

        /* A process name with a space in it is written as hex, so none passes for one of these
         * keys. */
        return strstr(record, RECORD_SECCOMP) && find_number(record, " pid=", "", &pid) &&
               pid == (uint32_t)worker && find_number(record, " arch=", "0x", ret_arch) &&
               find_number(record, " syscall=", "", ret_nr);
}

static bool find_record(int fd, pid_t worker, uint32_t *ret_arch, uint32_t *ret_nr) {
        uint64_t deadline = now_ns() + RECORD_DEADLINE;
        char record[RECORD_SIZE_MAX];

        for (;;) {
                struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
                ssize_t n = read(fd, record, sizeof(record) - 1);
                uint64_t now = now_ns();

                if (n > 0) {
                        record[n] = '\0';
                        if (kmsg_parse(record, worker, ret_arch, ret_nr))
                                return true;
                }
                /* EPIPE: records were overwritten before we read them. */
                if (n < 0 && errno != EAGAIN && errno != EPIPE)
                        return false;
                if (now >= deadline)
                        return false;
                if (n < 0 && errno == EAGAIN)
                        (void)poll(&poll_fd, 1, (int)((deadline - now) / NSEC_PER_MSEC) + 1);
        }
}

void kmsg_explain(int fd, pid_t worker, struct error *err) {
        cleanup_free char *name = NULL;
        uint32_t arch, nr;

        if (fd < 0 || !find_record(fd, worker, &arch, &nr)) {
                error_set(err, ERROR_DENIED, -EPERM,
                          "the gadget's worker was killed by SIGSYS: it made a system call that "
                          "its sandbox forbids");
                return;
        }
        if (arch != seccomp_arch_native()) {
                error_set(err, ERROR_DENIED, -EPERM,
                          "the gadget's worker was killed by SIGSYS: it made system call %" PRIu32
                          " of another architecture (0x%" PRIx32 ")",
                          nr, arch);
                return;
        }
        name = seccomp_syscall_resolve_num_arch(arch, (int)nr);
        error_set(err, ERROR_DENIED, -EPERM,
                  "the gadget's worker was killed by SIGSYS: its sandbox forbids the system call "
                  "%s (%" PRIu32 ")",
                  name ?: "of this number", nr);
}
