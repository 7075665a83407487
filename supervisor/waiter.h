/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is answered later: when its instance runs, or is over. It goes with the client or
 * the instance. */
#pragma once

#include <sys/queue.h>

#include "ipc/methods.h"

struct client;
struct instance;

struct waiter {
        LIST_ENTRY(waiter) of_instance;
        LIST_ENTRY(waiter) of_client;
        struct instance *instance;
        struct client *client;
        uint32_t id; /* of the request */
        enum method method;
};

int waiter_new(struct instance *in, struct client *client, uint32_t id, enum method method);
struct waiter *waiter_free(struct waiter *waiter);

/* Answers whoever waits for this moment. */
void waiters_on_running(struct instance *in);
void waiters_on_end(struct instance *in);
