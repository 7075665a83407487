/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/supervisor/bed.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "ipc/mp.h"

static struct bed *current; /* what the running test has not ended yet */

int bed_connect(const struct bed *bed) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/gadgetd/gadgetd.sock",
                 bed->root);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -1;
        return TAKE_FD(fd);
}

static bool listens(const struct bed *bed) {
        cleanup_close int fd = bed_connect(bed);

        return fd >= 0;
}

void bed_put_file(const struct bed *bed, const char *path, const void *data, size_t n) {
        const char *name = strrchr(path, '/') + 1;
        cleanup_close int root_fd = -1, dir_fd = -1;
        char dir[128];

        snprintf(dir, sizeof(dir), "%.*s", (int)(name - path - 1), path);
        root_fd = open(bed->root, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        assert_int_equal(make_dirs(root_fd, dir, 0755, &dir_fd), 0);
        assert_int_equal(write_file_atomic(dir_fd, name, data, n, 0644), 0);
}

void bed_restart(struct bed *bed) {
        const char *argv[] = { TEST_GADGETD, "--root",   bed->root,   "--broker",
                               TEST_BROKER,  "--worker", "/bin/true", "--log-level",
                               "debug",      NULL,       NULL };

        if (!bed->has_spare)
                argv[9] = "--no-spare";

        run_free(bed->daemon);
        bed->daemon = run_new(&(struct run_spec){ .argv = argv, .dir = bed->root });
        if (!WAIT_UNTIL(listens(bed), WAIT_DEFAULT))
                run_fail(bed->daemon, "gadgetd does not listen");
}

struct bed *bed_new(void) {
        return bed_new_spare(false);
}

struct bed *bed_new_spare(bool has_spare) {
        struct bed *bed = calloc(1, sizeof(*bed));

        assert_non_null(bed);
        bed->has_spare = has_spare;
        snprintf(bed->root, sizeof(bed->root), "/tmp/gadget-bed-XXXXXX");
        assert_non_null(mkdtemp(bed->root));
        assert_int_equal(chmod(bed->root, 0755), 0); /* other users of tests connect as well */
        current = bed;
        bed_restart(bed);
        return bed;
}

static unsigned int count_dirs(const char *path) {
        const struct dirent *entry;
        DIR *dir = opendir(path);
        unsigned int n = 0;

        while (dir && (entry = readdir(dir)))
                n += entry->d_type == DT_DIR && entry->d_name[0] != '.';
        if (dir)
                closedir(dir);
        return n;
}

/* Cgroups are named by ids, and only ours are in our instances directory: those that lost theirs
 * would be found by the sweep tests. */
unsigned int bed_remains(const struct bed *bed) {
        char path[128];

        snprintf(path, sizeof(path), "%s/run/gadgetd/instances", bed->root);
        return count_dirs(path);
}

void bed_end(struct bed *bed) {
        if (run_is_alive(bed->daemon))
                run_signal(bed->daemon, SIGTERM);
        if (run_exit(bed->daemon) != 0)
                run_fail(bed->daemon, "gadgetd did not end well");
        if (strstr(run_err(bed->daemon), "leaving it") || bed_remains(bed) > 0)
                run_fail(bed->daemon, "gadgetd left something behind");
        run_free(bed->daemon);
        current = NULL;
        assert_int_equal(remove_tree(AT_FDCWD, bed->root), 0);
        free(bed);
}

int bed_teardown(void **state) {
        struct bed *bed = current;

        (void)state;
        if (!bed)
                return 0;
        current = NULL;
        if (bed->daemon) {
                fprintf(stderr, "--- gadgetd\n%s\n",
                        run_err(bed->daemon)); /* more than print_error() holds */
                run_signal(bed->daemon, SIGTERM);
                (void)WAIT_UNTIL(!run_is_alive(bed->daemon), WAIT_DEFAULT);
                run_free(bed->daemon);
        }
        (void)remove_tree(AT_FDCWD, bed->root);
        free(bed);
        return 0;
}

struct peer *bed_peer(const struct bed *bed) {
        int fd = bed_connect(bed);

        assert_true(fd >= 0);
        return peer_new(fd);
}

static struct bytes encode_params(const char *const *params, uint8_t *out) {
        uint8_t *p = out;
        uint32_t n = 0;

        while (params && params[2 * n])
                n++;
        p = mp_put_map(p, n);
        for (uint32_t i = 0; i < 2 * n; i++)
                p = mp_put_str(p, params[i], (uint32_t)strlen(params[i]));
        return BYTES(out, (size_t)(p - out));
}

int bed_start(struct peer *peer, const struct bed_run *run, char *ret_id,
              struct rpc_error *ret_error) {
        struct rep_instance_run reply;
        uint8_t params[4096];
        int r;

        r = peer_call(peer, METHOD_INSTANCE_RUN,
                      &(struct req_instance_run){
                              .image = "fake",
                              .object = BYTES("no object", 9),
                              .params = encode_params(run->params, params),
                              .name = run->name,
                              .detach = run->detach,
                              .timeout_ns = run->timeout_ns,
                              .ring_size = run->ring_size,
                              .host = true,
                      },
                      &reply, ret_error);
        if (r == 0 && ret_id)
                snprintf(ret_id, 65, "%s", reply.id);
        return r;
}

void bed_started(struct peer *peer, const struct bed_run *run) {
        struct rpc_error error;

        if (bed_start(peer, run, NULL, &error) < 0)
                fail_msg("run '%s': %s", run->name ? run->name : "", error.message);
}

void bed_stop(struct peer *peer, const char *instance) {
        struct rpc_error error;

        if (peer_call(peer, METHOD_INSTANCE_STOP,
                      &(struct req_instance_ref){ .instance = instance }, NULL, &error) < 0)
                fail_msg("stop '%s': %s", instance, error.message);
}

uint32_t bed_attach(struct peer *peer, const char *instance, uint64_t tail) {
        struct rep_instance_attach reply;
        struct rpc_error error;
        int r;

        r = peer_call(peer, METHOD_INSTANCE_ATTACH,
                      &(struct req_instance_attach){ .instance = instance, .tail = tail }, &reply,
                      &error);
        if (r < 0)
                fail_msg("attach '%s': %s", instance, error.message);
        assert_true(reply.schema.len > 0);
        return reply.stream;
}

uint64_t bed_number(struct bytes map, const char *key) {
        struct mp_reader reader = mp_reader_of(map);
        uint64_t value = 0;
        uint32_t n;

        assert_int_equal(mp_read_map(&reader, &n), 0);
        for (; n > 0; n--) {
                struct bytes name;

                assert_int_equal(mp_read_str(&reader, &name), 0);
                if (bytes_eq(name, key)) {
                        assert_int_equal(mp_read_uint(&reader, &value), 0);
                        return value;
                }
                assert_int_equal(mp_skip(&reader), 0);
        }
        return 0;
}

uint64_t bed_show(struct peer *peer, const char *instance, const char *key) {
        struct rep_object reply;

        assert_int_equal(peer_call(peer, METHOD_INSTANCE_SHOW,
                                   &(struct req_instance_show){ .instance = instance }, &reply,
                                   NULL),
                         0);
        return bed_number(reply.object, key);
}

uint64_t bed_stat(struct peer *peer, const char *key) {
        struct rep_object reply;

        assert_int_equal(peer_call(peer, METHOD_DAEMON_STATS, NULL, &reply, NULL), 0);
        return bed_number(reply.object, key);
}

/* Reads one item; true when its name matches. */
static bool read_item(struct mp_reader *reader, const char *name, char *ret_state, size_t size) {
        bool found = false;
        uint32_t n;

        assert_int_equal(mp_read_map(reader, &n), 0);
        for (; n > 0; n--) {
                struct bytes key, value;

                assert_int_equal(mp_read_str(reader, &key), 0);
                if (!bytes_eq(key, "name") && !bytes_eq(key, "state")) {
                        assert_int_equal(mp_skip(reader), 0);
                        continue;
                }
                assert_int_equal(mp_read_str(reader, &value), 0);
                if (bytes_eq(key, "name"))
                        found = bytes_eq(value, name);
                else if (found && ret_state)
                        snprintf(ret_state, size, "%.*s", (int)value.len, (const char *)value.data);
        }
        return found;
}

bool bed_list(struct peer *peer, const char *name, char *ret_state, size_t n) {
        struct rep_list reply;
        struct mp_reader reader;
        bool found = false;
        uint32_t n_items;

        assert_int_equal(peer_call(peer, METHOD_INSTANCE_LIST, NULL, &reply, NULL), 0);
        reader = mp_reader_of(reply.items);
        assert_int_equal(mp_read_array(&reader, &n_items), 0);
        for (; n_items > 0; n_items--)
                found |= read_item(&reader, name, ret_state, n);
        return found;
}

static void read_code(const struct rpc_message *message, char ret[32]) {
        struct rpc_error error;
        struct error err = {};

        ret[0] = '\0';
        if (message->error.len == 0)
                return;
        assert_int_equal(record_decode(&rpc_error_record, (uint8_t *)message->error.data,
                                       message->error.len, RECORD_LENIENT, &error, &err),
                         0);
        snprintf(ret, 32, "%s", error.code);
}

/* One whole message out of the received bytes into peer->message; waits for it. */
static void next_message(struct peer *peer, struct rpc_message *ret) {
        for (;;) {
                int r = peer->len > 0 ? rpc_next(peer->data, peer->len, LIMIT_CLIENT_FRAME_MAX, ret)
                                      : 0;
                ssize_t n;

                assert_true(r >= 0);
                if (r > 0)
                        break;
                if (peer->cap - peer->len < 4096) {
                        peer->cap += 1 << 16;
                        peer->data = realloc(peer->data, peer->cap);
                        assert_non_null(peer->data);
                }
                assert_int_equal(wait_readable(peer->fd, WAIT_DEFAULT), 0);
                n = recv(peer->fd, peer->data + peer->len, peer->cap - peer->len, 0);
                assert_true(n > 0);
                peer->len += (size_t)n;
        }
        free(peer->message);
        peer->message = malloc(ret->size);
        assert_non_null(peer->message);
        memcpy(peer->message, peer->data, ret->size);
        peer->len -= ret->size;
        memmove(peer->data, peer->data + ret->size, peer->len);
        assert_int_equal(rpc_next(peer->message, ret->size, LIMIT_CLIENT_FRAME_MAX, ret), 1);
}

uint32_t bed_answer(struct peer *peer, char ret_code[32]) {
        struct rpc_message message;

        do
                next_message(peer, &message);
        while (message.kind != RPC_RESPONSE);
        read_code(&message, ret_code);
        return message.id;
}

struct bytes bed_notification(struct peer *peer, const char *name) {
        struct rpc_message message;

        do
                next_message(peer, &message);
        while (message.kind != RPC_NOTIFICATION || !bytes_eq(message.method, name));
        return message.params;
}
