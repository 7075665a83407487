/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessagePack-RPC over a stream socket, both ends: cuts a byte stream into messages (structurally
 * scanned, bounded), and frames outgoing ones. [0,id,method,params map] [1,id,error|nil,result map]
 * [2,name,params array]. Error = map {code, message, hint, detail}.
 */
#pragma once

#include "ipc/methods.h"

enum rpc_kind { RPC_REQUEST, RPC_RESPONSE, RPC_NOTIFICATION };

struct rpc_message {
        enum rpc_kind kind;
        uint32_t id;         /* request, response */
        struct bytes method; /* request, notification */
        struct bytes error;  /* response: encoded map, empty = none */
        struct bytes params; /* request: map; notification: array; response: result map. Writable
                                frame bytes. */
        size_t size;         /* of the whole message in the buffer */
};

/* Looks for one message at the start of data. 1 = found (ret), 0 = needs more bytes,
 * -EBADMSG/-E2BIG/-EFBIG = never valid: close the peer. max = LIMIT_CLIENT_FRAME_MAX or the
 * caller's own bound. */
int rpc_next(uint8_t *data, size_t len, size_t max, struct rpc_message *ret);

int rpc_put_request(struct buf *out, uint32_t id, enum method method, const void *request);
int rpc_put_reply(struct buf *out, uint32_t id, enum method method, const void *reply);
int rpc_put_error(struct buf *out, uint32_t id, const struct error *err, const char *hint,
                  const char *detail);

/* Header of an "events" notification up to and including the bin header of `length` bytes of rows,
 * which follow. */
int rpc_put_events_header(struct buf *out, uint32_t stream, uint32_t source, uint32_t flags,
                          uint64_t first_seq, uint64_t lost, uint32_t length);

/* Decoded error map; strings live in the frame. */
struct rpc_error {
        const char *code;
        const char *message;
        const char *hint;
        const char *detail;
};
extern const struct record rpc_error_record;
