/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/waiter.h"

#include "supervisor/client.h"
#include "supervisor/image-routes.h"
#include "supervisor/instance.h"

int waiter_new(struct instance *in, struct client *client, uint32_t id, enum method method) {
        struct waiter *waiter = calloc(1, sizeof(*waiter));

        if (!waiter)
                return -ENOMEM;
        *waiter = (struct waiter){ .instance = in, .client = client, .id = id, .method = method };
        LIST_INSERT_HEAD(&in->waiters, waiter, of_instance);
        LIST_INSERT_HEAD(&client->waiters, waiter, of_client);
        return 0;
}

struct waiter *waiter_free(struct waiter *waiter) {
        if (!waiter)
                return NULL;
        LIST_REMOVE(waiter, of_instance);
        LIST_REMOVE(waiter, of_client);
        free(waiter);
        return NULL;
}

static void answer_run(struct waiter *waiter, bool is_over) {
        const struct instance *in = waiter->instance;
        struct error err = {};

        if (!is_over) {
                client_reply(waiter->client, waiter->id, METHOD_INSTANCE_RUN,
                             &(struct rep_instance_run){ .id = in->id,
                                                         .name = in->name,
                                                         .note = in->note[0] ? in->note : NULL });
                return;
        }
        if (in->outcome.cause == CAUSE_FAILED)
                err = in->outcome.error;
        else
                error_set(&err, ERROR_UNAVAILABLE, -ECANCELED,
                          "instance '%s' was stopped before it ran", in->name);
        client_error(waiter->client, waiter->id, &err, NULL, in->outcome.detail);
}

static void answer(struct waiter *waiter, bool is_over) {
        if (waiter->method == METHOD_INSTANCE_RUN)
                answer_run(waiter, is_over);
        else if (waiter->method == METHOD_IMAGE_INSPECT)
                image_inspect_answer(waiter->client, waiter->id, waiter->instance);
        else
                client_reply(waiter->client, waiter->id, waiter->method, NULL);
        waiter_free(waiter);
}

void waiters_on_running(struct instance *in) {
        struct waiter *waiter, *next;

        for (waiter = LIST_FIRST(&in->waiters); waiter; waiter = next) {
                next = LIST_NEXT(waiter, of_instance);
                if (waiter->method != METHOD_INSTANCE_STOP)
                        answer(waiter, false);
        }
}

void waiters_on_end(struct instance *in) {
        struct waiter *waiter;

        while ((waiter = LIST_FIRST(&in->waiters)))
                answer(waiter, true);
}
