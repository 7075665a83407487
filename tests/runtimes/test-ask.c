/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gadget-ask as it is installed, in its sandbox, before a runtime that lies, hangs or floods: it
 * says what failed, in time, and answers the next question.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "gadget/api.h"
#include "ipc/channel.h"
#include "tests/lib/needs.h"

#define ID "c3c5c87c09ad483a9bd7d6b61c843f4e90805a79d6376b8ac17d63900aa79ff5"
#define DIGEST "sha256:" ID
#define ANSWER_WITHIN (10 * NSEC_PER_SEC)

struct asker {
        struct loop *loop;
        struct channel *channel;
        pid_t pid;
        int pidfd;
        uint32_t job;
        bool has_answer;
        bool is_closed;
        uint32_t failure;
        char name[64];
        char digest[80];
        char image[64];
};

static bool permit(void *owner, enum message_type type) {
        (void)owner;
        return type == MSG_ASKED;
}

static void copy(char *to, size_t n, const char *text) {
        snprintf(to, n, "%s", text ?: "");
}

static int on_message(void *owner, struct received *received) {
        const struct msg_asked *asked = &received->msg->asked;
        struct asker *asker = owner;

        assert_int_equal(asked->job, asker->job);
        asker->has_answer = true;
        asker->failure = asked->failure;
        copy(asker->name, sizeof(asker->name), asked->name);
        copy(asker->digest, sizeof(asker->digest), asked->digest);
        copy(asker->image, sizeof(asker->image), asked->image);
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct asker *asker = owner;

        (void)r;
        (void)err;
        asker->is_closed = true;
}

static int begin(void **state) {
        static const struct channel_ops ops = { permit, on_message, on_closed };
        const char *const argv[] = { "gadget-ask", "--uid", "1899000007", NULL };
        struct proc_spec spec = { .path = TEST_BUILD_DIR "/watcher/gadget-ask",
                                  .argv = argv,
                                  .death_signal = SIGKILL };
        struct asker *asker = calloc(1, sizeof(*asker));
        int fd, child_fd, log_fd, child_log_fd;

        *state = asker;
        if (!asker || geteuid() != 0)
                return asker ? 0 : -1;
        if (socket_pair(SOCK_SEQPACKET, &fd, &child_fd) < 0 ||
            socket_pair(SOCK_SEQPACKET, &log_fd, &child_log_fd) < 0)
                return -1;
        spec.fds[CHILD_FD_CHANNEL] = child_fd;
        spec.fds[CHILD_FD_LOG] = child_log_fd;
        if (proc_spawn(&spec, &asker->pid, &asker->pidfd) < 0 || loop_new(&asker->loop) < 0 ||
            channel_new(asker->loop, fd, "gadget-ask", &ops, asker, 1u << 20, &asker->channel) < 0)
                return -1;
        close(child_fd);
        close(child_log_fd);
        close(log_fd);
        return 0;
}

static int end(void **state) {
        struct asker *asker = *state;
        int status = 0;

        channel_free(asker->channel);
        loop_free(asker->loop);
        if (asker->pid > 0) {
                (void)waitpid(asker->pid, &status, 0);
                close(asker->pidfd);
        }
        free(asker);
        return status; /* it ends by itself, with 0, when the channel is closed */
}

/* A runtime for one call: reads the request and writes this; more = so many further bytes. */
static int serve(const char *answer, size_t more, pid_t *ret_pid) {
        static char spaces[1 << 16];
        char request[4096];
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        *ret_pid = fork();
        assert_true(*ret_pid >= 0);
        if (*ret_pid > 0) {
                close(fds[1]);
                return fds[0];
        }
        close(fds[0]);
        (void)signal(SIGPIPE, SIG_IGN);
        memset(spaces, ' ', sizeof(spaces));
        if (read(fds[1], request, sizeof(request)) > 0 && answer &&
            write(fds[1], answer, strlen(answer)) > 0)
                for (; more > 0; more -= MIN(more, sizeof(spaces)))
                        if (write(fds[1], spaces, MIN(more, sizeof(spaces))) < 0)
                                break;
        /* Until the other side has had enough. */
        while (read(fds[1], request, sizeof(request)) > 0)
                ;
        _exit(0);
}

/* Asks with these answers to the first and the second call; returns how long it took. */
static uint64_t ask(struct asker *asker, enum api api, const char *first, size_t more,
                    const char *second) {
        const struct msg_ask question = { .job = ++asker->job, .api = api, .id = ID };
        uint64_t begin_ns = now_ns();
        pid_t pids[ASK_FDS];
        int fds[ASK_FDS] = { serve(first, more, &pids[0]), serve(second, 0, &pids[1]) };

        asker->has_answer = false;
        assert_int_equal(channel_send(asker->channel, MSG_ASK, &question, fds, ASK_FDS), 0);
        close(fds[0]);
        close(fds[1]);
        while (!asker->has_answer && !asker->is_closed && now_ns() < begin_ns + ANSWER_WITHIN)
                assert_int_equal(loop_run_once(asker->loop, NSEC_PER_SEC), 0);
        assert_true(asker->has_answer);
        for (size_t i = 0; i < ASK_FDS; i++)
                assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
        return now_ns() - begin_ns;
}

