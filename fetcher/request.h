/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP exchange with the registry, seen through to a final answer: authentication once,
 * redirects by hand (never with credentials for another origin), retries with jitter on 429, 5xx
 * and broken connections honouring Retry-After, resumption of a cut download by Range. Bodies go
 * into an fd with a cap, or into a small buffer. A piece of an upload is sent once only (is_once):
 * nobody but the registry knows how much of it has arrived.
 */
#pragma once

#include "fetcher/session.h"

#define REQUEST_ATTEMPTS_MAX 8
#define REQUEST_STALLS_MAX 3        /* of the attempts, those that waited for a dead peer */
#define REQUEST_PROGRESS (1u << 20) /* after so many bytes attempts are counted anew */
#define REQUEST_REDIRECTS_MAX 5
#define REQUEST_SMALL_BODY_MAX (64u << 10)
#define REQUEST_HEADERS_MAX (64u << 10)

enum request_method { REQUEST_GET, REQUEST_HEAD, REQUEST_POST, REQUEST_PATCH, REQUEST_PUT };

struct request;
typedef void (*request_done_func)(struct request *request, int r, const struct error *err);

struct request {
        /* set by the owner before request_start() */
        struct session *session;
        enum request_method method;
        char *url;                /* owned by the request */
        const char *accept;       /* NULL = none */
        const char *content_type; /* of the body that is sent */
        int sink_fd;              /* -1: the body goes to `body` */
        uint64_t sink_offset;     /* bytes already there: resumed with Range */
        uint64_t sink_max;        /* more than this is an error */
        int source_fd;            /* body to send, -1 = none; */
        uint64_t source_offset;
        uint64_t source_length;
        bool is_once; /* no second attempt: the owner knows a better way to go on */
        void (*on_progress)(struct request *request);
        void (*on_prepare)(struct request *request); /* last options of the handle, each attempt */
        request_done_func on_done; /* once; may start the request again or free its owner */
        void *owner;

        /* result */
        long status;
        uint64_t received; /* bytes now in the sink */
        struct buf body;
        char response_type[128];
        char digest[160];    /* Docker-Content-Digest */
        char location[2048]; /* absolute */
        char range[64];
        bool is_transient;       /* failed, and another attempt may do better, */
        uint64_t retry_after_ns; /* but not before this (0 = not said) */

        /* private */
        CURL *easy;
        struct curl_slist *headers;
        struct loop_timer retry;
        struct request *token_request;
        struct origin target;
        uint64_t sent;
        size_t header_bytes;
        char *form;              /* of a token request, secret */
        char *first_url;         /* before redirects */
        uint64_t attempt_offset; /* bytes in the sink when the attempts were last counted from 0 */
        unsigned int n_attempts;
        unsigned int n_stalls;
        unsigned int n_redirects;
        bool has_authenticated;
        bool is_over_cap;
        char curl_error[CURL_ERROR_SIZE]; /* why an attempt failed, in curl's words */
        int io_error;
};

void request_init(struct request *request, struct session *session);
int request_start(struct request *request, struct error *err);
void request_done(struct request *request); /* idempotent; stops it if it runs */

/* To be called by the session's curl loop for each finished handle. */
void request_on_finished(CURL *easy, CURLcode result);
