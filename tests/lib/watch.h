/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test as gadget-watch: a gadgetd that was started by watch_start() hears of containers from
 * the test alone. What it answers is read by watch_receive().
 */
#pragma once

#include "ipc/message.h"
#include "tests/lib/env.h"

struct watch {
        int listen_fd;
        int fd;  /* the channel to gadgetd */
        int pid; /* of the process that gadgetd takes for gadget-watch */
        uint64_t id;
        union message message; /* the last one that came */
        uint8_t *frame;
};

/* Starts the env's gadgetd (more arguments, NULL-terminated), which will start the fake one. */
struct watch *watch_start(struct env *env, ...) __attribute__((sentinel));
struct watch *watch_free(struct watch *watch);
DEFINE_CLEANUP(struct watch, watch_free)

/* Waits until gadgetd has started it, which it does for the first gadget. Says READY. */
void watch_accept(struct watch *watch);

/* Has gadgetd start it now, without a gadget, and says READY. */
void watch_want(struct env *env, struct watch *watch);

/* The same in two steps: what is added in between is what the new one finds. */
void watch_accept_silent(struct watch *watch);
void watch_ready(struct watch *watch);

void watch_send(struct watch *watch, enum message_type type, const void *msg);
void watch_add(struct watch *watch, const struct msg_container_added *added);

/* The same, with this directory as the container's root. */
void watch_add_root(struct watch *watch, struct msg_container_added added, const char *root);
void watch_remove(struct watch *watch, uint64_t mntns);

/* The next message of gadgetd; MSG_NONE when none comes in time. It stays in watch->message. */
enum message_type watch_receive(struct watch *watch, uint64_t timeout_ns);

/* As watch_add(), held: waits until every gadget's filter has it (the test fails when that takes
 * too long). */
void watch_add_held(struct watch *watch, const struct msg_container_added *added);
