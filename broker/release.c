/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a gadget out of the kernel. */
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "broker/broker.h"

#define CLOSE_HELPERS_MAX 8

/* Runs in a child that shares our table of fds. */
static void close_share(int *fds, size_t n, size_t first, size_t step) {
        for (size_t i = first; i < n; i += step)
                close(fds[i]);
}

/* The kernel waits for a grace period (30 ms) at each link that goes. Helpers that share the table
 * of fds wait side by side. */
static void close_all(int *fds, size_t n) {
        pid_t helpers[CLOSE_HELPERS_MAX];
        size_t n_helpers = 0, step = MIN(n, (size_t)CLOSE_HELPERS_MAX + 1);

        for (size_t i = 1; i < step; i++) {
                pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

                if (pid == 0) {
                        close_share(fds, n, i, step);
                        _exit(0);
                }
                if (pid < 0)
                        close_share(fds, n, i, step);
                else
                        helpers[n_helpers++] = pid;
        }
        if (n > 0)
                close_share(fds, n, 0, step);
        for (size_t i = 0; i < n_helpers; i++)
                while (waitpid(helpers[i], NULL, 0) < 0 && errno == EINTR)
                        ;
}

/* A child that has ended, or else that of the oldest request, makes room. */
static pid_t *find_closer(struct broker *b) {
        for (size_t i = 0; i < ARRAY_SIZE(b->closers); i++)
                if (b->closers[i] == 0 || waitpid(b->closers[i], NULL, WNOHANG) != 0)
                        return &b->closers[i];
        while (waitpid(b->closers[0], NULL, 0) < 0 && errno == EINTR)
                ;
        memmove(b->closers, b->closers + 1, sizeof(b->closers) - sizeof(b->closers[0]));
        return &b->closers[ARRAY_SIZE(b->closers) - 1];
}

static void wait_for_closers(struct broker *b) {
        for (size_t i = 0; i < ARRAY_SIZE(b->closers); i++) {
                while (b->closers[i] > 0 && waitpid(b->closers[i], NULL, 0) < 0 && errno == EINTR)
                        ;
                b->closers[i] = 0;
        }
}

void broker_close_later(struct broker *b, int take_fd) {
        pid_t *closer = find_closer(b);

        *closer = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
        if (*closer == 0) {
                close(take_fd);
                _exit(0);
        }
        if (*closer < 0)
                close(take_fd);
        *closer = MAX(*closer, 0);
}

/* Nothing runs any more, and nothing that ran is still writing. The maps stay while the worker
 * drains. */
void broker_detach(struct broker *b) {
        cleanup_free int *fds = calloc(b->objects.n + b->netns_programs.n_links + 1, sizeof(*fds));
        size_t n;

        wait_for_closers(b);
        clsact_done(&b->clsact);
        if (!fds) {
                /* One by one, then. */
                objects_done(&b->objects);
                netns_programs_done(b);
                return;
        }
        n = netns_steal_links(b, fds);

        for (size_t i = 0; i < b->objects.n; i++) {
                struct object *object = &b->objects.table[i];

                /* The entry stays: the worker still has a number for it, and closes that in its
                 * time. Iterators stay as well: they are read at the stop, as maps are, and run
                 * at no other time. */
                if (object->fd >= 0 && !object->is_iterator &&
                    (object->kind == OBJECT_LINK || (object->kind == OBJECT_PERF && object->hook)))
                        fds[n++] = TAKE_FD(object->fd);
        }
        if (n == 0)
                return;
        close_all(fds, n);
        /* A program that was running when its link went may still write an event: after a grace
         * period none runs. */
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

void broker_detach_target(struct broker *b, uint32_t target) {
        int fds[LIMIT_BROKER_OBJECTS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < b->objects.n; i++) {
                struct object *object = &b->objects.table[i];

                if (object->kind != OBJECT_NONE && object->target == target && object->fd >= 0)
                        fds[n++] = TAKE_FD(object->fd);
        }
        close_all(fds, n);
}

/* Everything that a gadget owns in the kernel, but for perf events without a program: they cost a
 * grace period each, and go with us. */
void broker_release(struct broker *b) {
        broker_detach(b);
        netns_programs_done(b);
        for (size_t i = 0; i < b->objects.n; i++)
                if (b->objects.table[i].kind == OBJECT_PERF)
                        b->objects.table[i].fd = -1;
        objects_done(&b->objects);
}

/* Exits once gadgetd has taken everything: the fault and STOPPED must not be lost with us. */
