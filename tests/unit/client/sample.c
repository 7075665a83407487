/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/sample.h"

#include <assert.h>

#include "ipc/mp.h"

static uint8_t *room(struct buf *b, size_t n) {
        uint8_t *p = buf_reserve(b, n + MP_HEADER_MAX + MP_SCALAR_MAX);

        assert(p);
        return p;
}

static void took(struct buf *b, const uint8_t *end) {
        b->len = (size_t)(end - b->data);
}

void sample_array(struct buf *b, uint32_t n) {
        took(b, mp_put_array(room(b, 0), n));
}

void sample_map(struct buf *b, uint32_t n) {
        took(b, mp_put_map(room(b, 0), n));
}

void sample_uint(struct buf *b, uint64_t v) {
        took(b, mp_put_uint(room(b, 0), v));
}

void sample_int(struct buf *b, int64_t v) {
        took(b, mp_put_int(room(b, 0), v));
}

void sample_bool(struct buf *b, bool v) {
        took(b, mp_put_bool(room(b, 0), v));
}

void sample_nil(struct buf *b) {
        took(b, mp_put_nil(room(b, 0)));
}

void sample_double(struct buf *b, double v) {
        took(b, mp_put_double(room(b, 0), v));
}

void sample_strn(struct buf *b, const void *text, size_t n) {
        took(b, mp_put_str(room(b, n), text, (uint32_t)n));
}

void sample_str(struct buf *b, const char *text) {
        sample_strn(b, text, strlen(text));
}

void sample_bin(struct buf *b, const void *data, size_t n) {
        took(b, mp_put_bin(room(b, n), data, (uint32_t)n));
}

static void put_pair(struct buf *b, const char *key, uint64_t value) {
        sample_str(b, key);
        sample_uint(b, value);
}

static void put_annotations(struct buf *b, const char *const *annotations) {
        uint32_t n = 0;

        while (annotations[n])
                n += 2;
        sample_str(b, "annotations");
        sample_map(b, n / 2);
        for (uint32_t i = 0; i < n; i++)
                sample_str(b, annotations[i]);
}

static void put_field(struct buf *b, const struct sample_field *f) {
        sample_map(b, f->enumeration ? 9 : 8);
        sample_str(b, "name");
        sample_str(b, f->name);
        put_pair(b, "kind", f->kind);
        put_pair(b, "flags", f->flags);
        put_pair(b, "render", f->render);
        put_pair(b, "elem", f->elem);
        sample_str(b, "target");
        sample_str(b, f->target ? f->target : "");
        sample_str(b, "ctype");
        sample_str(b, f->ctype ? f->ctype : "");
        put_annotations(b, f->annotations);
        if (f->enumeration)
                put_pair(b, "enum", (uint64_t)f->enumeration - 1);
}

static void put_enum(struct buf *b, const struct sample_enum *e) {
        sample_map(b, 3);
        sample_str(b, "name");
        sample_str(b, e->name);
        sample_str(b, "set");
        sample_bool(b, e->is_set);
        sample_str(b, "values");
        sample_array(b, e->n_values);
        for (uint32_t i = 0; i < e->n_values; i++) {
                sample_array(b, 2);
                sample_str(b, e->values[i].name);
                sample_int(b, e->values[i].value);
        }
}

static void put_stream(struct buf *b, const struct sample_stream *s) {
        sample_map(b, 4);
        sample_str(b, "name");
        sample_str(b, s->name);
        put_pair(b, "kind", s->kind);
        put_annotations(b, s->annotations);
        sample_str(b, "fields");
        sample_array(b, s->n_fields);
        for (uint32_t i = 0; i < s->n_fields; i++)
                put_field(b, &s->fields[i]);
}

