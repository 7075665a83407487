/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one fetcher process knows: one registry, one repository, the user's credentials for it, and
 * the token it was given. Credentials came over the channel from gadgetd; they are sent to the
 * registry's own origin and to a token realm that origin_may_share_credentials() admits, and they
 * are never logged.
 */
#pragma once

#include "base/buf.h"
#include "base/curl-loop.h"
#include "fetcher/challenge.h"
#include "fetcher/origin.h"

#define TOKEN_MAX 8192

struct session {
        struct loop *loop;
        struct curl_loop *curl;
        char *base_url; /* "https://host:port" */
        struct origin origin;
        char *repository;
        char *username;
        char *password;
        char *identity_token;
        char *proxy;
        char *no_proxy;
        struct bytes ca;          /* PEM, borrowed from mappings that live as long as the process */
        struct bytes client_cert; /* PEM */
        struct bytes client_key;
        bool is_insecure; /* no verification of the server's certificate */
        bool is_push;
        bool has_refused;      /* an address that on_open_socket() does not reach, the last time */
        bool has_answered;     /* the registry said something, once */
        bool has_spoken_tls;   /* also when it or we did not like the certificate */
        bool use_basic;        /* the registry asked for Basic */
        char token[TOKEN_MAX]; /* Bearer, "" = none yet */
        char warning[256];     /* last Warning header that was passed on */
};

/* Common options of every handle: TLS, proxy, time-outs, protocols, address check. Owner frees the
 * handle. */
CURL *session_easy_new(struct session *session);

/* "Authorization: ..." for a request to `target`, or "" when nothing may be sent there. */
int session_authorization(const struct session *session, const struct origin *target,
                          struct buf *out);
