/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/pod.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"

#define PODS_MAX 8
#define CHILDREN_MAX 32

struct pod {
        struct env *env;
        char name[64];
        pid_t pid;
        pid_t children[CHILDREN_MAX]; /* of pod_start(), not waited for */
        size_t n_children;
};

static struct pod pods[PODS_MAX];
static size_t n_pods;

static void make_bundle(struct pod *pod) {
        char command[1024], json[1024];
        int n;

        assert_int_equal(
                make_dirs(AT_FDCWD, env_path(pod->env, "/%s/rootfs/proc", pod->name), 0755, NULL),
                0);
        snprintf(command, sizeof(command), "cp %s/tests/system/nothing %s", TEST_BUILD_DIR,
                 env_path(pod->env, "/%s/rootfs/nothing", pod->name));
        assert_int_equal(system(command), 0);
        n = snprintf(json, sizeof(json),
                     "{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
                     "\"args\":[\"/nothing\",\"x\"],\"cwd\":\"/\"},\"root\":{\"path\":\"rootfs\"},"
                     "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
                     "\"source\":\"proc\"}],\"linux\":{\"cgroupsPath\":\"/gadget-pod-%d-%s\","
                     "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
                     "{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}]}}",
                     getpid(), pod->name);
        assert_true(n > 0 && (size_t)n < sizeof(json));
        assert_int_equal(write_file_atomic(AT_FDCWD,
                                           env_path(pod->env, "/%s/config.json", pod->name), json,
                                           (size_t)n, 0644),
                         0);
}

static int runc(const struct pod *pod, const char *arguments) {
        char command[1024];

        snprintf(command, sizeof(command), "cd %s && runc --root %s %s %s >>%s 2>&1 </dev/null",
                 env_path(pod->env, "/%s", pod->name), env_path(pod->env, "/runc"), arguments,
                 pod->name, env_path(pod->env, "/%s/log", pod->name));
        return system(command);
}

static bool is_listed(struct env *env, const char *name) {
        json_t *list = env_ctl_json(env, "containers", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) found |= str_eq(row_str(item, "name"), name);
        json_decref(list);
        return found;
}

struct pod *pod_new(struct env *env, const char *name) {
        struct pod *pod = &pods[n_pods];
        struct buf file = BUF_INIT(64);
        char *pid;

        assert_true(n_pods < PODS_MAX);
        *pod = (struct pod){ .env = env };
        snprintf(pod->name, sizeof(pod->name), "%s", name);
        make_bundle(pod);
        /* From this question on, gadget-watch looks at what is started: a runtime whose state lies
         * in no usual place is known by its command line alone. */
        assert_false(is_listed(env, name));
        n_pods++;
        assert_int_equal(runc(pod, "run -d --pid-file pid"), 0);
        assert_true(read_file_at(AT_FDCWD, env_path(env, "/%s/pid", name), &file) >= 0);
        pid = buf_steal_string(&file);
        assert_non_null(pid);
        pod->pid = (pid_t)strtol(pid, NULL, 10);
        free(pid);
        assert_true(pod->pid > 1);
        assert_true(WAIT_UNTIL(is_listed(env, name), WAIT_DEFAULT));
        return pod;
}

void pod_stop(struct pod *pod) {
        for (size_t i = 0; i < pod->n_children; i++) {
                kill(pod->children[i], SIGKILL);
                waitpid(pod->children[i], NULL, 0);
        }
        pod->n_children = 0;
        if (pod->pid > 0)
                (void)runc(pod, "delete -f");
        pod->pid = 0;
}

int pod_teardown(void **state) {
        for (size_t i = 0; i < n_pods; i++)
                pod_stop(&pods[i]);
        n_pods = 0;
        return env_teardown(state);
}

pid_t pod_pid(const struct pod *pod) {
        return pod->pid;
}

uint64_t pod_namespace(const struct pod *pod, const char *which) {
        struct stat st;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pod->pid, which);
        return stat(path, &st) == 0 ? st.st_ino : 0;
}

static int join(const struct pod *pod, const char *which, int type) {
        cleanup_close int fd = -1;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pod->pid, which);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 || setns(fd, type) < 0 ? -errno : 0;
}

static pid_t start(const struct pod *pod, int (*func)(void *arg), void *arg) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        if (join(pod, "net", CLONE_NEWNET) < 0 || join(pod, "mnt", CLONE_NEWNS) < 0)
                _exit(99);
        _exit(func(arg) == 0 ? 0 : 1);
}

pid_t pod_start(struct pod *pod, int (*func)(void *arg), void *arg) {
        assert_true(pod->n_children < CHILDREN_MAX);
        return pod->children[pod->n_children++] = start(pod, func, arg);
}

void pod_call(struct pod *pod, int (*func)(void *arg), void *arg, pid_t *ret_pid) {
        pid_t pid = start(pod, func, arg);
        int status;

        assert_int_equal(wait_child(pid, WAIT_DEFAULT, &status), 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        if (ret_pid)
                *ret_pid = pid;
}

void *pod_shared(size_t n) {
        void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        assert_true(p != MAP_FAILED);
        return p;
}

void pod_ip(struct pod *pod, const char *command) {
        char text[512];

        snprintf(text, sizeof(text), "nsenter --net=/proc/%d/ns/net sh -c '%s' >/dev/null",
                 pod->pid, command);
        if (system(text) != 0)
                fail_msg("%s", text);
}

void pod_join(struct pod *first, struct pod *second) {
        char text[256];

        snprintf(text, sizeof(text),
                 "ip link add pair0 type veth peer name pair0 netns /proc/%d/ns/net", second->pid);
        pod_ip(first, text);
        pod_ip(first, "ip addr add 10.77.0.1/24 dev pair0; ip addr add fd77::1/64 dev pair0 nodad;"
                      "ip link set pair0 up");
        pod_ip(second, "ip addr add 10.77.0.2/24 dev pair0; ip addr add fd77::2/64 dev pair0 nodad;"
                       "ip link set pair0 up");
}

void pod_step_set(int *at, int step) {
        __atomic_store_n(at, step, __ATOMIC_SEQ_CST);
}

bool pod_step_wait(const int *at, int step) {
        return WAIT_UNTIL(__atomic_load_n(at, __ATOMIC_SEQ_CST) >= step, WAIT_DEFAULT);
}

uint16_t pod_port_of(int fd) {
        struct sockaddr_in6 address = { 0 }; /* the port of IPv4 is in the same place */
        socklen_t n = sizeof(address);

        return getsockname(fd, (struct sockaddr *)&address, &n) < 0 ? 0 : ntohs(address.sin6_port);
}
