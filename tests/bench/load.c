/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load open|getppid SECONDS [CPU]: the traced program. Until a line comes in on stdin it does its
 * call every 2 ms, so that a tracer that has just started finds something; then at full speed for
 * so long; then it says what it did as JSON, and waits for the end of stdin, so that its pid stays
 * its own.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/util.h"

#define PATH "/dev/null"

static void do_open(void) {
        int fd = open(PATH, O_RDONLY);

        if (fd >= 0)
                close(fd);
}

static void do_getppid(void) {
        syscall(SYS_getppid);
}

static bool line_has_come(int timeout_ms) {
        struct pollfd p = { .fd = 0, .events = POLLIN };

        return poll(&p, 1, timeout_ms) != 0;
}

static void pin(int cpu) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        if (sched_setaffinity(0, sizeof(set), &set) < 0)
                fprintf(stderr, "load: cannot pin to CPU %d: %s\n", cpu, strerror(errno));
}

int main(int argc, char *argv[]) {
        void (*call)(void);
        uint64_t start, end, now, n = 0, n_warm = 0;
        char line[16];

        if (argc < 3) {
                fprintf(stderr, "usage: load open|getppid SECONDS [CPU]\n");
                return 2;
        }
        call = str_eq(argv[1], "open") ? do_open : do_getppid;
        if (argc > 3)
                pin((int)strtol(argv[3], NULL, 10));
        printf("{\"pid\": %d}\n", getpid());
        fflush(stdout);
        while (!line_has_come(2)) {
                call();
                n_warm++;
        }
        if (read(0, line, sizeof(line)) <= 0)
                return 0;
        start = now_ns();
        end = start + (uint64_t)(strtod(argv[2], NULL) * (double)NSEC_PER_SEC);
        do {
                for (int i = 0; i < 256; i++)
                        call();
                n += 256;
                now = now_ns();
        } while (now < end);
        printf("{\"calls\": %llu, \"warm\": %llu, \"ns\": %llu}\n", (unsigned long long)n,
               (unsigned long long)n_warm, (unsigned long long)(now - start));
        fflush(stdout);
        return read(0, line, sizeof(line)) < 0;
}
