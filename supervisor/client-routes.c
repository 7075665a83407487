/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/client-routes.h"

#include <assert.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/client.h"
#include "supervisor/instance.h"
#include "supervisor/pack.h"
#include "supervisor/supervisor.h"
#include "supervisor/waiter.h"

int call_reply(struct call *call, const void *reply) {
        assert(!call->is_answered);
        call->is_answered = true;
        client_reply(call->client, call->id, call->method, reply);
        return 0;
}

int call_wait(struct call *call, struct instance *in) {
        int r;

        assert(!call->is_answered);
        r = waiter_new(in, call->client, call->id, call->method);
        if (r < 0)
                return r;
        call->is_answered = true;
        return 0;
}

/* --- the daemon itself --- */

static int on_hello(struct call *call, const union request *request, struct error *err) {
        const struct req_hello *hello = &request->hello;
        struct supervisor *sup = call->client->sup;

        if (hello->protocol < GADGET_PROTOCOL_MIN)
                return error_set(
                        err, ERROR_INVALID, -EPROTONOSUPPORT,
                        "protocol %u is too old: gadgetd %s speaks %d to %d; update the client",
                        hello->protocol, GADGET_VERSION, GADGET_PROTOCOL_MIN, GADGET_PROTOCOL);
        call->client->has_said_hello = true;
        return call_reply(call, &(struct rep_hello){
                                        .protocol = MIN(hello->protocol, (uint32_t)GADGET_PROTOCOL),
                                        .server = "gadgetd",
                                        .version = GADGET_VERSION,
                                        .is_private = sup->options.is_private,
                                });
}

static void pack_fields(const struct record *record, struct buf *out) {
        struct pack array = pack_array(out);

        for (uint32_t i = 0; i < record->n_fields; i++) {
                const struct field *field = &record->fields[i];
                struct pack map;

                pack_item(&array);
                map = pack_map(out);
                pack_map_str(&map, "name", field->name);
                pack_map_str(&map, "type", field_type_name(field->type));
                pack_map_bool(&map, "required", field->flags & FIELD_REQUIRED);
                pack_map_uint(&map, "max", field->max);
                pack_map_str(&map, "doc", field->doc);
                pack_end(&map);
        }
        pack_end(&array);
}

static int on_describe(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(LIMIT_CLIENT_BUFFER_MAX);
        struct pack array = pack_array(&out);

        (void)request;
        (void)err;
        for (size_t i = 0; i < _METHOD_MAX; i++) {
                struct pack map;

                pack_item(&array);
                map = pack_map(&out);
                pack_map_str(&map, "name", methods[i].name);
                pack_map_str(&map, "doc", methods[i].doc);
                pack_key(&map, "request");
                pack_fields(&methods[i].request, &out);
                pack_key(&map, "reply");
                pack_fields(&methods[i].reply, &out);
                pack_end(&map);
        }
        pack_end(&array);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_describe){ .methods = { out.data, out.len } });
}

static uint64_t read_rss(void) {
        cleanup_buf struct buf text = BUF_INIT(256);
        unsigned long long size, resident;

        if (read_file_at(-1, "/proc/self/statm", &text) < 0 || buf_append(&text, "", 1) < 0)
                return 0;
        if (sscanf((char *)text.data, "%llu %llu", &size, &resident) != 2)
                return 0;
        return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void pack_loop(const struct loop *loop, struct buf *out) {
        struct pack array = pack_array(out);
        const struct loop_stat *stats;
        size_t n = loop_stats(loop, &stats);

        for (size_t i = 0; i < n; i++) {
                struct pack map;

                pack_item(&array);
                map = pack_map(out);
                pack_map_str(&map, "name", stats[i].name);
                pack_map_uint(&map, "calls", stats[i].calls);
                pack_map_uint(&map, "ns", stats[i].ns);
                pack_end(&map);
        }
        pack_end(&array);
}

static int on_stats(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(LIMIT_CLIENT_BUFFER_MAX);
        const struct supervisor *sup = call->client->sup;
        struct pack map = pack_map(&out);

        (void)request;
        (void)err;
        pack_map_uint(&map, "instances", sup->n_instances);
        pack_map_uint(&map, "clients", sup->n_clients);
        pack_map_uint(&map, "spare_pid", (uint64_t)spare_pid(sup));
        pack_map_uint(&map, "rss", read_rss());
        pack_key(&map, "loop");
        pack_loop(sup->loop, &out);
        pack_end(&map);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_object){ .object = { out.data, out.len } });
}

/* --- the table --- */

