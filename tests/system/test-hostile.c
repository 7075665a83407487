/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers send: clients with broken messages, objects that are no gadgets. Each gets one
 * clear answer or is closed, and a gadget of somebody else runs on undisturbed: every test ends by
 * seeing its next row.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"
#include "ipc/mp.h"
#include "tests/lib/peer.h"
#include "tests/system/act.h"

/* --- the neighbour --- */

static struct run *start_neighbour(struct env *env) {
        struct run *run;
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", getpid());
        run = env_run(env, "run", "trace_open", "--name", "neighbour", "--pid", pid, "-o", "json",
                      NULL);
        act_open_until_row(run, "before");
        return run;
}

/* The neighbour still sees what happens, and the daemon has closed what the stranger left. */
static void assert_undisturbed(struct env *env, struct run *neighbour) {
        act_open_numbered("after", 1, 1);
        run_wait_row(neighbour, "fname", "/nonexistent/after/1");
        run_signal(neighbour, SIGINT);
        assert_int_equal(run_exit(neighbour), 0);
        env_stop(env);
}

/* --- clients --- */

static const struct {
        const char *what;
        const char *data;
        size_t n;
} frames[] = {
#define FRAME(_what, _data)                                                                        \
        { _what, _data, sizeof(_data) - 1 }
        FRAME("an array of 134217728 elements in five bytes", "\xdd\x08\x00\x00\x00"),
        FRAME("a map of 4294967295 pairs", "\xdf\xff\xff\xff\xff"),
        FRAME("a reserved byte", "\xc1"),
        FRAME("not an array", "\xa5hello"),
        FRAME("HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        FRAME("an empty array", "\x90"),
        FRAME("a message of unknown kind", "\x94\x09\x01\xa5hello\x80"),
        FRAME("a method that is a number", "\x94\x00\x01\x05\x80"),
        FRAME("params that are no map", "\x94\x00\x01\xa5hello\x05"),
        FRAME("a string longer than any message", "\x94\x00\x01\xdb\xff\xff\xff\xff"),
};

/* Each must be closed, at once. */
static void test_broken_frames_close_the_client(void **state) {
        struct env *env = *state;
        struct run *neighbour;
        size_t before;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, "--no-spare", NULL);
        neighbour = start_neighbour(env);
        before = env_daemon_fds(env);
        for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
                struct peer *peer = peer_new(env_connect(env));

                assert_int_equal(peer_send(peer, frames[i].data, frames[i].n), 0);
                if (!peer_wait_closed(peer, 5 * NSEC_PER_SEC))
                        fail_msg("still connected after %s", frames[i].what);
                peer_free(peer);
        }
        assert_true(WAIT_UNTIL(env_daemon_fds(env) == before, WAIT_DEFAULT));
        assert_undisturbed(env, neighbour);
}

/* Nesting deeper than LIMIT_CLIENT_DEPTH_MAX. */
static void test_deep_nesting_closes_the_client(void **state) {
        struct env *env = *state;
        uint8_t deep[LIMIT_CLIENT_DEPTH_MAX + 8];
        struct peer *peer;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        peer = peer_new(env_connect(env));
        memset(deep, 0x91, sizeof(deep));
        assert_int_equal(peer_send(peer, deep, sizeof(deep)), 0);
        assert_true(peer_wait_closed(peer, 5 * NSEC_PER_SEC));
        peer_free(peer);
        env_stop(env);
}

/* Half a frame, and then nothing: it costs a descriptor, and holds nobody up. */
static void test_half_a_frame_waits_alone(void **state) {
        struct env *env = *state;
        struct peer *half;
        struct run *neighbour;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour = start_neighbour(env);
        half = peer_new(env_connect(env));
        assert_int_equal(peer_send(half,
                                   "\x94\x00\x05\xad"
                                   "instanc",
                                   11),
                         0);
        env_ctl(env, 0, "list", NULL);
        peer_free(half);
        assert_undisturbed(env, neighbour);
}

/* A message that never ends: cut off at LIMIT_CLIENT_FRAME_MAX, while others are served. */
static void test_endless_frame_is_cut_off(void **state) {
        static uint8_t block[1 << 20];
        struct env *env = *state;
        struct run *neighbour;
        struct peer *peer;
        size_t sent = 0;
        int r;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour = start_neighbour(env);
        peer = peer_new(env_connect(env));
        /* A bin of just under the limit, as the value of a parameter; ten megabytes of it do no
         * harm. */
        assert_int_equal(peer_send(peer,
                                   "\x94\x00\x05\xac"
                                   "instance.run"
                                   "\x81\xa6object\xc6\x7f\xff\xff\xff",
                                   29),
                         0);
        do {
                r = peer_send(peer, block, sizeof(block));
                sent += sizeof(block);
        } while (r == 0 && sent < 2 * (size_t)LIMIT_CLIENT_FRAME_MAX);
        assert_true(r < 0 || peer_wait_closed(peer, 5 * NSEC_PER_SEC));
        peer_free(peer);
        assert_undisturbed(env, neighbour);
}

