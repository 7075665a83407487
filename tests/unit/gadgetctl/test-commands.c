/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole command lines against a scripted gadgetd: a thread that answers requests from a table, in a
 * temporary directory. Standard output and error go to files while a command runs.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "gadget/api.h"
#include "gadgetctl/command.h"
#include "gadgetctl/complete.h"
#include "gadgetctl/help.h"
#include "gadgetctl/signals.h"
#include "ipc/mp.h"
#include "ipc/rpc.h"
#include "tests/lib/needs.h"
#include "tests/unit/client/sample.h"

static char dir[] = "/tmp/gadget-commands-XXXXXX";
static char socket_path[128];
static struct buf printed = BUF_INIT(4 << 20);
static struct buf said = BUF_INIT(4 << 20);

/* --- the daemon --- */

struct fake {
        int listen_fd;
        pthread_t thread;
        bool refuses;      /* every request is denied */
        const char *cause; /* of "done", right after the rows; NULL = waits for instance.stop */
        char request[64];  /* method of the last one */
        char params[256];  /* of instance.run, as JSON-like text */
        bool host;
        uint64_t tail;
};
static struct fake fake;

static void put_list(struct buf *b, enum method method) {
        sample_array(b, 1);
        sample_map(b, 4);
        sample_str(b, "name");
        sample_str(b, method == METHOD_IMAGE_LIST ? "trace_open:latest" : "my-gadget");
        sample_str(b, "id");
        sample_str(b, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        sample_str(b, "state");
        sample_str(b, "running\033");
        sample_str(b, "attached");
        sample_uint(b, 2);
}

static void put_done(struct buf *b, const char *cause) {
        sample_array(b, 3);
        sample_uint(b, 2);
        sample_str(b, "done");
        sample_array(b, 5);
        sample_uint(b, 1);
        sample_str(b, cause);
        sample_str(b, "the \033 worker died");
        sample_str(b, "line 1\nline 2");
        sample_array(b, 1);
        sample_map(b, 2);
        sample_str(b, "lost");
        sample_uint(b, 7);
        sample_str(b, "dropped");
        sample_map(b, 1);
        sample_str(b, "kernel-full");
        sample_uint(b, 35);
}

static void answer_attach(struct buf *b, uint32_t id) {
        cleanup_buf struct buf schema = BUF_INIT(1 << 20), rows = BUF_INIT(1 << 20);
        struct rep_instance_attach reply = { .stream = 1, .id = "00ff", .name = "n", .image = "i" };

        sample_schema(&schema, &sample_open, 1, NULL, 0);
        reply.schema = BYTES(schema.data, schema.len);
        rpc_put_reply(b, id, METHOD_INSTANCE_ATTACH, &reply);
        for (uint32_t i = 0; i < 3; i++)
                sample_open_row(&rows, i);
        rpc_put_events_header(b, 1, 0, 0, 0, 0, (uint32_t)rows.len);
        buf_append(b, rows.data, rows.len);
        /* Another attachment's rows are none of ours. */
        rpc_put_events_header(b, 2, 0, 0, 0, 0, (uint32_t)rows.len);
        buf_append(b, rows.data, rows.len);
        if (fake.cause)
                put_done(b, fake.cause);
}

static void note_params(struct bytes params) {
        struct mp_reader r = mp_reader_of(params);
        struct bytes key, value;
        uint32_t n;

        fake.params[0] = '\0';
        if (mp_read_map(&r, &n) < 0)
                return;
        for (uint32_t i = 0; i < n; i++) {
                size_t at = strlen(fake.params);

                if (mp_read_str(&r, &key) < 0 || mp_read_str(&r, &value) < 0)
                        return;
                snprintf(fake.params + at, sizeof(fake.params) - at, "%.*s=%.*s;", (int)key.len,
                         (const char *)key.data, (int)value.len, (const char *)value.data);
        }
}

static void answer_inspect(struct buf *b, uint32_t id) {
        cleanup_buf struct buf schema = BUF_INIT(1 << 20), object = BUF_INIT(1 << 20);

        sample_map(&schema, 1);
        sample_str(&schema, "params");
        sample_array(&schema, 2);
        sample_map(&schema, 3);
        sample_str(&schema, "key");
        sample_str(&schema, "level");
        sample_str(&schema, "kind");
        sample_uint(&schema, FIELD_UINT);
        sample_str(&schema, "values");
        sample_array(&schema, 40);
        for (unsigned int i = 0; i < 40; i++)
                sample_str(&schema, i ? "LEVEL_FOLLOWING" : "LEVEL_FIRST");
        sample_map(&schema, 4);
        sample_str(&schema, "key");
        sample_str(&schema, "failed");
        sample_str(&schema, "kind");
        sample_uint(&schema, FIELD_BOOL);
        sample_str(&schema, "description");
        sample_str(&schema, "Only \033 what failed");
        sample_str(&schema, "default");
        sample_str(&schema, "false");
        sample_map(&object, 2);
        sample_str(&object, "name");
        sample_str(&object, "trace_open:latest");
        sample_str(&object, "schema");
        sample_bin(&object, schema.data, schema.len);
        rpc_put_reply(b, id, METHOD_IMAGE_INSPECT,
                      &(struct rep_object){ .object = BYTES(object.data, object.len) });
}

static void answer(struct buf *b, const struct rpc_message *msg) {
        cleanup_buf struct buf list = BUF_INIT(1 << 16);
        enum method method = method_from_name(msg->method);
        union request request;

        snprintf(fake.request, sizeof(fake.request), "%.*s", (int)msg->method.len,
                 (const char *)msg->method.data);
        if (method == METHOD_HELLO) {
                rpc_put_reply(
                        b, msg->id, method,
                        &(struct rep_hello){ .protocol = 1, .server = "fake", .version = "7.7" });
                return;
        }
        if (fake.refuses || method == _METHOD_MAX) {
                struct error err = { 0 };

                error_set(&err, ERROR_DENIED, -EPERM, "not for \033 you");
                rpc_put_error(b, msg->id, &err, "ask root", NULL);
                return;
        }
        if (record_decode(&methods[method].request, (uint8_t *)msg->params.data, msg->params.len,
                          RECORD_STRICT, &request, NULL) < 0)
                return;
        switch ((int)method) {
        case METHOD_INSTANCE_LIST:
        case METHOD_IMAGE_LIST:
                put_list(&list, method);
                rpc_put_reply(b, msg->id, method,
                              &(struct rep_list){ .items = BYTES(list.data, list.len) });
                break;
        case METHOD_INSTANCE_RUN:
                note_params(request.instance_run.params);
                fake.host = request.instance_run.host;
                rpc_put_reply(b, msg->id, method,
                              &(struct rep_instance_run){ .id = "00ff", .name = "n" });
                break;
        case METHOD_INSTANCE_ATTACH:
                fake.tail = request.instance_attach.tail;
                answer_attach(b, msg->id);
                break;
        case METHOD_IMAGE_INSPECT:
                answer_inspect(b, msg->id);
                break;
        case METHOD_INSTANCE_STOP:
                rpc_put_reply(b, msg->id, method, NULL);
                if (!fake.cause)
                        put_done(b, "stopped");
                break;
        default:
                rpc_put_reply(b, msg->id, method,
                              &(struct rep_image){ .digest = "sha256:00", .image = "x:latest" });
        }
}

static void serve_one(int fd) {
        static uint8_t in[1 << 20];
        size_t len = 0;
        ssize_t n;

        while ((n = read(fd, in + len, sizeof(in) - len)) > 0) {
                struct rpc_message msg;

                len += (size_t)n;
                while (len > 0 && rpc_next(in, len, sizeof(in), &msg) == 1) {
                        cleanup_buf struct buf out = BUF_INIT(4 << 20);
                        size_t size = msg.size;

                        answer(&out, &msg);
                        if (write_all(fd, out.data, out.len) < 0)
                                return;
                        memmove(in, in + size, len - size);
                        len -= size;
                }
        }
}

static void *serve(void *userdata) {
        (void)userdata;
        for (;;) {
                int fd = accept4(fake.listen_fd, NULL, NULL, SOCK_CLOEXEC);

                if (fd < 0)
                        return NULL;
                serve_one(fd);
                close(fd);
        }
}

static int setup(void **state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (!mkdtemp(dir) || signals_init() < 0)
                return -1;
        snprintf(socket_path, sizeof(socket_path), "%s/sock", dir);
        memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
        fake.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fake.listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fake.listen_fd, 8) < 0)
                return -1;
        unsetenv("GADGETD_SOCKET");
        return pthread_create(&fake.thread, NULL, serve, NULL);
}

