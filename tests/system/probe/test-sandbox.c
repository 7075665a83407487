/* SPDX-License-Identifier: Apache-2.0 */
/* Plays gadgetd, runs the probe in a worker's place once for each attempt, and expects it to be
 * stopped and named. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/text.h"
#include "tests/lib/leaks.h"
#include "tests/lib/needs.h"
#include "tests/lib/wait.h"
#include "tests/system/probe/play.h"
#include "tests/system/probe/probe.h"

static const struct {
        const char *name;
        enum attempt_stage stage;
        const char *expect;
} attempts[] = {
#define ATTEMPT_ROW(_name, _stage, _expect) { #_name, _stage, _expect },
        ATTEMPTS(ATTEMPT_ROW)
#undef ATTEMPT_ROW
};
_Static_assert(ARRAY_SIZE(attempts) >= 100, "attempts went missing");

/* True when one of the alternatives behind '|' is in the text. */
static bool is_expected(const char *text, const char *expect) {
        char one[128];

        for (const char *p = expect; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
                snprintf(one, sizeof(one), "%.*s", (int)strcspn(p, "|"), p);
                if (strstr(text, one))
                        return true;
        }
        return false;
}

static bool is_rate_limited = true;

/* Whether the kernel's log can tell the call: where it cannot, SIGSYS is all that is known. */
static bool is_logged(void) {
        return !is_rate_limited && access("/dev/kmsg", R_OK) == 0;
}

/* What goes up to people holds no control characters but line ends. */
static bool is_presentable(const char *text) {
        for (const char *p = text; *p; p++)
                if (((uint8_t)*p < ' ' && *p != '\n') || *p == 0x7f)
                        return false;
        return utf8_is_valid((const uint8_t *)text, strlen(text));
}

static bool run_attempt(size_t i) {
        cleanup(play_freep) struct play *play = NULL;
        struct play_options options = {
                .broker = TEST_BUILD_DIR "/broker/gadget-broker",
                .worker = TEST_BUILD_DIR "/tests/system/probe/probe",
                .image = attempts[i].name,
                .object = BYTES("x", 1),
                .inspect = attempts[i].stage == INSPECT,
        };
        const char *expect = attempts[i].expect;

        assert_int_equal(play_new(&options, &play), 0);
        if (play_wait(play, &play->is_stopped, WAIT_DEFAULT) < 0) {
                print_error("%s: the broker did not report an end\n", attempts[i].name);
                return false;
        }
        if ((attempts[i].stage == FILTER || attempts[i].stage == STEADY) && !is_logged())
                expect = "SIGSYS";
        if (!play->is_faulted || !is_expected(play->fault, expect)) {
                print_error("%s: expected '%s', got '%s'\n", attempts[i].name, expect,
                            play->is_faulted ? play->fault : "no fault");
                return false;
        }
        if (!is_presentable(play->fault) || !is_presentable(play->fault_detail ?: "")) {
                print_error("%s: the fault holds control characters\n", attempts[i].name);
                return false;
        }
        if (str_eq(attempts[i].name, "log_garbage") &&
            (!play->fault_detail || !strstr(play->fault_detail, "\\x1b"))) {
                print_error("%s: the last log lines are missing\n", attempts[i].name);
                return false;
        }
        print_message("stopped: %-22s %s\n", attempts[i].name, play->fault);
        return true;
}

static void test_attempts(void **state) {
        size_t n_failed = 0;

        test_needs(NEED_ROOT);
        test_needs(NEED_USERNS);
        for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
                n_failed += !run_attempt(i);
        assert_int_equal(n_failed, 0);
}

/* --- what the probe must not reach --- */

/* The kernel says at most ten things in five seconds, and the probe dies more often. Put back by
 * teardown. */
#define RATE_LIMIT "/proc/sys/kernel/printk_ratelimit"
static char rate_limit[32];

static void set_rate_limit(const char *text) {
        cleanup_close int fd = open(RATE_LIMIT, O_WRONLY | O_CLOEXEC);

        /* Where it cannot be set the calls are not named, and is_logged() says so. */
        if (fd >= 0 && write(fd, text, strlen(text)) > 0)
                is_rate_limited = !str_eq(text, "0");
}

static void lift_rate_limit(void) {
        cleanup_close int fd = open(RATE_LIMIT, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, rate_limit, sizeof(rate_limit) - 1);

        if (n > 0) {
                rate_limit[n] = '\0';
                set_rate_limit("0");
        }
}

static struct leaks *leaks;
static int listen_unix_fd = -1, listen_inet_fd = -1, shm_id = -1;

static int setup(void **state) {
        struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "\0" PROBE_ABSTRACT_NAME };
        struct sockaddr_in inet = { .sin_family = AF_INET,
                                    .sin_port = htons(PROBE_INET_PORT),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                    strlen(PROBE_ABSTRACT_NAME));

        lift_rate_limit();
        leaks = leaks_new();
        listen_unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        listen_inet_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)setsockopt(listen_inet_fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
        shm_id = shmget(PROBE_SHM_KEY, 4096, IPC_CREAT | 0666);
        return leaks && bind(listen_unix_fd, (struct sockaddr *)&local, len) == 0 &&
                               listen(listen_unix_fd, 1) == 0 &&
                               bind(listen_inet_fd, (struct sockaddr *)&inet, sizeof(inet)) == 0 &&
                               listen(listen_inet_fd, 1) == 0 && shm_id >= 0
                       ? 0
                       : -1;
}

static int teardown(void **state) {
        close_fd(&listen_unix_fd);
        close_fd(&listen_inet_fd);
        shmctl(shm_id, IPC_RMID, NULL);
        if (rate_limit[0])
                set_rate_limit(rate_limit);
        leaks_free(leaks);
        return 0;
}

/* After all of this: no process, program, map, link, cgroup or mount. */
static void test_nothing_is_left(void **state) {
        char text[4096] = "";

        test_needs(NEED_ROOT);
        if (leaks_check(leaks, WAIT_DEFAULT, text, sizeof(text)) < 0)
                fail_msg("%s", text);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_nothing_is_left),
};
TEST_MAIN_SETUP("sandbox", tests, setup, teardown)
