/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map behind gadget/sockets-map.h: whose socket and whose packet it is, of sockets that a
 * process gets in every way there is, before the gadget runs and afterwards. A process asks by
 * getsockname() on one of its sockets, which the gadget socket_owner answers.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/pod.h"

#define POD_TEST(_test) cmocka_unit_test_setup_teardown(_test, env_setup, pod_teardown)
#define OBJECT(_name) TEST_GADGET_DIR "/" _name "-" TEST_ARCH ".bpf.o"

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static socklen_t set_address(union address *address, const char *text, uint16_t port) {
        *address = (union address){ 0 };
        address->v4.sin_port = htons(port);
        if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
                address->any.sa_family = AF_INET;
                return sizeof(address->v4);
        }
        address->any.sa_family = AF_INET6;
        return inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1 ? sizeof(address->v6) : 0;
}

/* The question; and the port. */
static uint16_t ask(int fd) {
        union address address;
        socklen_t n = sizeof(address);

        return getsockname(fd, &address.any, &n) < 0 ? 0 : ntohs(address.v4.sin_port);
}

static int bound(int type, const char *text) {
        union address address;
        socklen_t n = set_address(&address, text, 0);
        int fd = socket(address.any.sa_family, type, 0);

        return fd < 0 || bind(fd, &address.any, n) < 0 ? -1 : fd;
}

static int connected(int type, const char *text, uint16_t port) {
        union address address;
        socklen_t n = set_address(&address, text, port);
        int fd = socket(address.any.sa_family, type, 0);

        return fd < 0 || connect(fd, &address.any, n) < 0 ? -1 : fd;
}

static int sent_from(const char *text, uint16_t port) {
        union address address;
        socklen_t n = set_address(&address, text, port);
        int fd = socket(address.any.sa_family, SOCK_DGRAM, 0);

        return fd < 0 || sendto(fd, "x", 1, 0, &address.any, n) != 1 ? -1 : fd;
}

/* --- asking --- */

struct question {
        int step;
        uint16_t ports[16];
        size_t n;
        pid_t pids[2];
};

static void put(struct question *q, int fd) {
        q->ports[q->n++] = ask(fd);
}

static struct run *start_object(struct env *env, const char *name, const char *object,
                                const char *container) {
        struct run *run;

        env_ctl(env, 0, "run", object, "-d", "--name", name, container ? "-c" : "--host", container,
                NULL);
        run = env_attach(env, name);
        return run;
}

static struct run *start(struct env *env) {
        return start_object(env, "t", OBJECT("socket_owner"), "owner");
}

static json_t *finish(struct env *env, struct run *run, size_t n_expected) {
        json_t *rows;

        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        rows = run_rows(run);
        if (json_array_size(rows) != n_expected)
                run_fail(run, "%zu answers instead of %zu", json_array_size(rows), n_expected);
        return rows;
}

static void expect(const json_t *row, const struct pod *pod, pid_t asker, uint16_t port,
                   pid_t owner, const char *comm) {
        assert_int_equal(row_int(row, "asker"), asker);
        assert_int_equal(row_int(row, "port"), port);
        assert_true(json_is_true(row_get(row, "is_known")));
        assert_int_equal(row_int(row, "proc.pid"), owner);
        assert_int_equal(row_int(row, "proc.tid"), owner);
        assert_string_equal(row_str(row, "proc.comm"), comm);
        assert_int_equal(row_int(row, "proc.creds.uid"), getuid());
        assert_int_equal(row_int(row, "proc.creds.gid"), getgid());
        assert_int_equal(row_int(row, "proc.mntns_id"), pod_namespace(pod, "mnt"));
        assert_string_equal(row_str(row, "runtime.containerName"), "owner");
}

/* --- each way to a port --- */

