/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/peer.h"

#include <stdio.h>
#include <sys/socket.h>

#include "gadget/api.h"
#include "ipc/mp.h"
#include "tests/lib/needs.h"
#include "tests/lib/wait.h"

#define READ_SIZE (256 << 10)

struct peer *peer_free(struct peer *peer) {
        if (!peer)
                return NULL;
        close_fd(&peer->fd);
        free(peer->data);
        free(peer->message);
        free(peer);
        return NULL;
}

int peer_send(struct peer *peer, const void *data, size_t n) {
        const uint8_t *at = data;

        while (n > 0) {
                ssize_t sent = send(peer->fd, at, n, MSG_NOSIGNAL);

                if (sent < 0)
                        return -errno;
                at += sent;
                n -= (size_t)sent;
        }
        return 0;
}

/* --- notifications --- */

static uint64_t read_uint(struct mp_reader *r) {
        uint64_t value;

        assert_int_equal(mp_read_uint(r, &value), 0);
        return value;
}

static void on_events(struct peer *peer, struct mp_reader *r) {
        uint64_t source, first_seq, lost, n = 0;
        struct mp_reader rows;
        struct bytes bin;

        read_uint(r); /* stream */
        source = read_uint(r);
        read_uint(r); /* flags */
        first_seq = read_uint(r);
        lost = read_uint(r);
        assert_int_equal(mp_read_bin(r, &bin), 0);
        for (rows = mp_reader_of(bin); rows.pos < rows.end; n++)
                assert_int_equal(mp_skip(&rows), 0);
        peer->n_rows += n;
        peer->n_lost += lost;
        if (source != 0)
                return;
        if (peer->next_seq + lost != first_seq)
                peer->has_gap = true;
        peer->next_seq = first_seq + n;
}

static void read_dropped(struct peer_ledger *ledger, struct mp_reader *r) {
        uint32_t n;

        assert_int_equal(mp_read_map(r, &n), 0);
        for (; n > 0; n--) {
                struct bytes reason;
                uint64_t value;

                assert_int_equal(mp_read_str(r, &reason), 0);
                value = read_uint(r);
                ledger->dropped += value;
                if (bytes_eq(reason, "kernel-full"))
                        ledger->dropped_kernel_full = value;
        }
}

static void read_ledger(struct peer_ledger *ledger, struct mp_reader *r) {
        uint32_t n;

        assert_int_equal(mp_read_map(r, &n), 0);
        for (; n > 0; n--) {
                struct bytes key;

                assert_int_equal(mp_read_str(r, &key), 0);
                if (bytes_eq(key, "rows"))
                        ledger->rows = read_uint(r);
                else if (bytes_eq(key, "skipped"))
                        ledger->skipped = read_uint(r);
                else if (bytes_eq(key, "delivered"))
                        ledger->delivered = read_uint(r);
                else if (bytes_eq(key, "lost"))
                        ledger->lost = read_uint(r);
                else if (bytes_eq(key, "dropped"))
                        read_dropped(ledger, r);
                else
                        assert_int_equal(mp_skip(r), 0);
        }
}

static void read_text(struct mp_reader *r, char *out, size_t n) {
        struct bytes text;

        assert_int_equal(mp_read_str(r, &text), 0);
        snprintf(out, n, "%.*s", (int)text.len, (const char *)text.data);
}

static void on_done(struct peer *peer, struct mp_reader *r) {
        char detail[64];
        uint32_t n;

        read_uint(r); /* stream */
        read_text(r, peer->cause, sizeof(peer->cause));
        read_text(r, peer->done_message, sizeof(peer->done_message));
        read_text(r, detail, sizeof(detail));
        assert_int_equal(mp_read_array(r, &n), 0);
        if (n > 0)
                read_ledger(&peer->ledger, r);
        peer->is_done = true;
}

static void on_notification(struct peer *peer, const struct rpc_message *msg) {
        struct mp_reader r = mp_reader_of(msg->params);
        uint32_t n;

        assert_int_equal(mp_read_array(&r, &n), 0);
        if (bytes_eq(msg->method, "events"))
                on_events(peer, &r);
        else if (bytes_eq(msg->method, "done"))
                on_done(peer, &r);
}

/* --- messages --- */

/* Moves one whole message from the received bytes to peer->message. False when none is there. */
static bool take_message(struct peer *peer, struct rpc_message *ret) {
        int r;

        if (peer->len == 0)
                return false;
        r = rpc_next(peer->data, peer->len, LIMIT_CLIENT_FRAME_MAX, ret);
        assert_true(r >= 0);
        if (r == 0)
                return false;
        free(peer->message);
        peer->message = malloc(ret->size);
        assert_non_null(peer->message);
        memcpy(peer->message, peer->data, ret->size);
        memmove(peer->data, peer->data + ret->size, peer->len - ret->size);
        peer->len -= ret->size;
        assert_int_equal(rpc_next(peer->message, ret->size, LIMIT_CLIENT_FRAME_MAX, ret), 1);
        return true;
}