void sample_schema(struct buf *b, const struct sample_stream *streams, uint32_t n_streams,
                   const struct sample_enum *enums, uint32_t n_enums) {
        sample_map(b, 5);
        put_pair(b, "version", 1);
        sample_str(b, "gadget");
        sample_map(b, 2);
        sample_str(b, "name");
        sample_str(b, "sample");
        sample_str(b, "description");
        sample_str(b, "A gadget for tests");
        sample_str(b, "enums");
        sample_array(b, n_enums);
        for (uint32_t i = 0; i < n_enums; i++)
                put_enum(b, &enums[i]);
        sample_str(b, "streams");
        sample_array(b, n_streams);
        for (uint32_t i = 0; i < n_streams; i++)
                put_stream(b, &streams[i]);
        sample_str(b, "later");
        sample_map(b, 0);
}

/* clang-format off */
static const struct sample_field open_fields[] = {
        { "timestamp_raw", FIELD_UINT, RENDER_TIMESTAMP, "timestamp", .ctype = "gadget_timestamp" },
        { "proc.comm", FIELD_STR, .ctype = "gadget_comm", .annotations = { "columns.alias", "comm" } },
        { "proc.pid", FIELD_UINT, .ctype = "gadget_pid", .annotations = { "columns.alias", "pid" } },
        { "proc.tid", FIELD_UINT, .ctype = "gadget_tid", .annotations = { "columns.alias", "tid" } },
        { "proc.mntns_id", FIELD_UINT, .ctype = "gadget_mntns_id" },
        { "proc.creds.uid", FIELD_UINT, .ctype = "gadget_uid", .annotations = { "columns.alias", "uid" } },
        { "proc.creds.gid", FIELD_UINT, .ctype = "gadget_gid", .annotations = { "columns.alias", "gid" } },
        { "proc.parent.comm", FIELD_STR, .ctype = "gadget_pcomm" },
        { "proc.parent.pid", FIELD_UINT, .ctype = "gadget_ppid" },
        { "error_raw", FIELD_UINT, RENDER_ERRNO, "error", .ctype = "gadget_errno" },
        { "fd", FIELD_UINT, .ctype = "__u32", .annotations = { "columns.width", "5", "columns.alignment", "right" } },
        { "flags_raw", FIELD_INT, RENDER_FILE_FLAGS, "flags", .ctype = "gadget_file_flags", .annotations = { "columns.width", "24" } },
        { "mode_raw", FIELD_UINT, RENDER_FILE_MODE, "mode", .ctype = "gadget_file_mode", .annotations = { "columns.width", "10" } },
        { "fname", FIELD_STR, .annotations = { "columns.width", "32" } },
};
/* clang-format on */

const struct sample_stream sample_open = { "open", STREAM_TRACER, open_fields,
                                           ARRAY_SIZE(open_fields) };

void sample_open_row(struct buf *b, uint32_t i) {
        static const char *const names[] = { "/etc/ld.so.cache", "/lib/x86_64-linux-gnu/libc.so.6",
                                             "/proc/self/status", "/dev/null" };
        static const char *const comms[] = { "cat", "bash", "systemd-journal", "sshd" };

        sample_array(b, ARRAY_SIZE(open_fields));
        sample_uint(b, UINT64_C(1722451156455283441) + i * UINT64_C(2500));
        sample_str(b, comms[i % 4]);
        sample_uint(b, 1000 + i % 40000);
        sample_uint(b, 1000 + i % 40000);
        sample_uint(b, 4026531841u);
        sample_uint(b, i % 8 == 0 ? 1000 : 0);
        sample_uint(b, i % 8 == 0 ? 1000 : 0);
        sample_str(b, "bash");
        sample_uint(b, 999);
        sample_uint(b, i % 16 == 0 ? 2 : 0);
        sample_uint(b, i % 16 == 0 ? 0 : 3 + i % 4);
        sample_int(b, i % 4 == 0 ? 02000000 : 0100000);
        sample_uint(b, i % 32 == 0 ? 0644 : 0);
        sample_str(b, names[i % 4]);
}