static int get_ports(void *arg) {
        struct question *q = arg;
        int listener, client;

        prctl(PR_SET_NAME, "port-getter");
        put(q, bound(SOCK_STREAM, "127.0.0.1"));
        put(q, bound(SOCK_STREAM, "::1"));
        put(q, bound(SOCK_DGRAM, "127.0.0.1"));
        put(q, bound(SOCK_DGRAM, "::"));
        put(q, connected(SOCK_DGRAM, "127.0.0.1", 9));
        put(q, connected(SOCK_DGRAM, "::1", 9));
        put(q, sent_from("127.0.0.1", 9));
        put(q, sent_from("::1", 9));
        listener = bound(SOCK_STREAM, "::");
        if (listen(listener, 4) < 0)
                return -1;
        put(q, listener);
        client = connected(SOCK_STREAM, "127.0.0.1", q->ports[8]);
        put(q, client);
        put(q, accept(listener, NULL, NULL));
        client = connected(SOCK_STREAM, "::1", q->ports[8]);
        put(q, client);
        put(q, accept(listener, NULL, NULL));
        listener = socket(AF_INET, SOCK_STREAM, 0);
        if (listen(listener, 4) < 0)
                return -1;
        /* Without bind(). */
        if (connected(SOCK_STREAM, "127.0.0.1", ask(listener)) < 0)
                return -1;
        put(q, accept(listener, NULL, NULL));
        return 0;
}

static void test_each_way(void **state) {
        struct env *env = *state;
        struct question *q;
        struct pod *pod;
        struct run *run;
        json_t *rows;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        pod = pod_new(env, "owner");
        run = start(env);
        q = pod_shared(sizeof(*q));
        pod_call(pod, get_ports, q, &pid);
        assert_int_equal(q->n, 14);
        rows = finish(env, run, 15);
        for (size_t i = 0; i < q->n - 1; i++)
                expect(json_array_get(rows, i), pod, pid, q->ports[i], pid, "port-getter");
        /* The question before this one came before anybody could know. */
        expect(json_array_get(rows, 14), pod, pid, q->ports[13], pid, "port-getter");
        json_decref(rows);
        env_stop(env);
}

/* Without a container: the rows of others are there as well. */
static void test_each_way_of_the_host(void **state) {
        struct question *q = pod_shared(sizeof(*q));
        struct env *env = *state;
        json_t *rows, *row;
        struct run *run;
        size_t i, n = 0;
        int status;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = start_object(env, "t", OBJECT("socket_owner"), NULL);
        pid = fork();
        if (pid == 0)
                _exit(get_ports(q) < 0);
        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        rows = run_rows(run);
        json_array_foreach(rows, i, row) {
                if (row_int(row, "asker") != pid)
                        continue;
                /* One question of fifteen is asked before anybody could know. */
                if (json_is_true(row_get(row, "is_known")))
                        assert_int_equal(row_int(row, "proc.pid"), pid);
                n += json_is_true(row_get(row, "is_known"));
        }
        assert_in_range(n, 14, 15);
        json_decref(rows);
        env_stop(env);
}

/* --- before the gadget, and through a fork --- */

