/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/runc.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"

#define ARGS_MAX 16
#define CONTAINERS_MAX 64

static char running[CONTAINERS_MAX][64]; /* ids; "" = none */

static void make_rootfs(struct env *env, const char *id) {
        char command[1024];

        assert_int_equal(make_dirs(AT_FDCWD, env_path(env, "/%s/rootfs/proc", id), 0755, NULL), 0);
        snprintf(command, sizeof(command), "cp %s/tests/lib/netact %s", TEST_BUILD_DIR,
                 env_path(env, "/%s/rootfs/netact", id));
        assert_int_equal(system(command), 0);
}

/* network: a member of the list of namespaces, with its comma. */
static void make_config(struct env *env, const char *id, const char *args, const char *network,
                        const char *annotations) {
        char json[4096];
        int n;

        n = snprintf(json, sizeof(json),
                     "{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
                     "\"args\":[\"/netact\"%s],\"cwd\":\"/\",\"capabilities\":{"
                     "\"bounding\":[\"CAP_NET_BIND_SERVICE\"],"
                     "\"effective\":[\"CAP_NET_BIND_SERVICE\"],"
                     "\"permitted\":[\"CAP_NET_BIND_SERVICE\"]}},"
                     "\"root\":{\"path\":\"rootfs\"},\"annotations\":{%s},"
                     "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
                     "\"source\":\"proc\"}],\"linux\":{\"cgroupsPath\":\"/gadget-test-%d-%s\","
                     "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
                     "%s{\"type\":\"ipc\"},{\"type\":\"uts\"}]}}",
                     args, annotations, getpid(), id, network);
        assert_true(n > 0 && (size_t)n < sizeof(json));
        assert_int_equal(write_file_atomic(AT_FDCWD, env_path(env, "/%s/config.json", id), json,
                                           (size_t)n, 0644),
                         0);
}

/* runc's own output goes nowhere: its container would keep a pipe open. */
static void call(struct env *env, const char *id, const char *verb) {
        char command[1024];

        snprintf(command, sizeof(command),
                 "cd %s && runc --root %s %s %s >/dev/null 2>&1 </dev/null",
                 env_path(env, "/%s", id), env_path(env, "/runc"), verb, id);
        assert_int_equal(system(command), 0);
}

static bool is_listed(struct env *env, const char *id) {
        json_t *list = env_ctl_json(env, "containers", "-o", "json", NULL), *item;
        bool found = false;
        size_t i;

        json_array_foreach(list, i, item) found |= str_eq(row_str(item, "id"), id);
        json_decref(list);
        return found;
}

static char *slot_of(const char *id) {
        for (size_t i = 0; i < CONTAINERS_MAX; i++)
                if (str_eq(running[i], id))
                        return running[i];
        fail_msg("there are too many containers, or not '%s'", id);
        return NULL;
}

void runc_start(struct env *env, const char *id, const char *pod, const char *annotations) {
        char network[128] = "{\"type\":\"network\"},";

        if (pod && !pod[0])
                network[0] = '\0';
        else if (pod)
                snprintf(network, sizeof(network),
                         "{\"type\":\"network\",\"path\":\"/proc/%d/ns/net\"},",
                         runc_pid(env, pod));
        make_rootfs(env, id);
        make_config(env, id, ",\"sleep\"", network, annotations);
        (void)is_listed(env, id); /* who asks for containers first starts gadget-watch */
        call(env, id, "run -d --pid-file pid");
        snprintf(slot_of(""), sizeof(running[0]), "%s", id);
        assert_true(WAIT_UNTIL(is_listed(env, id), WAIT_DEFAULT));
}

void runc_run(struct env *env, const char *id, ...) {
        char args[512] = "", command[1024];
        const char *arg;
        va_list list;
        size_t n = 0;

        va_start(list, id);
        while ((arg = va_arg(list, const char *)))
                n += (size_t)snprintf(args + n, sizeof(args) - n, ",\"%s\"", arg);
        va_end(list);
        assert_true(n < sizeof(args));
        make_rootfs(env, id);
        make_config(env, id, args, "{\"type\":\"network\"},", "");
        snprintf(command, sizeof(command),
                 "cd %s && runc --root %s run %s >/dev/null 2>&1 </dev/null",
                 env_path(env, "/%s", id), env_path(env, "/runc"), id);
        assert_true(WIFEXITED(system(command)));
}

pid_t runc_pid(struct env *env, const char *id) {
        cleanup_buf struct buf text = BUF_INIT(64);

        assert_int_equal(read_file_at(AT_FDCWD, env_path(env, "/%s/pid", id), &text), 0);
        buf_append(&text, "", 1);
        return (pid_t)atoi((const char *)text.data);
}

uint64_t runc_netns(struct env *env, const char *id) {
        struct stat st;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/net", runc_pid(env, id));
        assert_int_equal(stat(path, &st), 0);
        return st.st_ino;
}

struct run *runc_server(struct env *env, const char *id, const char *verb, const char *arg1,
                        const char *arg2) {
        struct run *run = env_exec(env, "runc", "--root", env_path(env, "/runc"), "exec", id,
                                   "/netact", verb, arg1, arg2, NULL);

        run_wait_out(run, "ready");
        return run;
}

struct run *runc_act(struct env *env, const char *id, ...) {
        const char *args[ARGS_MAX] = { NULL };
        struct run *run;
        va_list list;

        va_start(list, id);
        for (size_t i = 0; i < ARGS_MAX - 1 && (args[i] = va_arg(list, const char *)); i++)
                ;
        va_end(list);
        run = env_exec(env, "runc", "--root", env_path(env, "/runc"), "exec", id, "/netact",
                       args[0], args[1], args[2], args[3], args[4], args[5], NULL);
        if (run_exit(run) != 0)
                run_fail(run, "netact %s in '%s'", args[0], id);
        return run;
}

void runc_delete(struct env *env, const char *id) {
        slot_of(id)[0] = '\0';
        call(env, id, "delete -f");
}

int runc_teardown(void **state) {
        struct env *env = *state;

        for (size_t i = 0; i < CONTAINERS_MAX; i++)
                if (running[i][0]) {
                        char id[sizeof(running[0])];

                        memcpy(id, running[i], sizeof(id));
                        runc_delete(env, id);
                }
        return env_teardown(state);
}
