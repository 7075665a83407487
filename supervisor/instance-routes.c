/* SPDX-License-Identifier: Apache-2.0 */
/* The methods instance.*. */
#include "supervisor/client-routes.h"

#include "base/log.h"
#include "supervisor/client.h"
#include "supervisor/instance.h"
#include "supervisor/pack.h"
#include "supervisor/privs.h"
#include "supervisor/stream.h"
#include "supervisor/supervisor.h"

#define EMPTY_MAP BYTES("\x80", 1)

/* --- run --- */

/* A map of at most LIMIT_PARAMS_MAX texts to texts, that fits into MSG_START. */
static int check_params(struct bytes params, struct error *err) {
        struct mp_reader reader = mp_reader_of(params);
        uint32_t n;

        if (mp_read_map(&reader, &n) < 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "instance.run: 'params' is not a map");
        if (n > LIMIT_PARAMS_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "instance.run: more than %d parameters",
                                 LIMIT_PARAMS_MAX);
        for (uint32_t i = 0; i < n; i++) {
                struct bytes key, value;

                if (mp_read_str(&reader, &key) < 0 || mp_read_str(&reader, &value) < 0)
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "instance.run: keys and values of 'params' are strings");
                if (key.len > LIMIT_PARAM_KEY_MAX)
                        return error_set(
                                err, ERROR_LIMIT, -E2BIG,
                                "instance.run: the key of a parameter has more than %d bytes",
                                LIMIT_PARAM_KEY_MAX);
                if (value.len > LIMIT_PARAM_VALUE_MAX)
                        return error_set(err, ERROR_LIMIT, -E2BIG,
                                         "parameter '%.*s' has more than %d bytes", (int)key.len,
                                         (const char *)key.data, LIMIT_PARAM_VALUE_MAX);
        }
        if (params.len > LIMIT_FRAME_MAX / 2)
                return error_set(err, ERROR_LIMIT, -E2BIG,
                                 "the parameters have more than %d bytes together",
                                 LIMIT_FRAME_MAX / 2);
        return 0;
}

int on_instance_run(struct call *call, const union request *request, struct error *err) {
        const struct req_instance_run *run = &request->instance_run;
        struct supervisor *sup = call->client->sup;
        struct instance_spec spec = {
                .image = run->image,
                .object = run->object,
                .definition = run->definition,
                .definition_name = run->definition_name,
                .params = run->params.len > 0 ? run->params : EMPTY_MAP,
                .name = run->name,
                .owner = run->detach ? NULL : call->client,
                .timeout_ns = run->timeout_ns,
                .ring_size = run->ring_size,
                .allow_unsafe = run->allow_unsafe,
                .allow_unsigned = run->allow_unsigned,
                .is_host_wide = run->host,
        };
        struct instance *in;
        int r;

        if (!run->image && run->object.len == 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "instance.run: neither 'image' nor 'object' is given");
        if (run->definition.len > 0 && run->object.len == 0)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "instance.run: a 'definition' without its 'object'");
        r = check_params(spec.params, err);
        if (r == 0)
                r = selection_init(&spec.selection, run, err);
        if (r < 0)
                return r;
        r = instance_new(sup, &spec, &in, err);
        selection_done(&spec.selection);
        if (r < 0)
                return r;
        r = call_wait(call, in);
        if (r < 0) {
                instance_free(in);
                return r;
        }
        log_info("instance %.12s: uid %u (pid %d) runs '%s' as '%s'", in->id, call->client->uid,
                 call->client->pid, in->image_name, in->name);
        return instance_event(in, EVENT_START);
}

/* --- attach, detach, stop --- */

int on_instance_attach(struct call *call, const union request *request, struct error *err) {
        const struct req_instance_attach *attach = &request->instance_attach;
        struct instance *in;
        struct stream *stream;
        int r;

        r = instance_find(call->client->sup, attach->instance, &in, err);
        if (r < 0)
                return r;
        r = stream_new(call->client, in, attach->tail, &stream, err);
        if (r < 0)
                return r;
        return call_reply(call, &(struct rep_instance_attach){
                                        .stream = stream->handle,
                                        .id = in->id,
                                        .name = in->name,
                                        .image = in->image_name,
                                        .replay = stream->replay,
                                        .schema = { in->schema.data, in->schema.len },
                                });
}

int on_instance_detach(struct call *call, const union request *request, struct error *err) {
        uint32_t handle = request->instance_detach.stream;
        struct stream *stream = stream_find(call->client, handle);

        if (!stream)
                return error_set(err, ERROR_NOT_FOUND, -ENOENT,
                                 "this connection has no attachment %u", handle);
        stream_free(stream);
        return call_reply(call, NULL);
}

int on_instance_stop(struct call *call, const union request *request, struct error *err) {
        struct instance *in;
        int r;

        r = instance_find(call->client->sup, request->instance_ref.instance, &in, err);
        if (r < 0)
                return r;
        log_info("instance %.12s: uid %u (pid %d) stops '%s'", in->id, call->client->uid,
                 call->client->pid, in->name);
        if (instance_state_is_final(in->state)) {
                instance_unlist(in);
                return call_reply(call, NULL);
        }
        r = call_wait(call, in);
        if (r < 0)
                return r;
        instance_stop(in, CAUSE_STOPPED);
        return 0;
}