/* 0, -ETIMEDOUT, or -EPIPE when the other side has closed. */
static int receive(struct peer *peer, uint64_t timeout_ns) {
        ssize_t n;
        int r;

        r = wait_readable(peer->fd, timeout_ns);
        if (r < 0)
                return r;
        if (peer->cap - peer->len < READ_SIZE) {
                peer->cap = peer->len + READ_SIZE;
                peer->data = realloc(peer->data, peer->cap);
                assert_non_null(peer->data);
        }
        n = recv(peer->fd, peer->data + peer->len, READ_SIZE, 0);
        if (n <= 0)
                return -EPIPE;
        peer->len += (size_t)n;
        return 0;
}

/* Waits for the answer `id`. */
static int wait_response(struct peer *peer, uint32_t id, struct rpc_message *ret) {
        uint64_t deadline = now_ns() + WAIT_DEFAULT;
        int r;

        for (;;) {
                while (take_message(peer, ret)) {
                        if (ret->kind == RPC_RESPONSE) {
                                assert_int_equal(ret->id, id);
                                return 0;
                        }
                        on_notification(peer, ret);
                }
                if (now_ns() > deadline)
                        return -ETIMEDOUT;
                r = receive(peer, NSEC_PER_SEC);
                if (r < 0 && r != -ETIMEDOUT)
                        return r;
        }
}

int peer_call(struct peer *peer, enum method method, const void *request, void *reply,
              struct rpc_error *ret_error) {
        cleanup_buf struct buf out = BUF_INIT(LIMIT_CLIENT_FRAME_MAX);
        uint32_t id = peer->next_id++;
        struct rpc_message msg;
        struct error err = { 0 };
        int r;

        assert_int_equal(rpc_put_request(&out, id, method, request), 0);
        r = peer_send(peer, out.data, out.len);
        if (r < 0)
                return r;
        r = wait_response(peer, id, &msg);
        if (r < 0)
                return r;
        if (msg.error.len > 0) {
                struct rpc_error error;

                r = record_decode(&rpc_error_record, (uint8_t *)msg.error.data, msg.error.len,
                                  RECORD_LENIENT, &error, &err);
                if (r < 0)
                        fail_msg("error of %s: %s", methods[method].name, error_text(&err));
                if (ret_error)
                        *ret_error = error;
                return -EREMOTEIO;
        }
        if (!reply)
                return 0;
        r = record_decode(&methods[method].reply, (uint8_t *)msg.params.data, msg.params.len,
                          RECORD_STRICT, reply, &err);
        if (r < 0)
                fail_msg("reply of %s: %s", methods[method].name, error_text(&err));
        return 0;
}

struct peer *peer_new(int take_fd) {
        struct peer *peer = calloc(1, sizeof(*peer));
        struct rep_hello reply;

        assert_non_null(peer);
        peer->fd = take_fd;
        assert_true(take_fd >= 0);
        peer->next_id = 1;
        assert_int_equal(
                peer_call(peer, METHOD_HELLO,
                          &(struct req_hello){ .protocol = GADGET_PROTOCOL, .client = "test" },
                          &reply, NULL),
                0);
        assert_int_equal(reply.protocol, GADGET_PROTOCOL);
        return peer;
}

bool peer_wait_done(struct peer *peer, uint64_t timeout_ns) {
        uint64_t now = now_ns(), deadline = now + timeout_ns;
        struct rpc_message msg;
        int r;

        for (;;) {
                while (!peer->is_done && take_message(peer, &msg))
                        if (msg.kind == RPC_NOTIFICATION)
                                on_notification(peer, &msg);
                if (peer->is_done)
                        return true;
                now = now_ns();
                r = receive(peer, deadline > now ? MIN(deadline - now, NSEC_PER_SEC / 10) : 0);
                if (r == -EPIPE || (r == -ETIMEDOUT && now >= deadline))
                        return false;
        }
}

bool peer_wait_closed(struct peer *peer, uint64_t timeout_ns) {
        uint64_t deadline = now_ns() + timeout_ns;
        int r;

        do {
                r = receive(peer, NSEC_PER_SEC / 10);
                peer->len = 0;
        } while (r != -EPIPE && now_ns() < deadline);
        return r == -EPIPE;
}
