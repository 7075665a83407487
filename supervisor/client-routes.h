/* SPDX-License-Identifier: Apache-2.0 */
/* What clients may ask: one row a method, with the right it takes. Handlers are in *-routes.c, by
 * noun. */
#pragma once

#include "ipc/rpc.h"

struct client;

/* A request on its way through its handler, which answers it exactly once: now, or later by a
 * waiter. */
struct call {
        struct client *client;
        uint32_t id;
        enum method method;
        bool is_answered; /* or somebody waits */
};

/* Negative = refused, err says why (and that is the answer). */
typedef int (*call_func)(struct call *call, const union request *request, struct error *err);

void client_dispatch(struct client *client, const struct rpc_message *message);

/* Answers now. */
int call_reply(struct call *call, const void *reply);
/* Answers when the instance runs or ends. */
struct instance;
int call_wait(struct call *call, struct instance *in);

int on_instance_run(struct call *call, const union request *request, struct error *err);
int on_instance_attach(struct call *call, const union request *request, struct error *err);
int on_instance_detach(struct call *call, const union request *request, struct error *err);
int on_instance_list(struct call *call, const union request *request, struct error *err);
int on_instance_show(struct call *call, const union request *request, struct error *err);
int on_instance_stop(struct call *call, const union request *request, struct error *err);
int on_container_list(struct call *call, const union request *request, struct error *err);
int on_image_list(struct call *call, const union request *request, struct error *err);
int on_image_inspect(struct call *call, const union request *request, struct error *err);
int on_image_tag(struct call *call, const union request *request, struct error *err);
int on_image_remove(struct call *call, const union request *request, struct error *err);
int on_image_resolve(struct call *call, const union request *request, struct error *err);
int on_image_pull(struct call *call, const union request *request, struct error *err);
int on_image_push(struct call *call, const union request *request, struct error *err);
int on_image_prune(struct call *call, const union request *request, struct error *err);
int on_image_fsck(struct call *call, const union request *request, struct error *err);
int on_image_export(struct call *call, const union request *request, struct error *err);
int on_image_read(struct call *call, const union request *request, struct error *err);
int on_image_write(struct call *call, const union request *request, struct error *err);
int on_image_import(struct call *call, const union request *request, struct error *err);
int on_image_sign(struct call *call, const union request *request, struct error *err);
int on_image_signatures(struct call *call, const union request *request, struct error *err);
int on_policy_show(struct call *call, const union request *request, struct error *err);
int on_policy_check(struct call *call, const union request *request, struct error *err);
int on_image_build(struct call *call, const union request *request, struct error *err);
