/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which containers a gadget sees, and under which names. The test plays gadget-watch, so that
 * names, images and pods are what it likes; the namespaces are real.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "gadget/api.h"
#include "tests/lib/box.h"
#include "tests/lib/watch.h"
#include "tests/system/act.h"

#define FAREWELL (5 * NSEC_PER_SEC)

static int open_path(const void *path) {
        return open(path, O_RDONLY | O_CLOEXEC) < 0 ? 0 : -EEXIST;
}

static void act(struct box *box, const char *path) {
        assert_int_equal(box_call(box, open_path, path, strlen(path) + 1, NULL), 0);
}

static int call_getppid(const void *arg) {
        (void)arg;
        return syscall(SYS_getppid) < 0;
}

static struct msg_container_added describe(const struct box *box, const char *name) {
        return (struct msg_container_added){
                .mntns = box_namespace(box, "mnt"),
                .netns = box_namespace(box, "net"),
                .pid = (uint32_t)box_pid(box),
                .started_ns = 1700000000000000000,
                .name = name,
                .id = name,
                .runtime = "fake",
        };
}

/* Rows with this file, and how many of them bear this name. */
static size_t count(struct run *run, const char *fname, const char *name) {
        json_t *rows = run_rows(run), *row;
        size_t i, n = 0;

        json_array_foreach(rows, i, row) n +=
                str_eq(row_str(row, "fname"), fname) &&
                (!name || str_eq(row_str(row, "runtime.containerName"), name));
        json_decref(rows);
        return n;
}

/* A gadget in the foreground that runs: nothing that happens from now on is missed. */
static struct run *start(struct env *env, const char *gadget, const char *name, const char *option,
                         const char *value) {
        struct run *run =
                env_run(env, "run", gadget, "--name", name, "-o", "json", option, value, NULL);

        env_wait_state(env, name, "running");
        return run;
}

/* The first one that chooses containers has gadgetd start gadget-watch, and waits for it. */
static struct run *start_first(struct env *env, struct watch *watch, const char *gadget,
                               const char *option, const char *value) {
        struct run *run =
                env_run(env, "run", gadget, "--name", "first", "-o", "json", option, value, NULL);

        watch_accept(watch);
        env_wait_state(env, "first", "running");
        return run;
}

/* --- selections --- */

enum { WEB, DB, JOB, _N_BOXES };

static const char *const files[] = { "/nonexistent/web", "/nonexistent/db", "/nonexistent/job" };

static const struct {
        const char *option;
        const char *value;
        bool sees[_N_BOXES];
} selections[] = {
        { "--container", "web", { true, false, false } },
        { "--containername", "web,db", { true, true, false } },
        { "-c", "!web", { false, true, true } },
        { "-c", "w*,db,!db", { true, false, false } },
        { "--runtimes", "docker", { true, true, false } },
        { "--runtimes", "!docker", { false, false, true } },
        { "--container-id", "0123*", { true, false, false } },
        { "--container-image", "nginx:1,postgres:*", { true, true, false } },
        { "--container-digest", "sha256:aaa", { true, false, false } },
        { "--k8s-namespace", "prod", { true, true, false } },
        { "--k8s-podname", "front-*", { true, false, false } },
        { "--k8s-containername", "!main", { false, true, true } },
        { "--containers", NULL, { true, true, true } },
};

static void describe_all(struct box *const boxes[], struct msg_container_added *infos) {
        static const char *const names[] = { "web", "db", "job" };

        for (size_t i = 0; i < _N_BOXES; i++)
                infos[i] = describe(boxes[i], names[i]);
        infos[WEB].id = "0123abc";
        infos[WEB].runtime = infos[DB].runtime = "docker";
        infos[WEB].image = "nginx:1";
        infos[DB].image = "postgres:15";
        infos[WEB].digest = "sha256:aaa";
        infos[DB].digest = "sha256:bbb";
        infos[WEB].k8s_namespace = infos[DB].k8s_namespace = "prod";
        infos[WEB].k8s_pod = "front-1";
        infos[DB].k8s_pod = "back-1";
        infos[WEB].k8s_container = "main";
        infos[DB].k8s_container = "side";
}

/* Everything that is chosen is seen once, under its name; and nothing else, nor the host. */
static void expect_selection(struct run *run, size_t s) {
        const char *const names[] = { "web", "db", "job" };

        for (size_t i = 0; i < _N_BOXES; i++) {
                size_t want = selections[s].sees[i] ? 1 : 0;

                if (!WAIT_UNTIL(count(run, files[i], names[i]) >= want, WAIT_DEFAULT) ||
                    count(run, files[i], NULL) != want)
                        run_fail(run, "%s %s: %zu rows of '%s'", selections[s].option,
                                 selections[s].value ?: "", count(run, files[i], NULL), names[i]);
        }
        assert_int_equal(count(run, "/nonexistent/host", NULL), 0);
}

