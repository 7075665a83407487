/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How soon the kernel's filters of many gadgets have a container that has just appeared: from the
 * moment that gadget-watch (which is this program) tells gadgetd, until gadgetd says that every
 * gadget has it, with 1000 containers and 1, 10 and 100 gadgets that filter. One container is real:
 * its exec must be seen by each gadget. Figures go to stderr as a table, and to stdout as JSON.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "tests/lib/box.h"
#include "tests/lib/watch.h"

#define CONTAINERS 1000
#define ROUNDS 200

static int exec_true(const void *arg) {
        pid_t pid = fork();
        int status;

        (void)arg;
        if (pid == 0) {
                execl("/bin/true", "true", NULL);
                _exit(1);
        }
        return pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static struct run *start_gadget(struct env *env, unsigned int i) {
        char name[16], object[512];

        snprintf(name, sizeof(name), "g%u", i);
        snprintf(object, sizeof(object), "%s/tests/system/gadgets/crowd.bpf.o", TEST_BUILD_DIR);
        env_ctl(env, 0, "run", object, "--detach", "--name", name, "--containers", NULL);
        return env_run(env, "attach", name, "-o", "json", NULL);
}

/* Of sorted figures, in ms. */
static double at_percent(const uint64_t *ns, size_t percent) {
        size_t i = MIN(ROUNDS * percent / 100, (size_t)ROUNDS - 1);

        return (double)ns[i] / 1e6;
}

static void measure(struct watch *watch, unsigned int n_gadgets) {
        static uint64_t ns[ROUNDS];
        struct msg_container_added info = { .pid = 2, .name = "appears", .runtime = "fake" };

        for (uint32_t i = 0; i < ROUNDS; i++) {
                uint64_t begin = now_ns();

                info.serial = 1 + i;
                info.mntns = 1000000 + i;
                watch_add_held(watch, &info);
                ns[i] = now_ns() - begin;
                watch_remove(watch, info.mntns);
        }
        qsort(ns, ROUNDS, sizeof(ns[0]), compare);
        fprintf(stderr, "%8u %12.2f %12.2f %12.2f\n", n_gadgets, at_percent(ns, 50),
                at_percent(ns, 95), at_percent(ns, 100));
        printf("{\"name\":\"container-update\",\"gadgets\":%u,\"containers\":%d,\"median\":%.3f,"
               "\"p95\":%.3f,\"max\":%.3f,\"unit\":\"ms\",\"n\":%d}\n",
               n_gadgets, CONTAINERS, at_percent(ns, 50), at_percent(ns, 95), at_percent(ns, 100),
               ROUNDS);
}

static void test_update(void **state) {
        static const unsigned int steps[] = { 1, 10, 100 };
        struct msg_container_added info = { .pid = 2, .name = "stays", .runtime = "fake" };
        struct run *runs[100];
        struct env *env = *state;
        cleanup(watch_freep) struct watch *watch = NULL;
        cleanup(box_freep) struct box *box = NULL;
        unsigned int n = 0;

        test_needs(NEED_ROOT);
        test_needs(NEED_BPF_RAW_TP);
        assert_int_equal(box_new(&box), 0);
        watch = watch_start(env, "--log-level", "error", NULL);
        watch_want(env, watch);
        for (uint64_t i = 1; i <= CONTAINERS; i++) {
                info.mntns = i;
                watch_add(watch, &info);
        }
        fprintf(stderr, "%d containers; until every filter has one more, ms:\n%8s %12s %12s %12s\n",
                CONTAINERS, "gadgets", "median", "95 %", "longest");
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                while (n < steps[i]) {
                        runs[n] = start_gadget(env, n);
                        n++;
                }
                measure(watch, n);
        }
        info.mntns = box_namespace(box, "mnt");
        info.name = "real";
        info.serial = UINT32_MAX;
        watch_add_held(watch, &info);
        assert_int_equal(box_call(box, exec_true, "", 1, NULL), 0);
        for (unsigned int i = 0; i < n; i++)
                (void)run_wait_row(runs[i], "runtime.containerName", "real");
        fprintf(stderr, "%u of %u gadgets saw the exec of a container that was told of then\n", n,
                n);
        env_stop(env);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_update, env_setup, env_teardown),
        };

        return test_main("bench-containers", tests, ARRAY_SIZE(tests), NULL, NULL);
}