static int teardown(void **state) {
        shutdown(fake.listen_fd, SHUT_RDWR);
        pthread_join(fake.thread, NULL);
        close(fake.listen_fd);
        buf_done(&printed);
        buf_done(&said);
        return remove_tree(AT_FDCWD, dir);
}

/* --- running a command --- */

static int captured(const char *name, int fd) {
        char path[160];
        int file, saved;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        assert_true(file >= 0 && saved >= 0);
        assert_true(dup2(file, fd) >= 0);
        close(file);
        return saved;
}

static void restore(int saved, int fd, struct buf *ret) {
        buf_reset(ret);
        assert_int_equal(read_fd(fd, ret), 0);
        buf_append(ret, "", 1);
        dup2(saved, fd);
        close(saved);
}

static int run_argv(int argc, char **argv) {
        int out = captured("out", STDOUT_FILENO), err = captured("err", STDERR_FILENO), code;
        struct error why = { 0 };
        struct args args;

        if (argc > 1 && str_eq(argv[1], "__complete")) {
                code = complete(argc - 2, argv + 2);
        } else if (argc > 1 && str_eq(argv[1], "--dump-man")) {
                code = help_dump_man(argv[2]);
        } else if (args_parse(argc, argv, &args, &why) < 0) {
                code = EXIT_USAGE;
                args_done(&args);
        } else {
                code = !args.command                               ? help_all(false)
                       : args.help && args.command->run != cmd_run ? help_command(args.command)
                                                                   : args.command->run(&args);
                args_done(&args);
        }
        fflush(stdout);
        fflush(stderr);
        restore(out, STDOUT_FILENO, &printed);
        restore(err, STDERR_FILENO, &said);
        return code;
}