#define HTTP(_length, _body)                                                                       \
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " _length            \
        "\r\n\r\n" _body
#define HTTP_REST(_body)                                                                           \
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 104857600\r\n\r\n" _body

static void check_good(struct asker *asker) {
        char text[512], body[256], image[512];

        snprintf(body, sizeof(body),
                 "{\"Id\":\"%s\",\"Name\":\"/web\",\"Image\":\"sha256:1d\",\"Config\":{\"Image\":"
                 "\"bb:1\"}}",
                 ID);
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        snprintf(body, sizeof(body), "{\"RepoDigests\":[\"bb@%s\"]}", DIGEST);
        snprintf(image, sizeof(image), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        ask(asker, API_DOCKER, text, 0, image);
        assert_int_equal(asker->failure, 0);
        assert_string_equal(asker->name, "web");
        assert_string_equal(asker->image, "bb:1");
        assert_string_equal(asker->digest, DIGEST);
}

static void test_docker(void **state) {
        struct asker *asker = *state;

        test_needs(NEED_ROOT);
        check_good(asker);
        ask(asker, API_DOCKER, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", 0, NULL);
        assert_int_equal(asker->failure, ENOENT);
        check_good(asker);
}

/* 100 MB: not more than LIMIT_RUNTIME_ANSWER_MAX of it is taken. */
static void test_flood(void **state) {
        struct asker *asker = *state;

        test_needs(NEED_ROOT);
        ask(asker, API_DOCKER, HTTP_REST("{\"Id\":"), 100u << 20, NULL);
        assert_int_equal(asker->failure, EFBIG);
        ask(asker, API_DOCKER, "HTTP/1.1 200 OK\r\nX: ", LIMIT_RUNTIME_ANSWER_MAX, NULL);
        assert_int_not_equal(asker->failure, 0);
        check_good(asker);
}

static void test_silence(void **state) {
        struct asker *asker = *state;
        uint64_t took;

        test_needs(NEED_ROOT);
        took = ask(asker, API_DOCKER, NULL, 0, NULL);
        assert_int_equal(asker->failure, ETIMEDOUT);
        assert_true(took < 6 * NSEC_PER_SEC);
        took = ask(asker, API_CRI, NULL, 0, NULL);
        assert_int_equal(asker->failure, ETIMEDOUT);
        assert_true(took < 6 * NSEC_PER_SEC);
        check_good(asker);
}

static void test_lies(void **state) {
        static char deep[70000];
        struct asker *asker = *state;
        char text[512];
        int n;

        test_needs(NEED_ROOT);
        ask(asker, API_DOCKER, HTTP("13", "{\"Id\":\"other\""), 0, NULL);
        assert_int_equal(asker->failure, EBADMSG);
        ask(asker, API_DOCKER, HTTP("2", "[]"), 0, NULL);
        assert_int_equal(asker->failure, EBADMSG);
        ask(asker, API_DOCKER, "SSH-2.0-x\r\n", 0, NULL);
        assert_int_not_equal(asker->failure, 0);
        ask(asker, API_CONTAINERD, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, NULL);
        assert_int_not_equal(asker->failure, 0);
        ask(asker, API_CONTAINERD, "\x00\x7f\x12\xff\xff", 65536, NULL);
        assert_int_not_equal(asker->failure, 0);
        n = snprintf(deep, sizeof(deep), "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
        memset(deep + n, '[', 60000);
        ask(asker, API_DOCKER, deep, 0, NULL);
        assert_int_equal(asker->failure, EBADMSG);
        n = snprintf(
                text, sizeof(text),
                "{\"Id\":\"%s\",\"Name\":\"/a\\u001b[2J\",\"Config\":{\"Image\":\"x\\u009by\"}}",
                ID);
        snprintf(deep, sizeof(deep), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, text);
        ask(asker, API_DOCKER, deep, 0, NULL);
        assert_string_equal(asker->name, "");
        assert_string_equal(asker->image, "");
        check_good(asker);
}

#define TEST(_function) cmocka_unit_test_setup_teardown(_function, begin, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_docker),
                TEST(test_flood),
                TEST(test_silence),
                TEST(test_lies),
        };

        return test_main("ask", tests, ARRAY_SIZE(tests), NULL, NULL);
}