static int get_early(void *arg) {
        struct question *q = arg;
        int tcp, udp, other;
        pid_t child;
        int status;

        prctl(PR_SET_NAME, "early");
        q->pids[0] = getpid();
        tcp = bound(SOCK_STREAM, "127.0.0.1");
        udp = bound(SOCK_DGRAM, "::1");
        other = listen(tcp, 4) < 0 ? -1 : connected(SOCK_STREAM, "127.0.0.1", ask(tcp));
        if (udp < 0 || other < 0)
                return -1;
        pod_step_set(&q->step, 1);
        if (!pod_step_wait(&q->step, 2))
                return -1;
        put(q, tcp);
        put(q, udp);
        put(q, other);
        child = fork();
        if (child == 0) {
                prctl(PR_SET_NAME, "heir");
                q->pids[1] = getpid();
                put(q, tcp);
                if (accept(tcp, NULL, NULL) < 0)
                        _exit(1);
                put(q, tcp);
                _exit(0);
        }
        return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

/* A child's inherited socket is its parent's, until the child serves it. */
static void test_before_and_inherited(void **state) {
        struct env *env = *state;
        struct question *q;
        struct pod *pod;
        struct run *run;
        json_t *rows;
        pid_t pid;
        int status;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        pod = pod_new(env, "owner");
        q = pod_shared(sizeof(*q));
        pid = pod_start(pod, get_early, q);
        assert_true(pod_step_wait(&q->step, 1));
        run = start(env);
        pod_step_set(&q->step, 2);
        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        assert_int_equal(status, 0);
        rows = finish(env, run, 5);
        for (size_t i = 0; i < 3; i++)
                expect(json_array_get(rows, i), pod, pid, q->ports[i], pid, "early");
        /* The child's copy of q->n started at 3, in shared memory. */
        expect(json_array_get(rows, 3), pod, q->pids[1], q->ports[3], pid, "early");
        expect(json_array_get(rows, 4), pod, q->pids[1], q->ports[4], q->pids[1], "heir");
        assert_int_equal(q->ports[4], q->ports[0]);
        json_decref(rows);
        env_stop(env);
}

/* --- who fills it --- */

static json_t *enricher(struct env *env, size_t *ret_count) {
        json_t *list = env_ctl_json(env, "list", "--all", "-o", "json", NULL), *item, *found = NULL;
        size_t i;

        *ret_count = 0;
        json_array_foreach(list, i, item) {
                if (!json_is_true(row_get(item, "internal")) ||
                    strcmp(row_str(item, "state"), "running") != 0)
                        continue;
                json_decref(found);
                found = json_incref(item);
                ++*ret_count;
        }
        json_decref(list);
        return found;
}

/* --- the map itself --- */

static bool has_name(uint32_t map_id, const char *name) {
        cleanup_close int fd = bpf_map_get_fd_by_id(map_id);
        struct bpf_map_info info = { 0 };
        uint32_t n = sizeof(info);

        return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &n) == 0 &&
               strcmp(info.name, name) == 0;
}

/* What the broker of the instance holds: others on this machine may have such a map too. */
static uint32_t find_map_of(struct env *env, const char *instance, const char *name) {
        json_t *show = env_ctl_json(env, "show", instance, "-o", "json", NULL);
        char path[300], line[128];
        struct dirent *entry;
        uint32_t found = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)row_int(show, "broker_pid"));
        json_decref(show);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                char info[600];
                FILE *file;

                snprintf(info, sizeof(info), "%s/%s", path, entry->d_name);
                file = fopen(info, "re");
                while (file && fgets(line, sizeof(line), file)) {
                        unsigned int id;

                        if (sscanf(line, "map_id: %u", &id) == 1 && has_name(id, name))
                                found = id;
                }
                if (file)
                        fclose(file);
        }
        closedir(dir);
        assert_true(found > 0);
        return found;
}

static uint32_t find_map(struct env *env, const char *name) {
        uint32_t found;
        json_t *item;
        size_t n;

        item = enricher(env, &n);
        assert_int_equal(n, 1);
        found = find_map_of(env, row_str(item, "id"), name);
        json_decref(item);
        return found;
}

static uint32_t value_size_of(uint32_t map_id) {
        cleanup_close int fd = bpf_map_get_fd_by_id(map_id);
        struct bpf_map_info info = { 0 };
        uint32_t n = sizeof(info);

        assert_true(fd >= 0);
        assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &n), 0);
        return info.value_size;
}

struct socket_key {
        uint32_t netns;
        uint16_t family;
        uint8_t proto;
        uint8_t gap;
        uint16_t port;
        uint16_t end;
};

/* The time of its last release; -1 = it is not there. */
static int64_t released_at(uint32_t map_id, const struct socket_key *key) {
        cleanup_close int fd = bpf_map_get_fd_by_id(map_id);
        uint64_t value[11];

        assert_true(fd >= 0);
        return bpf_map_lookup_elem(fd, key, value) < 0 ? -1 : (int64_t)value[8];
}

/* Known for a while after its last socket is closed; then it is gone. */
static void test_close_and_expiry(void **state) {
        struct socket_key key = { .family = AF_INET, .proto = IPPROTO_UDP };
        struct env *env = *state;
        uint64_t closed;
        uint32_t id;
        struct stat st;
        int fd, copy;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        env_ctl(env, 0, "run", OBJECT("socket_owner"), "-d", "--name", "t", "--host", NULL);
        env_wait_state(env, "t", "running");
        id = find_map(env, "shared_sockets");
        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        key.netns = (uint32_t)st.st_ino;
        fd = bound(SOCK_DGRAM, "127.0.0.1");
        key.port = ask(fd);
        copy = dup(fd);
        assert_int_equal(released_at(id, &key), 0);
        close(fd);
        assert_int_equal(released_at(id, &key), 0);
        close(copy);
        closed = now_ns();
        assert_true(released_at(id, &key) > 0);
        assert_true(WAIT_UNTIL(released_at(id, &key) == -1, WAIT_DEFAULT));
        assert_true(now_ns() - closed > 4 * NSEC_PER_SEC);
        env_ctl(env, 0, "stop", "t", NULL);
        env_stop(env);
}