/* Words separated by blanks, "S" = the fake daemon's socket. */
static int run(const char *line) {
        char text[1024], *argv[32] = { (char *)"gadgetctl" }, *save = NULL;
        int argc = 1;

        snprintf(text, sizeof(text), "%s", line);
        for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
                argv[argc++] = str_eq(word, "S")    ? socket_path
                               : str_eq(word, "''") ? (char *)""
                                                    : word;
        argv[argc] = NULL;
        return run_argv(argc, argv);
}

static void expect_out(const char *want) {
        assert_string_equal((char *)printed.data, want);
}

static void expect_said(const char *want) {
        assert_non_null(said.data);
        if (!strstr((char *)said.data, want))
                fail_msg("stderr is '%s', want '%s'", (char *)said.data, want);
}

/* --- tests --- */

static void test_list(void **state) {
        fake.refuses = false;
        assert_int_equal(run("--socket S list"), EXIT_OK);
        expect_out("ID            NAME       IMAGE  STATE        AGE  ATTACHED  LOSSES  MESSAGE\n"
                   "0123456789ab  my-gadget         running\\x1b       2\n");
        assert_int_equal(run("--socket S list -o json"), EXIT_OK);
        expect_out("[{\"name\":\"my-gadget\",\"id\":"
                   "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
                   "\"state\":\"running\\u001b\",\"attached\":2}]\n");
        assert_int_equal(run("--socket S ps -o yaml"), EXIT_OK);
        assert_int_equal(strncmp((char *)printed.data, "- name: my-gadget\n  id:", 23), 0);
}

static void test_run(void **state) {
        fake.cause = "timeout";
        assert_int_equal(run("--socket S run img -o csv --fields proc.pid,error --pid 5 --failed"),
                         EXIT_OK);
        expect_out("proc.pid,error\n1000,ENOENT\n1001,\n1002,\n");
        expect_said("gadgetctl: open: 42 rows lost: 7 because this client was too slow, 35 in the "
                    "kernel, whose buffer or map was full\n");
        assert_string_equal(fake.params, "pid=5;failed=true;");
        assert_true(fake.host);
        assert_true(fake.tail == UINT64_MAX);
}

