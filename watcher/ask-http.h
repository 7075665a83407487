/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over Unix sockets that somebody else has connected: gadget-ask can connect to nothing. Each
 * call takes one of them. A question has a deadline, a call a largest answer.
 */
#pragma once

#include <curl/curl.h>

#include "base/buf.h"

struct http {
        int *fds; /* -1 = used */
        size_t n_fds;
        int grpc_status; /* of the last call; -1 = it said nothing */
        uint64_t until_ns;
};

/* GET; the body of a 200. -ENOENT for a 404, -EFBIG, -ETIMEDOUT, -EPROTO. */
int http_get(struct http *http, const char *path, struct buf *ret);

/* gRPC over HTTP/2: the response message. `namespace` is containerd's, NULL = none. */
int http_call(struct http *http, const char *method, const char *namespace, struct bytes request,
              struct buf *ret);