/* --- one for all --- */

static bool is_noted(struct env *env, const char *name, const char *note) {
        json_t *list = env_ctl_json(env, "list", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) found |=
                strcmp(row_str(item, "name"), name) == 0 && strstr(row_str(item, "note"), note);
        json_decref(list);
        return found;
}

/* One runs, and it is not this. */
static bool is_another(struct env *env, const char *id) {
        size_t n;
        json_t *item = enricher(env, &n);
        bool is_another = item && strcmp(row_str(item, "id"), id) != 0;

        json_decref(item);
        return is_another;
}

/* Two gadgets share it; with the second one it goes. */
static void test_shared(void **state) {
        struct env *env = *state;
        json_t *item;
        size_t n;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        assert_null(enricher(env, &n));
        env_ctl(env, 0, "run", OBJECT("socket_owner"), "-d", "--name", "t", "--host", NULL);
        env_ctl(env, 0, "run", "trace_tcpretrans", "-d", "--name", "u", "--host", NULL);
        item = enricher(env, &n);
        assert_int_equal(n, 1);
        assert_string_equal(row_str(item, "image"), "socket_enricher");
        json_decref(item);
        env_ctl(env, 0, "stop", "t", NULL);
        json_decref(enricher(env, &n));
        assert_int_equal(n, 1);
        env_ctl(env, 0, "stop", "u", NULL);
        assert_true(WAIT_UNTIL((json_decref(enricher(env, &n)), n == 0), WAIT_DEFAULT));
        env_stop(env);
}

/* --- the optional fields --- */

#define DEEP_NAME                                                                                  \
        "a-directory-whose-name-has-eighty-characters-of-which-these-are-most-and-no-more-than"
#define DEEP_LEVELS 8 /* more than 512 bytes */

static int get_with_path(void *arg) {
        struct question *q = arg;
        char here[1024];
        int listener;

        prctl(PR_SET_NAME, "pathfinder");
        if (mkdir("/work here", 0755) < 0 || chdir("/work here") < 0)
                return -1;
        put(q, bound(SOCK_DGRAM, "127.0.0.1"));
        listener = bound(SOCK_STREAM, "127.0.0.1");
        if (listen(listener, 4) < 0 || chdir("/") < 0)
                return -1;
        put(q, connected(SOCK_STREAM, "127.0.0.1", ask(listener)));
        for (int i = 0; i < DEEP_LEVELS; i++)
                if (mkdir(DEEP_NAME, 0755) < 0 || chdir(DEEP_NAME) < 0)
                        return -1;
        put(q, bound(SOCK_DGRAM, "127.0.0.1"));
        return getcwd(here, sizeof(here)) && strlen(here) > 512 ? 0 : -1;
}

static json_t *expect_paths(struct run *run, uint16_t port, const char *cwd, const char *exe) {
        char text[16];
        json_t *row;

        snprintf(text, sizeof(text), "%u", port);
        row = run_wait_row(run, "port", text);
        assert_true(json_is_true(row_get(row, "is_known")));
        assert_string_equal(row_str(row, "cwd"), cwd);
        assert_string_equal(row_str(row, "exepath"), exe);
        return row;
}