/* A recording is replayed in any form, filtered and sorted, with no gadgetd. */
static void test_record(void **state) {
        char line[512];

        fake.cause = "timeout";
        snprintf(line, sizeof(line), "--socket S run img -o none --record %s/rec", dir);
        assert_int_equal(run(line), EXIT_OK);
        expect_out("");
        snprintf(line, sizeof(line), "replay %s/rec -o csv --fields proc.pid,error,fd", dir);
        assert_int_equal(run(line), EXIT_OK);
        expect_out("proc.pid,error,fd\n1000,ENOENT,0\n1001,,4\n1002,,5\n");
        expect_said("42 rows lost");
        snprintf(line, sizeof(line), "replay %s/rec -o csv --fields fd -F error!=ENOENT --sort -fd",
                 dir);
        assert_int_equal(run(line), EXIT_OK);
        expect_out("fd\n5\n4\n");
        snprintf(line, sizeof(line), "replay %s/rec --filter nope==1", dir);
        assert_int_equal(run(line), EXIT_USAGE);
        expect_said("has no field 'nope'");
        snprintf(line, sizeof(line), "replay %s/out", dir);
        assert_int_equal(run(line), EXIT_FAILED);
        expect_said("it is not a recording");
        fake.cause = NULL;
        assert_int_equal(run("--socket S run img -o none --record /nonexistent/x"), EXIT_FAILED);
        expect_said("--record '/nonexistent/x': No such file");
        /* Somebody else's instance: rows are selected here. */
        assert_int_equal(run("--socket S attach x --timeout 50ms -o csv --fields fd -F fd>4"),
                         EXIT_OK);
        expect_out("fd\n5\n");
}

/* What the worker does with the rows travels among the parameters; a value may begin with '-'. */
static void test_run_options(void **state) {
        fake.cause = "timeout";
        assert_int_equal(run("--socket S run img -o none -F fd>3,proc.comm~^ca --sort -fd,proc.pid "
                             "--max-entries 5 --interval 500ms --keep --failed --count=2"),
                         EXIT_OK);
        assert_string_equal(fake.params,
                            "failed=true;filter=fd>3,proc.comm~^ca;sort=-fd,proc.pid;max-entries=5;"
                            "interval=500ms;count=2;keep=true;");
        assert_int_equal(run("--socket S run img --keep=maybe"), EXIT_USAGE);
        assert_int_equal(run("--socket S run img -o none -E fd==3 --keep=no"), EXIT_OK);
        assert_string_equal(fake.params, "filter-expr=fd==3;keep=false;");
        assert_int_equal(run("__complete run img --fil"), EXIT_OK);
        assert_non_null(strstr((char *)printed.data, "--filter-expr\t"));
        fake.cause = NULL;
}

static void test_run_fails(void **state) {
        fake.cause = "failed";
        assert_int_equal(run("--socket S run img -o none"), EXIT_FAILED);
        expect_said("gadgetctl: the gadget failed: the \\x1b worker died\n  line 1\n  line 2\n");
        expect_out("");
        fake.cause = NULL;
}

static void test_detach(void **state) {
        assert_int_equal(run("--socket S run img --detach"), EXIT_OK);
        expect_out("00ff\n");
        expect_said("");
}

static void test_attach(void **state) {
        assert_int_equal(run("--socket S attach x --timeout 50ms --tail 5 -o csv --fields fd"),
                         EXIT_OK);
        expect_out("fd\n0\n4\n5\n");
        assert_true(fake.tail == 5);
        /* It left; it stopped nothing. */
        assert_string_equal(fake.request, "instance.attach");
        assert_int_equal(run("--socket S attach x --fields nope"), EXIT_USAGE);
        expect_said("--fields: there is no field 'nope'");
}

/* `| head -1`: the reader goes after a line, the gadget is stopped, and that is no error. */
static void test_reader_goes(void **state) {
        int pipe_fds[2], saved;
        char *argv[] = { (char *)"gadgetctl", (char *)"--socket", socket_path,
                         (char *)"run",       (char *)"img",      NULL };
        struct error err = { 0 };
        struct args args;

        assert_int_equal(pipe(pipe_fds), 0);
        saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
        dup2(pipe_fds[1], STDOUT_FILENO);
        close(pipe_fds[1]);
        close(pipe_fds[0]);
        assert_int_equal(args_parse(5, argv, &args, &err), 0);
        assert_int_equal(args.command->run(&args), EXIT_OK);
        args_done(&args);
        dup2(saved, STDOUT_FILENO);
        close(saved);
        assert_string_equal(fake.request, "instance.stop");
}

