/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gadgetd is told of a registry: the user's credentials, certificates and proxy, read here as
 * the user. And following a pull or push to its end, with bars on a terminal.
 */
#pragma once

#include "gadgetctl/credentials.h"
#include "gadgetctl/session.h"

struct registry_access {
        struct credentials credentials;
        struct buf ca;
        struct buf client_cert;
        struct buf client_key;
        char *proxy;
        char *no_proxy;
};
void registry_access_done(struct registry_access *access);
#define cleanup_registry_access cleanup(registry_access_done)

/* Everything for host, into request; access owns it. */
int registry_access_read(const struct args *args, const char *host, const char *path,
                         struct registry_access *access, struct req_image_transfer *request,
                         struct error *err);

/* Sends the request, shows progress, waits for the answer; reply as for connection_call(). */
int registry_transfer(struct session *session, const struct args *args, enum method method,
                      const struct req_image_transfer *request, void *reply, struct error *err);

/* Resolves, reads what it takes, pulls. is_implied: for `run`, which pulls only what is missing. */
int registry_pull(struct session *session, const struct args *args, const char *image,
                  bool only_missing, struct rep_image_pull *ret, struct error *err);