/* In a container they are as the container sees them. */
static void test_paths(void **state) {
        struct env *env = *state;
        struct question *q;
        char exe[512], deep[1024] = "";
        struct pod *pod;
        struct run *run;
        json_t *row;
        ssize_t n;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        pod = pod_new(env, "owner");
        run = start_object(env, "t", OBJECT("socket_paths"), "owner");
        q = pod_shared(sizeof(*q));
        pod_call(pod, get_with_path, q, &pid);
        assert_int_equal(q->n, 3);
        n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        assert_true(n > 0);
        exe[n] = '\0';
        row = expect_paths(run, q->ports[0], "/work here", exe);
        assert_string_equal(row_str(row, "proc.comm"), "pathfinder");
        assert_int_equal(row_int(row, "proc.pid"), pid);
        assert_int_equal(row_int(row, "proc.mntns_id"), pod_namespace(pod, "mnt"));
        assert_string_equal(row_str(row, "runtime.containerName"), "owner");
        expect_paths(run, q->ports[1], "/", exe);
        for (int i = 0; i < DEEP_LEVELS; i++)
                strcat(deep, "/" DEEP_NAME);
        deep[511] = '\0';
        expect_paths(run, q->ports[2], deep, exe);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        env_stop(env);
}

/* Whoever does not read them does not pay for them, whoever runs beside it; and what was open
 * before has them too. */
static void test_paths_cost_only_their_readers(void **state) {
        struct env *env = *state;
        char exe[512], cwd[512];
        uint32_t plain, map;
        struct run *run;
        json_t *row;
        uint16_t port;
        ssize_t len;
        size_t n;
        int early;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        early = bound(SOCK_DGRAM, "127.0.0.1");
        assert_int_equal(fcntl(early, F_SETFD, FD_CLOEXEC), 0); /* nobody else's */
        env_ctl(env, 0, "run", OBJECT("socket_owner"), "-d", "--name", "plain", "--host", NULL);
        plain = find_map(env, "shared_sockets");
        assert_int_equal(value_size_of(plain), 88);

        run = start_object(env, "t", OBJECT("socket_paths"), NULL);
        json_decref(enricher(env, &n));
        assert_int_equal(n, 2);
        map = find_map_of(env, "socket-enricher-paths", "shared_sockets");
        assert_int_equal(value_size_of(map), 88 + 2 * 512);
        assert_int_equal(find_map_of(env, "socket-enricher", "shared_sockets"), plain);
        assert_int_equal(find_map_of(env, "plain", "shared_sockets"), plain);
        assert_int_equal(find_map_of(env, "t", "shared_sockets"), map);
        port = ask(early);
        assert_non_null(getcwd(cwd, sizeof(cwd)));
        len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        assert_true(len > 0);
        exe[len] = '\0';
        row = expect_paths(run, port, cwd, exe);
        assert_int_equal(row_int(row, "proc.pid"), getpid());

        /* Each goes with its own last reader. */
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        assert_true(WAIT_UNTIL((json_decref(enricher(env, &n)), n == 1), WAIT_DEFAULT));
        assert_int_equal(find_map(env, "shared_sockets"), plain);
        env_ctl(env, 0, "stop", "plain", NULL);
        assert_true(WAIT_UNTIL((json_decref(enricher(env, &n)), n == 0), WAIT_DEFAULT));
        close(early);
        env_stop(env);
}

/* A lost enricher is told to the gadgets, and its successor fills the same map. */
static void test_lost(void **state) {
        struct env *env = *state;
        json_t *item;
        struct run *run;
        uint32_t id;
        size_t n;
        int before, after;
        json_t *row;
        char port[16];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        run = start_object(env, "t", OBJECT("socket_owner"), NULL);
        id = find_map(env, "shared_sockets");
        item = enricher(env, &n);
        assert_int_equal(n, 1);
        before = bound(SOCK_DGRAM, "127.0.0.1");
        assert_int_equal(kill((pid_t)row_int(item, "worker_pid"), SIGKILL), 0);
        assert_true(WAIT_UNTIL(is_another(env, row_str(item, "id")), WAIT_DEFAULT));
        json_decref(item);
        assert_int_equal(find_map(env, "shared_sockets"), id);
        assert_true(strstr(run_err(env->daemon), "socket enricher was lost") != NULL);
        assert_true(WAIT_UNTIL(!is_noted(env, "t", "lost"), WAIT_DEFAULT));
        after = bound(SOCK_DGRAM, "127.0.0.1");
        snprintf(port, sizeof(port), "%u", ask(before));
        row = run_wait_row(run, "port", port);
        assert_int_equal(row_int(row, "proc.pid"), getpid());
        snprintf(port, sizeof(port), "%u", ask(after));
        row = run_wait_row(run, "port", port);
        assert_int_equal(row_int(row, "proc.pid"), getpid());
        close(before);
        close(after);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        env_stop(env);
}