/* --- list and show --- */

/* Of all data sources: rows made, and events that became none although nobody asked for that. */
static void pack_counters(const struct instance *in, struct pack *map) {
        uint64_t rows = 0, lost = 0;

        for (unsigned int source = 0; in->has_ring && source < LIMIT_STREAMS_MAX; source++) {
                struct event_ring_stream counters;

                ring_stream_counters(&in->ring, source, &counters);
                rows += counters.rows;
                for (enum drop_reason reason = 0; reason < _DROP_REASON_MAX; reason++)
                        if (reason != DROP_FILTERED && reason != DROP_LIMITED)
                                lost += counters.dropped[reason];
        }
        pack_map_uint(map, "rows", rows);
        pack_map_uint(map, "lost", lost);
}

static void pack_summary(const struct instance *in, struct pack *map) {
        const struct outcome *outcome = &in->outcome;
        const struct stream *stream;
        uint32_t n_streams = 0;

        LIST_FOREACH (stream, &in->streams, of_instance)
                n_streams++;
        pack_map_str(map, "id", in->id);
        pack_map_str(map, "name", in->name);
        pack_map_str(map, "image", in->image_name);
        pack_map_str(map, "digest", in->digest);
        pack_map_str(map, "state", instance_state_name(in->state));
        pack_map_bool(map, "detached", in->owner == NULL);
        pack_map_bool(map, "internal", in->is_internal);
        pack_map_str(map, "note", in->note);
        pack_map_uint(map, "created", in->created_ns);
        pack_map_uint(map, "ended", in->ended_ns);
        pack_map_uint(map, "attached", n_streams);
        pack_map_uint(map, "worker_pid", (uint64_t)in->broker->worker_pid);
        pack_counters(in, map);
        if (instance_state_is_final(in->state)) {
                pack_map_str(map, "cause", outcome_cause_name(outcome));
                pack_map_str(map, "message",
                             outcome->cause == CAUSE_FAILED ? error_text(&outcome->error) : "");
        }
}

int on_instance_list(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        struct pack array = pack_array(&out);
        const struct instance *in;

        (void)err;
        LIST_FOREACH (in, &call->client->sup->instances, link) {
                struct pack map;

                if (!in->is_listed || (in->is_internal && !request->instance_list.all))
                        continue;
                pack_item(&array);
                map = pack_map(&out);
                pack_summary(in, &map);
                pack_end(&map);
        }
        pack_end(&array);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_list){ .items = { out.data, out.len } });
}

/* {"source", "rows", "dropped"} each; who got how many is the business of an attachment's ledger.
 */
static void pack_ledgers(const struct instance *in, struct buf *out) {
        struct pack array = pack_array(out);

        for (unsigned int source = 0; in->has_ring && source < LIMIT_STREAMS_MAX; source++) {
                struct event_ring_stream counters;

                ring_stream_counters(&in->ring, source, &counters);
                if (ledger_is_empty(&counters))
                        continue;
                pack_item(&array);
                ledger_pack_counters(source, &counters, out);
        }
        pack_end(&array);
}

static void pack_param_names(const struct instance *in, struct buf *out) {
        struct mp_reader reader = mp_reader_of(BYTES(in->params, in->params_len));
        struct pack array = pack_array(out);
        struct bytes key, value;
        uint32_t n;

        if (mp_read_map(&reader, &n) < 0)
                n = 0;
        for (uint32_t i = 0; i < n; i++) {
                if (mp_read_str(&reader, &key) < 0 || mp_read_str(&reader, &value) < 0)
                        break;
                pack_item(&array);
                pack_str_n(out, key.data, key.len);
        }
        pack_end(&array);
}

int on_instance_show(struct call *call, const union request *request, struct error *err) {
        cleanup_buf struct buf out = BUF_INIT(CLIENT_REPLY_MAX);
        const struct req_instance_show *show = &request->instance_show;
        struct instance *in;
        struct pack map;
        int r;

        r = instance_find(call->client->sup, show->instance, &in, err);
        if (r < 0)
                return r;
        map = pack_map(&out);
        pack_summary(in, &map);
        pack_map_uint(&map, "broker_pid", (uint64_t)in->broker->pid);
        pack_map_uint(&map, "worker_uid", in->broker->worker_uid);
        pack_map_uint(&map, "ring_size", in->ring_size);
        pack_map_uint(&map, "timeout_ns", in->timeout_ns);
        pack_map_bool(&map, "allow_unsafe", in->allow_unsafe);
        pack_map_bool(&map, "host", in->is_host_wide);
        pack_map_str(&map, "detail", in->outcome.detail);
        pack_map_str(&map, "log", in->broker->log_tail);
        pack_key(&map, "params");
        pack_param_names(in, &out);
        pack_key(&map, "permissions");
        pack_raw(&out, in->permissions.len > 0 ? BYTES(in->permissions.data, in->permissions.len)
                                               : EMPTY_MAP);
        pack_key(&map, "ledgers");
        pack_ledgers(in, &out);
        if (show->privs) {
                pack_key(&map, "privs");
                privs_pack(in, &out);
        }
        pack_end(&map);
        if (out.failed)
                return buf_result(&out);
        return call_reply(call, &(struct rep_object){ .object = { out.data, out.len } });
}
