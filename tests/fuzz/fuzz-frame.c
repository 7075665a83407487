/* SPDX-License-Identifier: Apache-2.0 */
/* A client's byte stream as gadgetd takes it, and gadgetd's as a client does: cut into messages,
 * decoded by their tables. */
#include "ipc/mp.h"
#include "ipc/rpc.h"
#include "tests/fuzz/fuzz.h"

union any_struct {
        union request request;
        struct rep_hello hello;
        struct rep_instance_run instance_run;
        struct rep_instance_attach instance_attach;
        struct rep_describe describe;
        struct rep_list list;
        struct rep_object object;
        struct rep_image image;
        struct rpc_error error;
};

static bool is_inside(struct bytes b, const uint8_t *frame, size_t n) {
        return b.len == 0 || (b.data >= frame && b.data + b.len <= frame + n);
}

/* What decodes encodes again: a table never lets in what it would not send. */
static void decode(const struct record *record, struct bytes b) {
        cleanup_buf struct buf out = BUF_INIT(64 << 20);
        struct error err = { 0 };
        union any_struct object;

        MUST(record->size <= sizeof(object));
        if (record_decode(record, (uint8_t *)b.data, b.len, RECORD_LENIENT, &object, &err) < 0)
                MUST(err.code != ERROR_NONE && err.msg[0] != '\0');
        else
                MUST(record_encode(record, &object, &out) == 0);
}

static void on_request(const struct rpc_message *message) {
        enum method method = method_from_name(message->method);

        if (method < _METHOD_MAX)
                decode(&methods[method].request, message->params);
}

/* A client knows what it asked; here the id says. */
static void on_response(const struct rpc_message *message) {
        if (message->error.len > 0)
                decode(&rpc_error_record, message->error);
        else
                decode(&methods[message->id % _METHOD_MAX].reply, message->params);
}

static void on_notification(const struct rpc_message *message) {
        struct mp_reader reader = mp_reader_of(message->params);
        struct mp_value value;
        uint32_t n;

        MUST(mp_read_array(&reader, &n) == 0);
        while (n-- > 0)
                MUST(mp_skip(&reader) == 0);
        MUST(reader.pos == reader.end);
        MUST(mp_read(&reader, &value) == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t *copy = malloc(size > 0 ? size : 1), *at = copy;
        size_t left = size;
        struct rpc_message message;

        MUST(copy);
        if (size > 0)
                memcpy(copy, data, size);
        while (rpc_next(at, left, 1 << 20, &message) == 1) {
                MUST(message.size > 0 && message.size <= left);
                MUST(is_inside(message.method, at, message.size));
                MUST(is_inside(message.params, at, message.size));
                MUST(is_inside(message.error, at, message.size));
                switch (message.kind) {
                case RPC_REQUEST:
                        on_request(&message);
                        break;
                case RPC_RESPONSE:
                        on_response(&message);
                        break;
                case RPC_NOTIFICATION:
                        on_notification(&message);
                        break;
                }
                at += message.size;
                left -= message.size;
        }
        free(copy);
        return 0;
}