/* Ten megabytes in a message that is well formed: an answer, not a death. */
static void test_ten_megabytes_get_an_answer(void **state) {
        struct env *env = *state;
        struct rpc_error error = { 0 };
        struct run *neighbour;
        struct peer *peer;
        uint8_t *object;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour = start_neighbour(env);
        peer = peer_new(env_connect(env));
        object = calloc(1, 10 << 20);
        assert_non_null(object);
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_RUN,
                                   &(struct req_instance_run){ .object = BYTES(object, 10 << 20) },
                                   NULL, &error),
                         -EREMOTEIO);
        assert_non_null(error.message);
        assert_string_equal(error.code, "invalid");
        free(object);
        peer_free(peer);
        assert_undisturbed(env, neighbour);
}

/* Nothing goes before hello, and one protocol version has to fit. */
static void test_hello_comes_first(void **state) {
        struct env *env = *state;
        cleanup_buf struct buf out = BUF_INIT(4096);
        cleanup_close int fd = -1;
        uint8_t answer[4096];
        ssize_t n;

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        fd = env_connect(env);
        assert_true(fd >= 0);
        assert_int_equal(rpc_put_request(&out, 1, METHOD_INSTANCE_LIST, NULL), 0);
        assert_int_equal(write(fd, out.data, out.len), (ssize_t)out.len);
        assert_int_equal(wait_readable(fd, WAIT_DEFAULT), 0);
        n = read(fd, answer, sizeof(answer));
        /* An error as the answer, or the end of the connection; never the list. */
        assert_true(n == 0 || memmem(answer, (size_t)n, "code", 4) != NULL);
        close_fd(&fd);

        buf_reset(&out);
        fd = env_connect(env);
        assert_int_equal(rpc_put_request(&out, 1, METHOD_HELLO,
                                         &(struct req_hello){ .protocol = 0, .client = "old" }),
                         0);
        assert_int_equal(write(fd, out.data, out.len), (ssize_t)out.len);
        assert_int_equal(wait_readable(fd, WAIT_DEFAULT), 0);
        n = read(fd, answer, sizeof(answer));
        assert_true(n > 0 && memmem(answer, (size_t)n, "protocol", 8) != NULL);
        env_stop(env);
}

/* The connection after LIMIT_CLIENTS_MAX is told and closed; when one leaves, the next gets in. */
static void test_too_many_clients(void **state) {
        struct env *env = *state;
        int fds[LIMIT_CLIENTS_MAX];
        struct peer *peer;
        int extra;
        char text[512];
        ssize_t n;

        test_needs(NEED_ROOT);
        env_start(env, "--no-spare", NULL);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                fds[i] = env_connect(env);
                assert_true(fds[i] >= 0);
        }
        extra = env_connect(env);
        assert_true(extra >= 0);
        assert_int_equal(wait_readable(extra, WAIT_DEFAULT), 0);
        n = read(extra, text, sizeof(text));
        assert_true(n > 0 && memmem(text, (size_t)n, "limit", 5) != NULL);
        assert_int_equal(wait_readable(extra, WAIT_DEFAULT), 0);
        assert_int_equal(read(extra, text, sizeof(text)), 0);
        close(extra);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close(fds[i]);
        (void)WAIT_UNTIL(env_daemon_fds(env) < LIMIT_CLIENTS_MAX / 2, WAIT_DEFAULT);
        peer = peer_new(env_connect(env));
        peer_free(peer);
        env_stop(env);
}

/* LIMIT_STREAMS_PER_CLIENT_MAX attachments of one client; one more is refused, and detaching makes
 * room. */
