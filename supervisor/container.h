/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers of this host as gadget-watch reports them, and what instances make of them: which
 * mount namespaces their kernel filters let pass, and which names their workers may show.
 */
#pragma once

#include <sys/queue.h>
#include <sys/types.h>

#include "base/loop.h"
#include "gadget/api.h"
#include "ipc/channel.h"
#include "supervisor/answer.h"
#include "supervisor/asker.h"
#include "supervisor/container-fds.h"

struct supervisor;
struct instance;
struct client;
struct client_waits;

struct container {
        LIST_ENTRY(container) link;
        struct msg_container_added info; /* texts are ours */
        uint64_t gone_ns;                /* CLOCK_MONOTONIC; 0 = it lives */
        uint32_t n_pending;              /* brokers that have not said DONE */
        struct container_fds fds;        /* until it ends */
        struct answer answer;            /* of its runtime's API */
        bool awaits_answer; /* who selects by what the answer may say holds its first exec */
        bool is_stale; /* of a gadget-watch that has ended: the next one says whether it lives */
};
LIST_HEAD(container_list, container);

/* A container.list that waits. */
struct container_wait {
        LIST_ENTRY(container_wait) link;
        struct client *client;
        uint32_t id;
        uint64_t after;
};
LIST_HEAD(container_wait_list, container_wait);

struct containers {
        struct supervisor *sup;
        pid_t pid; /* of gadget-watch; 0 = not started, or gone */
        int pidfd;
        int log_fd;
        struct loop_io log_io;
        struct channel *channel;
        bool is_ready;
        bool holds;
        bool is_full; /* gadget-watch knows of more than it lists */
        uint64_t host_mntns;
        char node[LIMIT_CONTAINER_TEXT_MAX + 1]; /* k8s.node of containers in pods */
        uint64_t generation;                     /* counts changes */
        struct container_list list;
        size_t n;
        struct container_wait_list waits;
        struct loop_timer farewell; /* forgets those that have ended */
        struct container_netns_list netns_list;
        size_t n_fds; /* of containers, open here */
        size_t fds_max;
        bool is_short_of_fds;
        struct asker askers[_API_MAX];
        struct loop_timer restart; /* of gadget-watch */
        uint64_t restart_delay_ns;
        uint64_t started_ns; /* the gadget-watch that runs, or the last one */
        uint64_t stale_ns;   /* since when there is none; 0 = there is one */
};

void containers_init(struct containers *cs, struct supervisor *sup);
void containers_done(struct containers *cs);

/* Starts gadget-watch unless it runs, or is about to be started again. Fails when it has ended so
 * often that it will be long until then. */
int containers_need(struct containers *cs, struct error *err);

/* Its pid has been waited for. */
void containers_on_exit(struct containers *cs, int status);

/* A signal has stopped it: starts of containers would wait for it, so it is ended and made anew. */
void containers_on_stop(struct containers *cs);

/* The instance's broker has been started: tells it of every container that it may see. */
void containers_join(struct containers *cs, struct instance *in);

/* The instance is over, or its broker has said DONE: nobody waits for it. */
void containers_leave(struct containers *cs, struct instance *in);
void containers_on_done(struct containers *cs, uint32_t serial);

/* Its broker wants fds: tells it of every container again, once it is known which there are. */
void containers_want(struct containers *cs, struct instance *in,
                     const struct msg_container_want *want);

/* What the API of its runtime says of a container; asked NULL = nothing. */
void containers_on_answer(struct containers *cs, uint64_t mntns, const char *id,
                          const struct msg_asked *asked);

/* --- between container.c, container-list.c and watcher-proc.c --- */

extern const struct channel_ops containers_watcher_ops; /* what gadget-watch says */

/* Has gadget-watch hold first execs while somebody chooses containers. */
void containers_update_gate(struct containers *cs);
bool containers_have_listeners(const struct containers *cs);

/* Which containers live is not known until the next gadget-watch says so; who waits for that
 * fails. */
void containers_on_watcher_gone(struct containers *cs);
void watcher_proc_done(struct containers *cs);

/* Something has changed. */
void containers_answer_waiting(struct containers *cs);
/* Nobody waits any more; why = NULL: nobody is told, either. */
void containers_refuse_waiting(struct containers *cs, const struct error *why);

/* --- clients --- */

/* Answers container.list once there is a generation above `after`. */
int containers_answer(struct containers *cs, struct client *client, uint32_t id, uint64_t after);

/* The client goes: nothing of its is answered any more. */
void containers_forget_client(struct containers *cs, const struct client *client);