static void test_denied(void **state) {
        fake.refuses = true;
        assert_int_equal(run("--socket S list"), EXIT_DENIED);
        expect_said("gadgetctl: not for \\x1b you\ngadgetctl: ask root\n");
        assert_int_equal(run("--socket S run img"), EXIT_DENIED);
        assert_int_equal(run("--socket S stop a b"), EXIT_DENIED);
        fake.refuses = false;
}

static void test_unreachable(void **state) {
        static const char *const lines[] = { "list",  "attach x", "show x",     "stop x",
                                             "run x", "run -d x", "image list", "tag a b" };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                char line[256];

                snprintf(line, sizeof(line), "--socket %s/nothing %s", dir, lines[i]);
                assert_int_equal(run(line), EXIT_UNREACHABLE);
                expect_said("gadgetctl: gadgetd does not run: nobody listens on");
        }
        setenv("GADGETD_SOCKET", "/nonexistent/sock", 1);
        assert_int_equal(run("list"), EXIT_UNREACHABLE);
        expect_said("/nonexistent/sock");
        setenv("GADGETD_SOCKET", socket_path, 1);
        assert_int_equal(run("list"), EXIT_OK);
        unsetenv("GADGETD_SOCKET");
}

static void test_images(void **state) {
        assert_int_equal(run("--socket S tag a b"), EXIT_OK);
        assert_string_equal(fake.request, "image.tag");
        assert_int_equal(run("--socket S image rm a b"), EXIT_OK);
        assert_string_equal(fake.request, "image.remove");
        assert_int_equal(run("--socket S image inspect x -o json"), EXIT_OK);
        assert_non_null(strstr((char *)printed.data,
                               ",{\"key\":\"failed\",\"type\":"
                               "\"bool\",\"default\":\"false\",\"description\":\"Only "
                               "\\u001b what failed\"}],\"datasources\":[]}\n"));
}

static void test_run_help(void **state) {
        assert_int_equal(run("--socket S run trace_open --help"), EXIT_OK);
        assert_non_null(strstr((char *)printed.data, "--timeout TIME"));
        assert_non_null(
                strstr((char *)printed.data,
                       "  --failed                    Only \\x1b what failed (default false)\n"));
        /* Of many values the first, and that there are more; no line ends in blanks. */
        assert_non_null(
                strstr((char *)printed.data,
                       "  --level NAME                one of LEVEL_FIRST, LEVEL_FOLLOWING,"));
        assert_non_null(strstr((char *)printed.data, "LEVEL_FOLLOWING, ...\n"));
        assert_null(strstr((char *)printed.data, " \n"));
}

static void test_version(void **state) {
        assert_int_equal(run("--socket S version"), EXIT_OK);
        expect_out("gadgetctl " GADGET_VERSION "\ngadgetd 7.7\n");
        assert_int_equal(run("--socket S version -o json"), EXIT_OK);
        expect_out("{\"gadgetctl\":\"" GADGET_VERSION "\",\"gadgetd\":\"7.7\"}\n");
        assert_int_equal(run("--socket /nonexistent version"), EXIT_OK);
        expect_out("gadgetctl " GADGET_VERSION "\ngadgetd does not run\n");
}

static void test_build_refusals(void **state) {
        assert_int_equal(run("--socket S build --prog -x.c name"), EXIT_FAILED);
        expect_said("'-x.c': a file name that starts with '-' or '@' is not compiled");
        assert_int_equal(run("--socket S build --prog /tmp/@x.c name"), EXIT_FAILED);
        expect_said("'/tmp/@x.c'");
        assert_int_equal(run("--socket S build --prog /nonexistent.c name"), EXIT_FAILED);
        expect_said("there is no '/nonexistent.c'");
        assert_int_equal(run("--socket S build --prog x.c"), EXIT_USAGE);
        assert_int_equal(run("--socket S build /nonexistent-directory"), EXIT_USAGE);
        assert_int_equal(run("--socket S build . name -t other"), EXIT_USAGE);
        expect_said("the name is given twice");
}