static void test_too_many_attachments(void **state) {
        struct env *env = *state;
        struct rep_instance_attach reply;
        struct rpc_error error = { 0 };
        struct peer *peer;
        uint32_t last = 0;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        act_detach(env, "trace_open", "many", getpid());
        peer = peer_new(env_connect(env));
        for (int i = 0; i < LIMIT_STREAMS_PER_CLIENT_MAX; i++) {
                assert_int_equal(peer_call(peer, METHOD_INSTANCE_ATTACH,
                                           &(struct req_instance_attach){ .instance = "many" },
                                           &reply, NULL),
                                 0);
                last = reply.stream;
        }
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_ATTACH,
                                   &(struct req_instance_attach){ .instance = "many" }, NULL,
                                   &error),
                         -EREMOTEIO);
        assert_string_equal(error.code, "limit");
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_DETACH,
                                   &(struct req_instance_detach){ .stream = last }, NULL, NULL),
                         0);
        assert_int_equal(peer_call(peer, METHOD_INSTANCE_ATTACH,
                                   &(struct req_instance_attach){ .instance = "many" }, &reply,
                                   NULL),
                         0);
        peer_free(peer);
        env_stop(env);
}

/* --- objects and definitions --- */

/* Runs the object; it must fail with 1 and say each of the words. */
static void assert_refused(struct env *env, const char *object, const char *const *words) {
        struct run *run = env_ctl(env, 1, "run", object, "--timeout", "5", NULL);

        for (; *words; words++)
                if (!strstr(run_err(run), *words))
                        run_fail(run, "the message does not say '%s'", *words);
        assert_string_equal(run_out(run), "");
}

static const char *write_object(struct env *env, const char *name, const void *data, size_t n) {
        const char *path = env_path(env, "/%s", name);
        cleanup_close int fd = -1;

        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, data, n), 0);
        return path;
}

/* Cut at many places, garbage, and empty: one error each, and nobody notices. */
static void test_broken_elf(void **state) {
        struct env *env = *state;
        cleanup_buf struct buf good = BUF_INIT(LIMIT_OBJECT_SIZE_MAX);
        const char *const nothing[] = { NULL };
        struct run *neighbour;
        uint64_t seed = 7;
        char name[32];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour = start_neighbour(env);
        assert_int_equal(read_file_at(AT_FDCWD, act_object("ring4k"), &good), 0);
        for (size_t i = 0; i < 16; i++) {
                snprintf(name, sizeof(name), "cut%zu.bpf.o", i);
                assert_refused(env, write_object(env, name, good.data, good.len * i / 16), nothing);
        }
        for (size_t i = 64; i < good.len; i++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                good.data[i] = (uint8_t)(seed >> 56);
        }
        assert_refused(env, write_object(env, "garbage.bpf.o", good.data, good.len), nothing);
        assert_undisturbed(env, neighbour);
}

/* Larger than LIMIT_OBJECT_SIZE_MAX. */
static void test_huge_object(void **state) {
        struct env *env = *state;
        const char *const words[] = { "bytes", NULL };
        uint8_t *huge = calloc(1, LIMIT_OBJECT_SIZE_MAX + 1);

        test_needs(NEED_ROOT);
        env_start(env, NULL);
        assert_non_null(huge);
        assert_refused(env, write_object(env, "huge.bpf.o", huge, LIMIT_OBJECT_SIZE_MAX + 1),
                       words);
        free(huge);
        env_stop(env);
}

static void test_verifier_rejection_shows_the_log(void **state) {
        const char *const words[] = { "on_getppid", "invalid mem access", NULL };
        struct env *env = *state;
        struct run *neighbour;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour = start_neighbour(env);
        assert_refused(env, act_object("reject"), words);
        assert_undisturbed(env, neighbour);
}

static void test_missing_hook_is_named(void **state) {
        const char *const words[] = { "no_such_hook", NULL };
        struct env *env = *state;
        struct run *neighbour;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour = start_neighbour(env);
        assert_refused(env, act_object("nohook"), words);
        assert_undisturbed(env, neighbour);
}

/* Exit code 4: denied. With --allow-unsafe root may. */
static void test_unsafe_helper_is_denied(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_ctl(env, 4, "run", act_object("unsafe"), "--timeout", "5", NULL);
        if (!strstr(run_err(run), "send_signal") || !strstr(run_err(run), "--allow-unsafe"))
                run_fail(run, "names neither the helper nor the way out");
        env_ctl(env, 0, "run", act_object("unsafe"), "--allow-unsafe", "--timeout", "200ms", NULL);
        env_stop(env);
}

