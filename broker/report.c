/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker says of itself: ready, at fault, done; and what the broker adds to it from its
 * own knowledge. Everything that a worker words is escaped before it goes up.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "broker/broker.h"

/* The program's permissions into the gadget's. */
static void merge(struct permissions *all, const struct permissions *one) {
        for (size_t i = 0; i < ARRAY_SIZE(all->helpers); i++)
                all->helpers[i] |= one->helpers[i];
        for (uint32_t i = 0; i < one->n_kfuncs; i++) {
                uint32_t j = 0;

                while (j < all->n_kfuncs && all->kfuncs[j] != one->kfuncs[i])
                        j++;
                if (j == all->n_kfuncs && j < KFUNCS_MAX)
                        all->kfuncs[all->n_kfuncs++] = one->kfuncs[i];
        }
        all->prog_types |= one->prog_types;
        all->n_programs += one->n_programs;
        all->n_insns += one->n_insns;
}

/* Only what lives now: libbpf's questions to the kernel are programs and maps too, and are closed
 * by now. */
static int encode_permissions(const struct broker *b, struct buf *out) {
        cleanup_free struct permissions *all = calloc(1, sizeof(*all));
        const char *hooks[HOOKS_MAX];
        size_t n_hooks = 0;

        if (!all)
                return -ENOMEM;
        for (size_t i = 0; i < b->objects.n; i++) {
                const struct object *object = &b->objects.table[i];

                if (object->kind == OBJECT_PROG)
                        merge(all, object->prog.permissions);
                if (object->kind == OBJECT_MAP)
                        permissions_add_map(all, object->map.type, object->map.bytes);
                if (object->hook && n_hooks < HOOKS_MAX)
                        hooks[n_hooks++] = object->hook;
        }
        for (size_t i = 0; i < b->n_declared_hooks && n_hooks < HOOKS_MAX; i++)
                hooks[n_hooks++] = b->declared_hooks[i];
        return permissions_encode(all, hooks, n_hooks, out);
}

/* What it will not see, because of where gadgetd runs. */
static const char *describe_pids(const struct broker *b, char *buf, size_t n) {
        bool shows_processes = false;

        for (size_t i = 0; i < b->objects.n; i++)
                shows_processes |= b->objects.table[i].shows_processes;
        if (!b->has_own_pids || (!shows_processes && !b->has_stacks))
                return NULL;
        snprintf(buf, n, "gadgetd runs in a pid namespace of its own, not in the host's:%s%s%s",
                 shows_processes ? " only processes of that namespace are listed" : "",
                 shows_processes && b->has_stacks ? ", and" : "",
                 b->has_stacks ? " addresses of programs get no names" : "");
        return buf;
}

int on_ready(struct broker *b, const struct request *request, struct reply *reply,
             struct error *err) {
        cleanup_buf struct buf permissions = BUF_INIT(LIMIT_FRAME_MAX / 2);
        char note[256];
        struct msg_ready msg = { .schema = BYTES(request->payload, request->payload_len),
                                 .note = describe_pids(b, note, sizeof(note)) };
        int r;

        r = encode_permissions(b, &permissions);
        if (r < 0)
                return error_set(err, ERROR_LIMIT, r,
                                 "what the gadget's programs may do does not fit a message");
        msg.permissions = BYTES(permissions.data, permissions.len);
        r = channel_send(b->gadgetd, MSG_READY, &msg, NULL, 0);
        if (r < 0)
                return error_set(err, ERROR_LIMIT, r,
                                 "the schema of %zu bytes does not fit a message",
                                 request->payload_len);
        broker_is_ready(b);
        shared_offer(b);
        return 0;
}

int on_hook(struct broker *b, const struct request *request, struct reply *reply,
            struct error *err) {
        cleanup_buf struct buf text = BUF_INIT(4096);
        char **grown;

        if (!b->inspect)
                return error_set(
                        err, ERROR_INVALID, -EPROTO,
                        "the worker names a hook although the gadget is not only inspected");
        if (b->n_declared_hooks == HOOKS_MAX)
                return 0;
        text_append_escaped(&text, request->payload, request->payload_len);
        buf_append(&text, "", 1);
        grown = reallocarray(b->declared_hooks, b->n_declared_hooks + 1, sizeof(*grown));
        if (!grown || text.failed)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory for a hook's name");
        b->declared_hooks = grown;
        grown[b->n_declared_hooks] = strdup((const char *)text.data);
        if (grown[b->n_declared_hooks])
                b->n_declared_hooks++;
        return 0;
}

/* Lines stay lines; everything else that a terminal would obey is written out. */
static void escape_lines(struct buf *out, const uint8_t *text, size_t n) {
        while (n > 0) {
                const uint8_t *end = memchr(text, '\n', n);
                size_t line = end ? (size_t)(end - text) : n;

                text_append_escaped(out, text, line);
                if (!end)
                        return;
                buf_append(out, "\n", 1);
                text += line + 1;
                n -= line + 1;
        }
}

struct bytes broker_text_end(struct bytes text, size_t max) {
        while (text.len > max || (text.len > 0 && (text.data[0] & 0xc0) == 0x80)) {
                text.data++;
                text.len--;
        }
        return text;
}

int on_fault(struct broker *b, const struct request *request, struct reply *reply,
             struct error *err) {
        const struct broker_fault *fault = request->body;
        cleanup_buf struct buf message = BUF_INIT(sizeof(err->msg));
        cleanup_buf struct buf detail = BUF_INIT(10 * (size_t)LIMIT_ERROR_DETAIL_MAX);
        struct error said = { 0 };
        struct bytes end;

        if (fault->code == ERROR_NONE || fault->code >= _ERROR_CODE_MAX ||
            fault->message_len > request->payload_len || fault->message_len > sizeof(said.msg))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'fault' is malformed");
        text_append_escaped(&message, request->payload, fault->message_len);
        escape_lines(&detail, request->payload + fault->message_len,
                     request->payload_len - fault->message_len);
        buf_append(&detail, "", 1);
        /* An escape that did not fit leaves what came before it. */
        error_set(&said, (enum error_code)fault->code, -EIO, "%.*s", (int)message.len,
                  (const char *)(message.data ?: (uint8_t *)""));
        end = broker_text_end(BYTES(detail.data, detail.len), LIMIT_ERROR_DETAIL_MAX);
        broker_fault(b, &said, detail.failed ? NULL : (const char *)end.data);
        return 0;
}

int on_done(struct broker *b, const struct request *request, struct reply *reply,
            struct error *err) {
        b->is_done = true;
        return 0;
}