/* No program of a gadget writes what all others read, whichever way. */
static void test_not_written(void **state) {
        static const char *const objects[] = { OBJECT("socket_writer"),
                                               OBJECT("socket_writer_in_place") };
        struct env *env = *state;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
                struct run *run =
                        env_ctl(env, 1, "run", objects[i], "--host", "--allow-unsafe", NULL);

                run_wait_err(run, "write into map forbidden");
        }
        env_stop(env);
}

#define SOCKETS_MAX 16384 /* of the map */

static int hold_too_many(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < SOCKETS_MAX + 200)
                return 77;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 77;
        for (int i = 0; i < SOCKETS_MAX + 100; i++)
                if (bound(SOCK_DGRAM, "127.0.0.1") < 0)
                        return 1;
        return 0;
}

/* Each socket that finds no room is an event of the enricher. */
static void test_full(void **state) {
        struct env *env = *state;
        struct run *run;
        json_t *row;
        struct stat st;
        int status;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        env_start(env, NULL);
        env_ctl(env, 0, "run", OBJECT("socket_owner"), "-d", "--name", "t", "--host", NULL);
        env_wait_state(env, "t", "running");
        run = env_run(env, "attach", "socket-enricher", "--tail", "all", "--fields",
                      "refused:netns_id,family,proto,port", "-o", "json", NULL);
        pid = fork();
        if (pid == 0)
                _exit(hold_too_many());
        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                test_unmet("nofile", "a process may not open 16584 files");
        assert_int_equal(status, 0);
        row = run_wait_row(run, "proto", "17");
        assert_int_equal(stat("/proc/self/ns/net", &st), 0);
        assert_int_equal(row_int(row, "family"), AF_INET);
        assert_int_equal(row_int(row, "netns_id"), st.st_ino);
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        env_stop(env);
}

/* --- packets --- */

static int send_packets(void *arg) {
        struct question *q = arg;
        union address address;
        socklen_t n;
        int server, fd;
        char c;

        prctl(PR_SET_NAME, "packets");
        server = bound(SOCK_DGRAM, "::");
        n = set_address(&address, "127.0.0.1", ask(server));
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        q->ports[0] = ask(server);
        return sendto(fd, "x", 1, 0, &address.any, n) == 1 && recv(server, &c, 1, 0) == 1 ? 0 : -1;
}

/* Of IPv4, to a socket of both families. */
static void test_packets(void **state) {
        struct env *env = *state;
        struct question *q;
        struct pod *pod;
        struct run *run;
        json_t *row;
        pid_t pid;

        test_needs(NEED_ROOT);
        test_needs(NEED_RUNC);
        test_needs(NEED_BPF_SOCKET);
        env_start(env, NULL);
        pod = pod_new(env, "owner");
        run = start_object(env, "t", OBJECT("socket_packets"), "owner");
        q = pod_shared(sizeof(*q));
        pod_call(pod, send_packets, q, &pid);
        row = run_wait_row(run, "proc.comm", "packets");
        assert_int_equal(row_int(row, "proc.pid"), pid);
        assert_int_equal(row_int(row, "netns_id"), pod_namespace(pod, "net"));
        assert_int_equal(row_int(row, "proc.mntns_id"), pod_namespace(pod, "mnt"));
        env_ctl(env, 0, "stop", "t", NULL);
        run_exit(run);
        env_stop(env);
}

static const struct CMUnitTest tests[] = {
        POD_TEST(test_each_way),
        POD_TEST(test_each_way_of_the_host),
        POD_TEST(test_before_and_inherited),
        POD_TEST(test_close_and_expiry),
        POD_TEST(test_shared),
        POD_TEST(test_paths),
        POD_TEST(test_paths_cost_only_their_readers),
        POD_TEST(test_lost),
        POD_TEST(test_not_written),
        POD_TEST(test_packets),
        POD_TEST(test_full),
};
TEST_MAIN("gadget-sockets", tests)