/* A method without a row is refused to everybody. */
static const struct client_route {
        enum client_right right;
        call_func handler;
} routes[_METHOD_MAX] = {
        [METHOD_HELLO] = { RIGHT_NONE, on_hello },
        [METHOD_DESCRIBE] = { RIGHT_NONE, on_describe },
        [METHOD_INSTANCE_RUN] = { RIGHT_ADMIN, on_instance_run },
        [METHOD_INSTANCE_ATTACH] = { RIGHT_ADMIN, on_instance_attach },
        [METHOD_INSTANCE_DETACH] = { RIGHT_ADMIN, on_instance_detach },
        [METHOD_INSTANCE_LIST] = { RIGHT_VIEW, on_instance_list },
        [METHOD_INSTANCE_SHOW] = { RIGHT_ADMIN, on_instance_show },
        [METHOD_INSTANCE_STOP] = { RIGHT_ADMIN, on_instance_stop },
        [METHOD_CONTAINER_LIST] = { RIGHT_VIEW, on_container_list },
        [METHOD_IMAGE_LIST] = { RIGHT_VIEW, on_image_list },
        [METHOD_IMAGE_INSPECT] = { RIGHT_ADMIN, on_image_inspect },
        [METHOD_IMAGE_TAG] = { RIGHT_ADMIN, on_image_tag },
        [METHOD_IMAGE_REMOVE] = { RIGHT_ADMIN, on_image_remove },
        [METHOD_IMAGE_BUILD] = { RIGHT_ADMIN, on_image_build },
        [METHOD_IMAGE_RESOLVE] = { RIGHT_ADMIN, on_image_resolve },
        [METHOD_IMAGE_PULL] = { RIGHT_ADMIN, on_image_pull },
        [METHOD_IMAGE_PUSH] = { RIGHT_ADMIN, on_image_push },
        [METHOD_IMAGE_PRUNE] = { RIGHT_ADMIN, on_image_prune },
        [METHOD_IMAGE_FSCK] = { RIGHT_ADMIN, on_image_fsck },
        [METHOD_IMAGE_EXPORT] = { RIGHT_ADMIN, on_image_export },
        [METHOD_IMAGE_READ] = { RIGHT_ADMIN, on_image_read },
        [METHOD_IMAGE_WRITE] = { RIGHT_ADMIN, on_image_write },
        [METHOD_IMAGE_IMPORT] = { RIGHT_ADMIN, on_image_import },
        [METHOD_IMAGE_SIGN] = { RIGHT_ADMIN, on_image_sign },
        [METHOD_IMAGE_SIGNATURES] = { RIGHT_ADMIN, on_image_signatures },
        [METHOD_POLICY_SHOW] = { RIGHT_ADMIN, on_policy_show },
        [METHOD_POLICY_CHECK] = { RIGHT_ADMIN, on_policy_check },
        [METHOD_DAEMON_STATS] = { RIGHT_ADMIN, on_stats },
};

static int admit(const struct client *client, enum method method, struct error *err) {
        const struct client_route *route = &routes[method];

        if (!client->has_said_hello && method != METHOD_HELLO)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the first call of a connection is hello, not %s",
                                 methods[method].name);
        if (client->right < (route->handler ? route->right : RIGHT_ADMIN))
                return error_set(err, ERROR_DENIED, -EACCES, "uid %u may not call %s: %s",
                                 client->uid, methods[method].name,
                                 route->right == RIGHT_VIEW
                                         ? "only root and members of the group 'gadgetd' may"
                                         : "only root may");
        if (!route->handler)
                return error_set(err, ERROR_UNAVAILABLE, -EOPNOTSUPP,
                                 "this gadgetd does not offer %s", methods[method].name);
        return 0;
}

static int dispatch(struct call *call, const struct rpc_message *message, struct error *err) {
        union request request;
        int r;

        if (call->method == _METHOD_MAX)
                return error_set(err, ERROR_INVALID, -EOPNOTSUPP,
                                 "there is no method '%.*s' (api.describe lists them)",
                                 (int)MIN(message->method.len, (size_t)64),
                                 (const char *)message->method.data);
        r = admit(call->client, call->method, err);
        if (r < 0)
                return r;
        /* The frame is ours: rpc_next() pointed into our own buffer, and decoding works in place.
         */
        r = record_decode(&methods[call->method].request, (uint8_t *)message->params.data,
                          message->params.len, RECORD_LENIENT, &request, err);
        if (r < 0)
                return error_prefix(err, r, "%s", methods[call->method].name);
        if (!routes[call->method].handler)
                return error_set(err, ERROR_INVALID, -EOPNOTSUPP, "%s is not there yet",
                                 methods[call->method].name);
        return routes[call->method].handler(call, &request, err);
}

void client_dispatch(struct client *client, const struct rpc_message *message) {
        struct call call = { .client = client,
                             .id = message->id,
                             .method = method_from_name(message->method) };
        struct error err = {};
        int r;

        r = dispatch(&call, message, &err);
        if (r < 0) {
                assert(!call.is_answered);
                if (err.code == ERROR_NONE)
                        error_set(&err, ERROR_INTERNAL, r, "%s", strerror(-r));
                client_error(client, call.id, &err, NULL, NULL);
                return;
        }
        assert(call.is_answered);
}