static void test_param_out_of_range(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = env_run(env, "run", "trace_open", "--pid", "4294967296", "--timeout", "5", NULL);
        assert_in_range(run_exit(run), 1, 2);
        if (!strstr(run_err(run), "pid") || !strstr(run_err(run), "4294967296"))
                run_fail(run, "does not name the parameter and its value");
        run = env_run(env, "run", "trace_open", "--failed", "perhaps", "--timeout", "5", NULL);
        assert_in_range(run_exit(run), 1, 2);
        if (!strstr(run_err(run), "failed") || !strstr(run_err(run), "perhaps"))
                run_fail(run, "does not name the parameter and its value");
        env_stop(env);
}

/* A gadget.yaml that is no YAML, one that is no map, and one with a bomb of aliases. */
static void test_broken_definition(void **state) {
        static const char *const definitions[] = {
                "name: [unclosed\nparams: }\n",
                "\x00\x01\x02\xff\xfe",
                "- a\n- list\n",
                "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nname: *e\n",
        };
        static const size_t sizes[] = { 0, 5, 0, 0 };
        struct env *env = *state;
        cleanup_buf struct buf object = BUF_INIT(LIMIT_OBJECT_SIZE_MAX);
        struct run *neighbour;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        neighbour = start_neighbour(env);
        assert_int_equal(read_file_at(AT_FDCWD, act_object("ring4k"), &object), 0);
        for (size_t i = 0; i < ARRAY_SIZE(definitions); i++) {
                struct peer *peer = peer_new(env_connect(env));
                size_t n = sizes[i] ? sizes[i] : strlen(definitions[i]);
                struct req_instance_run run = { .object = BYTES(object.data, object.len),
                                                .definition = BYTES(definitions[i], n) };
                struct rpc_error error = { 0 };

                assert_int_equal(peer_call(peer, METHOD_INSTANCE_RUN, &run, NULL, &error),
                                 -EREMOTEIO);
                assert_string_equal(error.code, "invalid");
                if (!strstr(error.message, "yaml"))
                        fail_msg("definition %zu: '%s' does not say gadget.yaml", i, error.message);
                peer_free(peer);
        }
        assert_undisturbed(env, neighbour);
}

/* --- the machine --- */

static void test_kernel_without_btf(void **state) {
        struct env *env = *state;
        struct run *run;

        test_needs(NEED_ROOT);
        env_start(env, "--kernel-btf", "/nonexistent", NULL);
        run = env_ctl(env, 1, "run", "trace_open", "--timeout", "5", NULL);
        if (!strstr(run_err(run), "BTF"))
                run_fail(run, "does not say that BTF is missing");
        env_stop(env);
}

static void test_full_disk(void **state) {
        struct env *env = *state;
        static uint8_t block[64 << 10];
        const char *dir;
        struct run *run;
        int fd;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_CLANG_BPF);
        dir = env_path(env, "%s", GADGET_STATEDIR);
        assert_int_equal(make_dirs(AT_FDCWD, dir, 0755, NULL), 0);
        assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=192k"), 0);
        env_start(env, NULL);
        fd = open(env_path(env, "%s/filler", GADGET_STATEDIR), O_WRONLY | O_CREAT | O_CLOEXEC,
                  0600);
        assert_true(fd >= 0);
        while (write(fd, block, sizeof(block)) > 0) {
        }
        close(fd);
        run = env_ctl(env, 1, "build", TEST_SOURCE_DIR "/gadgets/trace_open", "-t", "full:disk",
                      NULL);
        if (!strstr(run_err(run), "No space left"))
                run_fail(run, "does not say that the disk is full");
        /* Nothing half-written is listed, and the bundled gadgets run without the disk. */
        run = env_ctl(env, 0, "image", "list", NULL);
        assert_null(strstr(run_out(run), "full"));
        env_ctl(env, 0, "run", "trace_open", "--timeout", "200ms", NULL);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_broken_frames_close_the_client),
        ENV_TEST(test_deep_nesting_closes_the_client),
        ENV_TEST(test_half_a_frame_waits_alone),
        ENV_TEST(test_endless_frame_is_cut_off),
        ENV_TEST(test_ten_megabytes_get_an_answer),
        ENV_TEST(test_hello_comes_first),
        ENV_TEST(test_too_many_clients),
        ENV_TEST(test_too_many_attachments),
        ENV_TEST(test_broken_elf),
        ENV_TEST(test_huge_object),
        ENV_TEST(test_verifier_rejection_shows_the_log),
        ENV_TEST(test_missing_hook_is_named),
        ENV_TEST(test_unsafe_helper_is_denied),
        ENV_TEST(test_param_out_of_range),
        ENV_TEST(test_broken_definition),
        ENV_TEST(test_kernel_without_btf),
        ENV_TEST(test_full_disk),
};

TEST_MAIN("hostile", tests)