/* The last gadget sees all: its rows are there when those of the others are. */
static void test_selections(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *web = NULL, *db = NULL, *job = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct run *runs[ARRAY_SIZE(selections)];
        struct msg_container_added infos[_N_BOXES];

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&web), 0);
        assert_int_equal(box_new(&db), 0);
        assert_int_equal(box_new(&job), 0);
        describe_all((struct box *[]){ web, db, job }, infos);
        infos[WEB].serial = 5;
        infos[DB].serial = 6;
        watch = watch_start(env, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(selections); i++) {
                char name[16];

                snprintf(name, sizeof(name), "s%zu", i);
                runs[i] = i == 0 ? start_first(env, watch, "trace_open", selections[i].option,
                                               selections[i].value)
                                 : start(env, "trace_open", name, selections[i].option,
                                         selections[i].value);
                /* One is there before most gadgets, one comes in between, one after all. */
                if (i == 0 || i == 6)
                        watch_add_held(watch, &infos[i == 0 ? WEB : DB]);
        }
        infos[JOB].serial = 7;
        watch_add_held(watch, &infos[JOB]);
        assert_int_equal(open("/nonexistent/host", O_RDONLY | O_CLOEXEC), -1);
        act(web, files[WEB]);
        act(db, files[DB]);
        act(job, files[JOB]);
        for (size_t i = ARRAY_SIZE(selections); i-- > 0;)
                expect_selection(runs[i], i);
        env_stop(env);
}

/* --- what a worker is told --- */

static json_t *only_row(struct run *run) {
        json_t *rows;
        size_t n;

        assert_true(WAIT_UNTIL(strchr(run_out(run), '\n') != NULL, WAIT_DEFAULT));
        rows = run_rows(run);
        n = json_array_size(rows);
        if (n != 1)
                run_fail(run, "%zu rows in place of one", n);
        return rows;
}

/* Of containers that an instance may not see its worker knows nothing, not even a name. */
static void test_only_what_it_may_see(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *web = NULL, *db = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info;
        struct run *narrow, *wide;
        char peer[32];
        json_t *rows;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&web), 0);
        assert_int_equal(box_new(&db), 0);
        watch = watch_start(env, NULL);
        snprintf(peer, sizeof(peer), "%llu", (unsigned long long)box_namespace(db, "mnt"));
        narrow = env_run(env, "run", act_object("pair"), "--name", "narrow", "-o", "json", "-c",
                         "web", "--peer", peer, NULL);
        watch_accept(watch);
        env_wait_state(env, "narrow", "running");
        wide = env_run(env, "run", act_object("pair"), "--name", "wide", "-o", "json",
                       "--containers", "--peer", peer, "--filter",
                       "runtime.containerName==web,peer.runtime.containerPid>1", NULL);
        env_wait_state(env, "wide", "running");
        info = describe(web, "web");
        info.serial = 2;
        watch_add_held(watch, &info);
        info = describe(db, "db");
        info.serial = 1;
        watch_add_held(watch, &info);
        assert_int_equal(box_call(web, call_getppid, "", 1, NULL), 0);
        assert_int_equal(box_call(db, call_getppid, "", 1, NULL), 0);
        rows = only_row(narrow);
        assert_string_equal(row_str(json_array_get(rows, 0), "runtime.containerName"), "web");
        assert_string_equal(row_str(json_array_get(rows, 0), "peer.runtime.containerName"), "");
        json_decref(rows);
        rows = only_row(wide);
        assert_string_equal(row_str(json_array_get(rows, 0), "runtime.containerName"), "web");
        assert_string_equal(row_str(json_array_get(rows, 0), "peer.runtime.containerName"), "db");
        assert_int_equal(row_int(json_array_get(rows, 0), "peer.runtime.containerPid"),
                         box_pid(db));
        json_decref(rows);
        env_stop(env);
}

/* --- the end of a container --- */