static void test_completion(void **state) {
        assert_int_equal(run("__complete at"), EXIT_OK);
        expect_out("attach\tPrint the rows of a gadget that runs already\n");
        assert_int_equal(run("__complete im"), EXIT_OK);
        expect_out("image\tCommands on images\n");
        assert_int_equal(run("__complete image in"), EXIT_OK);
        expect_out("inspect\tShow an image: parameters, fields, permissions, digests\n");
        assert_int_equal(run("__complete run --time"), EXIT_OK);
        expect_out("--timeout\tStop after 10s, 500ms, 1m30s; a bare number is seconds\n");
        assert_int_equal(run("__complete run -o json"), EXIT_OK);
        expect_out("json\t\njsonpretty\t\n");
        assert_int_equal(run("__complete run --output=js"), EXIT_OK);
        expect_out("--output=json\t\n--output=jsonpretty\t\n");
        assert_int_equal(run("__complete --socket S run tr"), EXIT_OK);
        expect_out("trace_open:latest\t\n");
        assert_int_equal(run("__complete --socket S attach ''"), EXIT_OK);
        expect_out("my-gadget\t\n");
        assert_int_equal(run("__complete --socket S stop one my"), EXIT_OK);
        expect_out("my-gadget\t\n");
        assert_int_equal(run("__complete --socket /nonexistent attach ''"), EXIT_OK);
        expect_out("");
        assert_int_equal(run("__complete completion f"), EXIT_OK);
        expect_out("fish\t\n");
        assert_int_equal(run("__complete build /nonexis"), EXIT_OK);
        expect_out("");
}

static void test_completion_scripts(void **state) {
        static const char *const lines[] = { "completion bash", "completion zsh",
                                             "completion fish" };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                assert_int_equal(run(lines[i]), EXIT_OK);
                assert_non_null(strstr((char *)printed.data, "__complete"));
        }
        assert_int_equal(run("completion tcsh"), EXIT_USAGE);
}

/* Every command and option is in the help and in the man page. */
static void test_help_and_man(void **state) {
        cleanup_free char *man = NULL;

        assert_int_equal(run("--dump-man all"), EXIT_OK);
        man = strdup((char *)printed.data);
        assert_non_null(man);
        for (size_t i = 0; i < n_commands; i++) {
                char line[128];

                assert_non_null(strstr(man, commands[i].name));
                snprintf(line, sizeof(line), "help %s", commands[i].name);
                assert_int_equal(run(line), EXIT_OK);
                for (size_t k = 0; k < commands[i].n_options; k++) {
                        char option[80];

                        snprintf(option, sizeof(option), "--%s", commands[i].options[k].name);
                        assert_non_null(strstr((char *)printed.data, option));
                        assert_non_null(strstr(man, option));
                }
                snprintf(line, sizeof(line), "--dump-man %s", commands[i].name);
                for (char *p = line + strlen("--dump-man "); *p; p++)
                        if (*p == ' ')
                                *p = '-';
                assert_int_equal(run(line), EXIT_OK);
                assert_non_null(strstr((char *)printed.data, commands[i].summary));
        }
        assert_int_equal(run("--dump-man nothing"), EXIT_USAGE);
        assert_int_equal(run("help nothing"), EXIT_USAGE);
        assert_int_equal(run("help image"), EXIT_OK);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),         cmocka_unit_test(test_run),
        cmocka_unit_test(test_run_options),  cmocka_unit_test(test_record),
        cmocka_unit_test(test_run_fails),    cmocka_unit_test(test_detach),
        cmocka_unit_test(test_attach),       cmocka_unit_test(test_reader_goes),
        cmocka_unit_test(test_denied),       cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_images),       cmocka_unit_test(test_run_help),
        cmocka_unit_test(test_version),      cmocka_unit_test(test_build_refusals),
        cmocka_unit_test(test_completion),   cmocka_unit_test(test_completion_scripts),
        cmocka_unit_test(test_help_and_man),
};

TEST_MAIN_SETUP("gadgetctl-commands", tests, setup, teardown)
