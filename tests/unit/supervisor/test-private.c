/* SPDX-License-Identifier: Apache-2.0 */
/* A gadgetd of one client, which begins and ends with it; and what systemd is told of the ordinary
 * one. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/file.h"
#include "tests/unit/supervisor/bed.h"

static char root[64];

static int setup(void **state) {
        (void)state;
        snprintf(root, sizeof(root), "/tmp/gadget-private-XXXXXX");
        return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state) {
        (void)state;
        return remove_tree(AT_FDCWD, root);
}

static pid_t start_private(int *ret_fd) {
        int fds[2];
        char number[16];
        pid_t pid;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        pid = fork();
        if (pid == 0) {
                close(fds[0]);
                snprintf(number, sizeof(number), "%d", fds[1]);
                execl(TEST_GADGETD, "gadgetd", "--root", root, "--broker", TEST_BROKER, "--worker",
                      "/bin/true", "--private", "--client-fd", number, NULL);
                _exit(127);
        }
        close(fds[1]);
        *ret_fd = fds[0];
        return pid;
}

/* Entries of the run directory whose names begin like those of private gadgetd processes. */
static unsigned int count_private(void) {
        const struct dirent *entry;
        unsigned int n = 0;
        char path[128];
        DIR *dir;

        snprintf(path, sizeof(path), "%s/run/gadgetd", root);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                n += str_after(entry->d_name, "private-") != NULL;
        if (dir)
                closedir(dir);
        return n;
}

static void expect_end(pid_t pid) {
        int status;

        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(count_private(), 0);
}

static void test_ends_with_its_client(void **state) {
        struct peer *peer;
        pid_t pid, broker;
        int fd;

        (void)state;
        test_needs(NEED_ROOT);
        pid = start_private(&fd);
        peer = peer_new(fd);
        assert_int_equal(count_private(), 1);
        BED_START(peer, .name = "one", .detach = true);
        broker = (pid_t)bed_show(peer, "one", "broker_pid");
        assert_true(broker > 0);
        kill(pid, SIGINT); /* Ctrl-C reaches it as well, but is its client's affair */
        assert_true(bed_list(peer, "one", NULL, 0));
        peer_free(peer); /* detached or not: nobody else can reach it */
        expect_end(pid);
        assert_int_equal(kill(broker, 0), -1);
}

static void test_ends_without_a_word(void **state) {
        pid_t pid;
        int fd;

        (void)state;
        test_needs(NEED_ROOT);
        pid = start_private(&fd);
        close(fd);
        expect_end(pid);
}

static void test_needs_a_socket(void **state) {
        struct run *run;

        (void)state;
        test_needs(NEED_ROOT);
        run = run_new(&(struct run_spec){
                .argv = (const char *const[]){ TEST_GADGETD, "--root", root, "--private",
                                               "--client-fd", "99", NULL },
                .dir = root });
        assert_int_equal(run_exit(run), 1);
        assert_non_null(strstr(run_err(run), "--client-fd 99"));
        run_free(run);
        assert_int_equal(count_private(), 0);
}

/* A killed one is cleared away by the next, private or not. */
static void test_next_sweeps(void **state) {
        struct peer *peer;
        pid_t pid, broker;
        int fd;

        (void)state;
        test_needs(NEED_ROOT);
        pid = start_private(&fd);
        peer = peer_new(fd);
        BED_START(peer, .name = "one");
        broker = (pid_t)bed_show(peer, "one", "broker_pid");
        kill(broker, SIGSTOP);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        peer_free(peer);
        assert_int_equal(count_private(), 1);

        pid = start_private(&fd);
        peer = peer_new(fd);
        assert_int_equal(count_private(), 1);
        assert_int_equal(waitpid(broker, NULL, 0),
                         broker); /* killed: it was stopped and could not end */
        peer_free(peer);
        expect_end(pid);
}

/* Two at once do not disturb each other, nor does the second sweep the first. */
static void test_two_at_once(void **state) {
        struct peer *peers[2];
        pid_t pids[2];
        int fd;

        (void)state;
        test_needs(NEED_ROOT);
        for (size_t i = 0; i < 2; i++) {
                pids[i] = start_private(&fd);
                peers[i] = peer_new(fd);
                assert_int_equal(
                        bed_start(peers[i], &(struct bed_run){ .name = "one" }, NULL, NULL), 0);
        }
        assert_int_equal(count_private(), 2);
        for (size_t i = 0; i < 2; i++) {
                assert_true(bed_list(peers[i], "one", NULL, 0));
                peer_free(peers[i]);
        }
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
        assert_int_equal(count_private(), 0);
}

static void expect_word(int fd, const char *expected) {
        char text[64] = "";

        assert_int_equal(wait_readable(fd, WAIT_DEFAULT), 0);
        assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
        assert_string_equal(text, expected);
}

static void test_systemd_is_told(void **state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_close int fd = -1;
        struct run *run;

        (void)state;
        test_needs(NEED_ROOT);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", root);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        setenv("NOTIFY_SOCKET", address.sun_path, 1);
        run = run_new(&(struct run_spec){
                .argv = (const char *const[]){ TEST_GADGETD, "--root", root, NULL }, .dir = root });
        unsetenv("NOTIFY_SOCKET");
        expect_word(fd, "READY=1");
        run_signal(run, SIGTERM);
        expect_word(fd, "STOPPING=1");
        assert_int_equal(run_exit(run), 0);
        run_free(run);
}

/* What gadgetd may do: the table of supervisor/privileges.c, and nothing that was not in it. */
static void test_bounding_set(void **state) {
        /* CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT */
        const uint64_t never = UINT64_C(1) << 16 | UINT64_C(1) << 17 | UINT64_C(1) << 22;
        cleanup_buf struct buf text = BUF_INIT(8192);
        struct peer *peer;
        char path[64];
        uint64_t set;
        pid_t pid;
        int fd;

        (void)state;
        test_needs(NEED_ROOT);
        pid = start_private(&fd);
        peer = peer_new(fd);
        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        assert_int_equal(read_file_at(AT_FDCWD, path, &text), 0);
        assert_int_equal(buf_append(&text, "", 1), 0);
        assert_int_equal(sscanf(strstr((char *)text.data, "CapBnd:"), "CapBnd: %" SCNx64, &set), 1);
        assert_int_equal(set & never, 0);
        assert_int_equal(sscanf(strstr((char *)text.data, "CapEff:"), "CapEff: %" SCNx64, &set), 1);
        assert_int_equal(set & never, 0);
        assert_true(set & UINT64_C(1) << 39); /* CAP_BPF, for the brokers */
        peer_free(peer);
        expect_end(pid);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends_with_its_client),
                cmocka_unit_test(test_ends_without_a_word),
                cmocka_unit_test(test_needs_a_socket),
                cmocka_unit_test(test_next_sweeps),
                cmocka_unit_test(test_two_at_once),
                cmocka_unit_test(test_systemd_is_told),
                cmocka_unit_test(test_bounding_set),
        };

        prctl(PR_SET_CHILD_SUBREAPER, 1);
        return test_main("supervisor-private", tests, ARRAY_SIZE(tests), setup, teardown);
}