/* Events that were made while it lived and are read after its end bear its name. */
static void test_late_reading(void **state) {
        enum { N = 20 };
        struct env *env = *state;
        cleanup(box_freep) struct box *box = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info;
        pid_t broker, worker;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&box), 0);
        watch = watch_start(env, "--no-spare", NULL);
        run = start_first(env, watch, "trace_open", "-c", "late*");
        info = describe(box, "late");
        info.serial = 1;
        watch_add_held(watch, &info);
        broker = env_child(env, run_pid(env->daemon), "gadget-broker");
        worker = env_child(env, broker, "gadget-worker");
        assert_true(worker > 0);
        assert_int_equal(kill(worker, SIGSTOP), 0);
        for (unsigned int i = 0; i < N; i++)
                act(box, "/nonexistent/late");
        watch_remove(watch, info.mntns);
        /* The next container's turn comes when that has been said. */
        info.mntns = 1;
        info.serial = 2;
        info.name = "late too";
        watch_add_held(watch, &info);
        act(box, "/nonexistent/too-late");
        assert_int_equal(kill(worker, SIGCONT), 0);
        assert_true(WAIT_UNTIL(count(run, "/nonexistent/late", "late") == N, WAIT_DEFAULT));
        assert_int_equal(count(run, "/nonexistent/late", NULL), N);
        assert_int_equal(count(run, "/nonexistent/too-late", NULL), 0);
        env_stop(env);
}

/* What still runs in a namespace whose container has ended has its name for as long as that, and
 * none afterwards. */
static void test_farewell(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *box = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info;
        struct run *run;
        uint64_t removed_ns, took_ns;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&box), 0);
        watch = watch_start(env, NULL);
        run = start(env, "trace_open", "t", "--host", NULL);
        watch_accept(watch);
        info = describe(box, "ends");
        info.serial = 1;
        watch_add_held(watch, &info);
        act(box, "/nonexistent/ends");
        assert_true(WAIT_UNTIL(count(run, "/nonexistent/ends", "ends") == 1, WAIT_DEFAULT));
        removed_ns = now_ns();
        watch_remove(watch, info.mntns);
        assert_true(WAIT_UNTIL(
                (act(box, "/nonexistent/after"), count(run, "/nonexistent/after", "") > 0),
                2 * FAREWELL + WAIT_DEFAULT));
        took_ns = now_ns() - removed_ns;
        if (took_ns < FAREWELL)
                fail_msg("the name was kept for %llu ms only",
                         (unsigned long long)(took_ns / NSEC_PER_MSEC));
        assert_true(count(run, "/nonexistent/after", "ends") > 0);
        env_stop(env);
}

/* The kernel gives a namespace's id out again: the new container's name holds from the moment that
 * gadgetd hears of it, and who chose the old one by name sees nothing of it. */
static void test_reused_id(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *box = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info;
        struct run *old, *all;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&box), 0);
        watch = watch_start(env, NULL);
        old = start_first(env, watch, "trace_open", "-c", "old");
        all = start(env, "trace_open", "all", "--containers", NULL);
        info = describe(box, "old");
        info.serial = 1;
        watch_add_held(watch, &info);
        act(box, "/nonexistent/one");
        assert_true(WAIT_UNTIL(count(all, "/nonexistent/one", "old") == 1, WAIT_DEFAULT));
        watch_remove(watch, info.mntns);
        info.name = "new";
        info.serial = 2;
        watch_add_held(watch, &info);
        act(box, "/nonexistent/two");
        assert_true(WAIT_UNTIL(count(all, "/nonexistent/two", "new") == 1, WAIT_DEFAULT));
        /* And without an end in between: the same pid and namespace, another name. */
        info.name = "newer";
        info.serial = 3;
        watch_add_held(watch, &info);
        act(box, "/nonexistent/three");
        assert_true(WAIT_UNTIL(count(all, "/nonexistent/three", "newer") == 1, WAIT_DEFAULT));
        assert_true(WAIT_UNTIL(count(old, "/nonexistent/one", "old") == 1, WAIT_DEFAULT));
        assert_int_equal(count(old, "/nonexistent/two", NULL), 0);
        assert_int_equal(count(old, "/nonexistent/three", NULL), 0);
        env_stop(env);
}

/* --- limits --- */

/* The filter has room for as many containers as there can be, and those that have ended make room
 * for new ones at once. */
