/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a live gadget's worker and broker may do: `show --privs` says it, and here it is compared
 * with the kernel's own files and with what the design promises. Nothing in this file takes
 * gadgetd's word.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gadget/api.h"
#include "tests/system/act.h"

/* The rest of the line "KEY:\t..." of /proc/PID/status. */
static const char *status(pid_t pid, const char *key) {
        static char line[512];
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f)) {
                const char *rest = str_after(line, key);

                if (rest && rest[0] == ':') {
                        fclose(f);
                        return rest + 1 + strspn(rest + 1, " \t");
                }
        }
        fclose(f);
        fail_msg("no '%s' in %s", key, path);
        return NULL;
}

static uint64_t status_hex(pid_t pid, const char *key) {
        uint64_t value = 0;

        assert_int_equal(sscanf(status(pid, key), "%" SCNx64, &value), 1);
        return value;
}

static uint64_t status_number(pid_t pid, const char *key) {
        uint64_t value = 0;

        assert_int_equal(sscanf(status(pid, key), "%" SCNu64, &value), 1);
        return value;
}

static uint64_t namespace(pid_t pid, const char *which) {
        struct stat st;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, which);
        assert_int_equal(stat(path, &st), 0);
        return st.st_ino;
}

static bool names(const json_t *list, const char *name) {
        json_t *item;
        size_t i;

        json_array_foreach(list, i, item) {
                if (str_eq(json_string_value(item), name))
                        return true;
        }
        return false;
}

struct live {
        json_t *shown;
        json_t *worker;
        json_t *broker;
        pid_t worker_pid;
        pid_t broker_pid;
};

static struct live start(struct env *env) {
        struct live live;

        env_start(env, NULL);
        act_detach(env, "trace_open", "p", 0);
        live.shown = env_ctl_json(env, "show", "p", "--privs", "-o", "json", NULL);
        live.worker = row_get(live.shown, "privs.worker");
        live.broker = row_get(live.shown, "privs.broker");
        assert_non_null(live.worker);
        assert_non_null(live.broker);
        live.worker_pid = (pid_t)row_int(live.worker, "pid");
        live.broker_pid = (pid_t)row_int(live.broker, "pid");
        assert_int_equal(live.worker_pid, row_int(live.shown, "worker_pid"));
        return live;
}

static void end(struct env *env, struct live *live) {
        json_decref(live->shown);
        env_ctl(env, 0, "stop", "p", NULL);
        env_stop(env);
}

static void test_worker_has_no_privileges(void **state) {
        static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
        struct env *env = *state;
        struct live live;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        live = start(env);
        for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
                assert_int_equal(status_hex(live.worker_pid, sets[i]), 0);
        assert_int_equal(json_array_size(row_get(live.worker, "capabilities.effective")), 0);
        assert_int_equal(json_array_size(row_get(live.worker, "capabilities.permitted")), 0);
        assert_int_equal(status_number(live.worker_pid, "Seccomp"), 2);
        assert_string_equal(row_str(live.worker, "seccomp"), "filter");
        assert_true(row_int(live.worker, "seccomp_filters") >= 1);
        assert_int_equal(status_number(live.worker_pid, "NoNewPrivs"), 1);
        assert_true(json_is_true(row_get(live.worker, "no_new_privs")));
        assert_int_equal(status_number(live.worker_pid, "Threads"), 1);
        end(env, &live);
}

/* Its uid is nobody else's. */
static void test_worker_has_its_own_uid(void **state) {
        struct env *env = *state;
        struct live live;
        json_t *other;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        live = start(env);
        assert_true(status_number(live.worker_pid, "Uid") >= WORKER_UID_BASE);
        assert_int_equal(status_number(live.worker_pid, "Uid"), row_int(live.shown, "worker_uid"));
        assert_int_equal(status_number(live.worker_pid, "Gid"), row_int(live.shown, "worker_uid"));
        assert_true(status(live.worker_pid, "Groups")[0] == '\n');
        assert_int_equal(json_array_size(row_get(live.worker, "groups")), 0);
        act_detach(env, "trace_open", "q", 0);
        other = act_show(env, "q");
        assert_true(row_int(other, "worker_uid") != row_int(live.shown, "worker_uid"));
        json_decref(other);
        end(env, &live);
}

