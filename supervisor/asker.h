/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the APIs of container runtimes, one gadget-ask for each API that is needed. gadgetd
 * connects to the socket and hands it over with the question; it neither speaks to a runtime nor
 * reads what that says. One question at a time: a runtime that hangs holds up its own containers'
 * questions only, is asked again after a while, and less and less often.
 */
#pragma once

#include <sys/queue.h>
#include <sys/types.h>

#include "base/loop.h"
#include "ipc/channel.h"

struct containers;

struct inquiry {
        TAILQ_ENTRY(inquiry) link;
        uint64_t mntns;
        char *id;
        char *sandbox;
        char *namespace;
        char *path; /* of the socket */
        unsigned int n_tries;
};
TAILQ_HEAD(inquiry_list, inquiry);

struct asker {
        struct containers *containers;
        enum api api;
        pid_t pid; /* 0 = not started, or gone */
        int pidfd;
        int log_fd;
        struct loop_io log_io;
        struct channel *channel;
        struct inquiry_list inquiries;
        size_t n;
        uint32_t job;
        bool is_busy;            /* the first question has been sent */
        struct loop_timer timer; /* busy: its deadline; else: not before that */
        uint64_t delay_ns;
};

void askers_init(struct asker *askers, struct containers *containers);
void askers_done(struct asker *askers);

/* Which of the APIs knows more of this container than is known; _API_MAX = none. */
enum api asker_choose(const struct msg_container_added *info);

/* containers_on_answer() follows, unless the container goes before. False: it cannot be asked. */
bool asker_ask(struct asker *asker, const struct msg_container_added *info);

/* Nobody wants to know of this one any more. */
void askers_forget(struct asker *askers, uint64_t mntns);

/* True when this was one of them. */
bool askers_on_exit(struct asker *askers, pid_t pid);