static void test_most_containers(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *box = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info = { .pid = 2, .name = "made-up" }, real;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&box), 0);
        watch = watch_start(env, NULL);
        run = start_first(env, watch, "trace_open", "--containers", NULL);
        for (uint64_t i = 1; i < LIMIT_CONTAINERS_MAX; i++) {
                info.mntns = i;
                watch_add(watch, &info);
        }
        real = describe(box, "last");
        real.serial = 1;
        watch_add_held(watch, &real);
        act(box, "/nonexistent/last");
        if (!WAIT_UNTIL(count(run, "/nonexistent/last", "last") == 1, WAIT_DEFAULT))
                run_fail(run, "the last container is not seen");
        watch_remove(watch, real.mntns);
        info.mntns = LIMIT_CONTAINERS_MAX;
        watch_add(watch, &info);
        watch_remove(watch, 1);
        real.serial = 2;
        real.name = "again";
        watch_add_held(watch, &real);
        act(box, "/nonexistent/again");
        assert_true(WAIT_UNTIL(count(run, "/nonexistent/again", "again") == 1, WAIT_DEFAULT));
        /* gadget-watch says that it knows more than it lists: so does the list. */
        watch_send(watch, MSG_WATCH_FULL, &(struct msg_watch_full){ .is_full = true });
        run_wait_err(env->daemon, "there are more than 4096 containers");
        run_wait_err(env_ctl(env, 0, "containers", NULL), "there are more than 4096 containers");
        watch_send(watch, MSG_WATCH_FULL, &(struct msg_watch_full){ .is_full = false });
        run_wait_err(env->daemon, "every container is known again");
        env_stop(env);
}

/* --- gadget-watch ends --- */

/* The gadgets that run go on: events of containers that are known are seen and named, those that
 * have ended meanwhile are forgotten when the next gadget-watch has listed what there is. */
static void test_watch_killed(void **state) {
        struct env *env = *state;
        cleanup(box_freep) struct box *stays = NULL, *goes = NULL;
        cleanup(watch_freep) struct watch *watch = NULL;
        struct msg_container_added info;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        assert_int_equal(box_new(&stays), 0);
        assert_int_equal(box_new(&goes), 0);
        watch = watch_start(env, NULL);
        run = start_first(env, watch, "trace_open", "--containers", NULL);
        info = describe(goes, "goes");
        watch_add(watch, &info);
        info = describe(stays, "stays");
        info.serial = 1;
        watch_add_held(watch, &info);
        assert_int_equal(kill(watch->pid, SIGKILL), 0);
        run_wait_err(env->daemon, "gadget-watch is started again");
        act(stays, "/nonexistent/between");
        act(goes, "/nonexistent/between");
        watch_accept_silent(watch);
        info.serial = 0;
        watch_add(watch, &info);
        watch_ready(watch);
        info.serial = 2;
        watch_add_held(watch, &info);
        act(stays, "/nonexistent/after");
        act(goes, "/nonexistent/after");
        assert_true(WAIT_UNTIL(count(run, "/nonexistent/between", NULL) == 2, WAIT_DEFAULT));
        assert_int_equal(count(run, "/nonexistent/between", "stays"), 1);
        assert_int_equal(count(run, "/nonexistent/between", "goes"), 1);
        assert_true(WAIT_UNTIL(count(run, "/nonexistent/after", "stays") == 1, WAIT_DEFAULT));
        assert_int_equal(count(run, "/nonexistent/after", NULL), 1);
        env_stop(env);
}

/* One that ends again and again is started less and less often, and what needs it is told why. */
static void test_watch_crashes(void **state) {
        struct env *env = *state;
        cleanup(watch_freep) struct watch *watch = NULL;
        uint64_t begin, last = 0;
        struct run *run;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_TRACEPOINT);
        watch = watch_start(env, NULL);
        (void)start_first(env, watch, "trace_open", "--containers", NULL);
        for (unsigned int i = 0; i < 4; i++) {
                begin = now_ns();
                assert_int_equal(kill(watch->pid, SIGKILL), 0);
                watch_accept_silent(watch);
                assert_true(now_ns() - begin > (i == 0 ? 90 : 180) * NSEC_PER_MSEC);
                assert_true(i == 0 || now_ns() - begin > last);
                last = now_ns() - begin;
        }
        assert_int_equal(kill(watch->pid, SIGKILL), 0);
        run_wait_err(env->daemon, "started again in 1600 ms");
        run = env_ctl(env, 1, "run", "trace_open", "--containers", NULL);
        run_wait_err(run, "gadget-watch ends again and again");
        watch_accept(watch);
        env_stop(env);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                ENV_TEST(test_selections),   ENV_TEST(test_only_what_it_may_see),
                ENV_TEST(test_late_reading), ENV_TEST(test_farewell),
                ENV_TEST(test_reused_id),    ENV_TEST(test_most_containers),
                ENV_TEST(test_watch_killed), ENV_TEST(test_watch_crashes),
        };

        return test_main("selection", tests, ARRAY_SIZE(tests), NULL, NULL);
}