static void test_worker_has_its_own_namespaces(void **state) {
        static const char *const kinds[] = { "user", "mnt", "net", "pid", "ipc", "uts" };
        struct env *env = *state;
        char path[64], key[32];
        struct dirent *entry;
        struct live live;
        size_t n = 0;
        DIR *root;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        live = start(env);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                assert_true(namespace(live.worker_pid, kinds[i]) != namespace(getpid(), kinds[i]));
                snprintf(key, sizeof(key), "namespaces.%s.own", kinds[i]);
                assert_true(json_is_true(row_get(live.worker, key)));
                snprintf(key, sizeof(key), "namespaces.%s.inode", kinds[i]);
                assert_int_equal(row_int(live.worker, key), namespace(live.worker_pid, kinds[i]));
        }
        snprintf(path, sizeof(path), "/proc/%d/root", live.worker_pid);
        root = opendir(path);
        assert_non_null(root);
        while ((entry = readdir(root)))
                n += !str_eq(entry->d_name, ".") && !str_eq(entry->d_name, "..");
        closedir(root);
        assert_int_equal(n, 0);
        assert_int_equal(row_int(live.worker, "root.entries"), 0);
        assert_true(json_is_true(row_get(live.worker, "root.read_only")));
        end(env, &live);
}

/* Memory and pids are limited, by whichever cgroup version has these controllers here. */
static void test_worker_is_limited(void **state) {
        struct env *env = *state;
        bool has_memory = false, has_pids = false;
        struct live live;
        json_t *cgroup;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        test_needs(NEED_CGROUP);
        live = start(env);
        json_array_foreach(row_get(live.worker, "cgroups"), i, cgroup) {
                json_t *memory = row_get(cgroup, "memory_max"), *pids = row_get(cgroup, "pids_max");

                if (memory && strtoull(json_string_value(memory), NULL, 10) <= (1u << 30))
                        has_memory = true;
                if (pids && !str_eq(json_string_value(pids), "max"))
                        has_pids = true;
                assert_non_null(strstr(row_str(cgroup, "path"), "/gadgetd/"));
        }
        assert_true(has_memory);
        assert_true(has_pids);
        end(env, &live);
}

/* Programs, links and perf events stay in the broker; of the kernel's objects the worker holds maps
 * alone. */
static void test_worker_holds_maps_only(void **state) {
        struct env *env = *state;
        struct live live;
        json_t *fd;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        live = start(env);
        assert_true(json_array_size(row_get(live.worker, "fds")) > 0);
        json_array_foreach(row_get(live.worker, "fds"), i, fd) {
                const char *kind = row_str(fd, "kind");

                if (strstr(kind, "bpf-prog") || strstr(kind, "bpf_link") ||
                    strstr(kind, "perf_event") || (kind[0] == '/' && !str_eq(kind, "/dev/null")))
                        fail_msg("the worker holds %s", kind);
        }
        end(env, &live);
}

static void test_broker_has_what_it_needs_only(void **state) {
        static const char *const allowed[] = { "cap_bpf", "cap_perfmon", "cap_net_admin",
                                               "cap_net_raw", "cap_sys_admin" };
        static const char *const extra[] = { "cap_sys_ptrace",   "cap_sys_module",
                                             "cap_dac_override", "cap_setuid",
                                             "cap_sys_rawio",    "cap_net_bind_service" };
        struct env *env = *state;
        struct live live;
        json_t *effective, *name;
        size_t i;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        live = start(env);
        effective = row_get(live.broker, "capabilities.effective");
        json_array_foreach(effective, i, name) {
                bool is_allowed = false;

                for (size_t a = 0; a < ARRAY_SIZE(allowed); a++)
                        is_allowed |= str_eq(json_string_value(name), allowed[a]);
                if (!is_allowed)
                        fail_msg("the broker has %s while the gadget runs",
                                 json_string_value(name));
        }
        for (i = 0; i < ARRAY_SIZE(extra); i++)
                assert_false(names(row_get(live.broker, "capabilities.permitted"), extra[i]));
        assert_int_equal(status_number(live.broker_pid, "NoNewPrivs"), 1);
        assert_int_equal(status_number(live.broker_pid, "Threads"), 1);
        end(env, &live);
}

static const struct CMUnitTest tests[] = {
        ENV_TEST(test_worker_has_no_privileges),      ENV_TEST(test_worker_has_its_own_uid),
        ENV_TEST(test_worker_has_its_own_namespaces), ENV_TEST(test_worker_is_limited),
        ENV_TEST(test_worker_holds_maps_only),        ENV_TEST(test_broker_has_what_it_needs_only),
};

TEST_MAIN("privs", tests)
