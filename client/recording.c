/* SPDX-License-Identifier: Apache-2.0 */
#include "client/recording.h"

#include <fcntl.h>

#include "base/clock.h"
#include "client/render.h"
#include "gadget/api.h"
#include "ipc/mp.h"
#include "ipc/scan.h"

#define IN_SIZE (256u << 10)
#define RECORD_MAX (LIMIT_CLIENT_FRAME_MAX + (1u << 20))

static const char magic[] = "gadget-recording";

/* --- writing --- */

static void put_uint(struct out *out, uint64_t v) {
        uint8_t scratch[MP_SCALAR_MAX];

        out_put(out, scratch, (size_t)(mp_put_uint(scratch, v) - scratch));
}

static void put_bytes(struct out *out, struct bytes b, uint8_t *(*header)(uint8_t *, uint32_t)) {
        uint8_t scratch[MP_HEADER_MAX];

        out_put(out, scratch, (size_t)(header(scratch, (uint32_t)b.len) - scratch));
        out_put(out, b.data, b.len);
}

static void put_text(struct out *out, const char *text) {
        put_bytes(out, BYTES(text ? text : "", text ? strlen(text) : 0), mp_put_str_header);
}

static void put_array(struct out *out, uint32_t n) {
        uint8_t scratch[MP_HEADER_MAX];

        out_put(out, scratch, (size_t)(mp_put_array(scratch, n) - scratch));
}

/* An object that is encoded already. */
static void put_object(struct out *out, struct bytes encoded) {
        static const uint8_t nil = 0xc0;

        if (encoded.len > 0)
                out_put(out, encoded.data, encoded.len);
        else
                out_put(out, &nil, 1);
}

void recording_put_header(struct out *out, const struct recording_header *header) {
        uint8_t scratch[MP_HEADER_MAX];

        out_put(out, scratch, (size_t)(mp_put_map(scratch, 6) - scratch));
        put_text(out, magic);
        put_uint(out, RECORDING_VERSION);
        put_text(out, "writer");
        put_text(out, header->writer);
        put_text(out, "image");
        put_text(out, header->image);
        put_text(out, "name");
        put_text(out, header->name);
        put_text(out, "created");
        put_uint(out, header->created);
        put_text(out, "schema");
        put_bytes(out, header->schema, mp_put_bin_header);
}

static void put_head(struct out *out, uint32_t n, enum record_type type) {
        put_array(out, n);
        put_uint(out, type);
        put_uint(out, clock_ns(CLOCK_REALTIME));
}

void recording_put(struct out *out, const struct incoming *in, struct bytes rows) {
        switch (in->type) {
        case NOTIFY_EVENTS:
                put_head(out, 7, RECORD_EVENTS);
                put_uint(out, in->source);
                put_uint(out, in->flags);
                put_uint(out, in->first_seq);
                put_uint(out, in->lost);
                put_bytes(out, rows, mp_put_bin_header);
                break;
        case NOTIFY_LOSSES:
                put_head(out, 4, RECORD_LOSSES);
                put_uint(out, in->source);
                put_object(out, in->ledger);
                break;
        case NOTIFY_DONE:
                put_head(out, 6, RECORD_DONE);
                put_bytes(out, in->cause, mp_put_str_header);
                put_bytes(out, in->message, mp_put_str_header);
                put_bytes(out, in->detail, mp_put_str_header);
                put_object(out, in->ledger);
                break;
        case NOTIFY_PROGRESS:
        case _NOTIFY_MAX:
        default:
                break;
        }
}

/* --- reading --- */

struct recording {
        int fd;
        struct buf header;
        struct buf in;
        size_t last;     /* bytes of the record handed out last */
        uint64_t offset; /* of what is in `in` */
        bool is_end;
};

/* The object at the start of the buffer: its length, 0 at the end of the file. */
static ssize_t next_object(struct recording *recording, struct error *err) {
        struct scan_limits limits = SCAN_LIMITS_MESSAGE;
        struct buf *b = &recording->in;

        limits.size = RECORD_MAX;
        buf_consume(b, recording->last);
        recording->offset += recording->last;
        recording->last = 0;
        for (;;) {
                ssize_t n = b->len ? msgpack_scan(BYTES(b->data, b->len), &limits) : -EAGAIN, got;
                uint8_t *room;

                if (n > 0) {
                        recording->last = (size_t)n;
                        return n;
                }
                if (n != -EAGAIN)
                        return error_set(err, ERROR_INVALID, -EBADMSG,
                                         "at byte %llu stands something that is no record",
                                         (unsigned long long)recording->offset);
                if (recording->is_end)
                        return b->len == 0 ? 0
                                           : error_set(err, ERROR_INVALID, -ENODATA,
                                                       "it ends inside of the record at byte %llu",
                                                       (unsigned long long)recording->offset);
                room = buf_reserve(b, IN_SIZE + RENDER_SLACK);
                if (!room)
                        return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
                got = read(recording->fd, room, IN_SIZE);
                if (got < 0 && errno != EINTR)
                        return error_set(err, ERROR_UNAVAILABLE, -errno, "read: %m");
                recording->is_end = got == 0;
                b->len += got > 0 ? (size_t)got : 0;
        }
}

static int read_pair(struct mp_reader *r, struct recording_header *header, uint64_t *version) {
        struct bytes key;

        if (mp_read_str(r, &key) < 0)
                return -EBADMSG;
        if (bytes_eq(key, magic))
                return mp_read_uint(r, version);
        if (bytes_eq(key, "created"))
                return mp_read_uint(r, &header->created);
        if (bytes_eq(key, "schema"))
                return mp_read_bin(r, &header->schema);
        return mp_skip(r);
}

static int read_header(struct recording *recording, struct recording_header *ret,
                       struct error *err) {
        ssize_t n = next_object(recording, err);
        struct mp_reader r;
        uint64_t version = 0;
        uint32_t pairs;

        if (n == -EINVAL || n == -EBADMSG || n == 0 || n == -ENODATA)
                return error_set(err, ERROR_INVALID, -EBADMSG, "it is not a recording");
        if (n < 0)
                return (int)n;
        if (buf_append(&recording->header, recording->in.data, (size_t)n) < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "its header is too large");
        r = (struct mp_reader){ recording->header.data,
                                recording->header.data + recording->header.len };
        if (mp_read_map(&r, &pairs) < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "it is not a recording");
        for (uint32_t i = 0; i < pairs; i++)
                if (read_pair(&r, ret, &version) < 0)
                        return error_set(err, ERROR_INVALID, -EBADMSG, "its header is damaged");
        if (version == 0)
                return error_set(err, ERROR_INVALID, -EBADMSG, "it is not a recording");
        if (version > RECORDING_VERSION)
                return error_set(err, ERROR_UNAVAILABLE, -EPROTONOSUPPORT,
                                 "it is a recording of version %llu, which this program does not "
                                 "know: use a later one",
                                 (unsigned long long)version);
        return 0;
}

int recording_open(const char *path, struct recording **ret, struct recording_header *header,
                   struct error *err) {
        cleanup(recording_freep) struct recording *recording = calloc(1, sizeof(*recording));
        int r;

        if (!recording)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        recording->header = BUF_INIT(LIMIT_SCHEMA_SIZE_MAX + (1u << 20));
        recording->in = BUF_INIT(RECORD_MAX + 2 * IN_SIZE);
        recording->fd = str_eq(path, "-") ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                          : open(path, O_RDONLY | O_CLOEXEC);
        if (recording->fd < 0)
                return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE, -errno,
                                 "'%s': %m", path);
        *header = (struct recording_header){ 0 };
        r = read_header(recording, header, err);
        if (r < 0)
                return error_prefix(err, r, "'%s'", path);
        *ret = TAKE_PTR(recording);
        return 0;
}

struct recording *recording_free(struct recording *recording) {
        if (!recording)
                return NULL;
        close_fd(&recording->fd);
        buf_done(&recording->header);
        buf_done(&recording->in);
        free(recording);
        return NULL;
}

static bool read_u32(struct mp_reader *r, uint32_t *ret) {
        uint64_t v;

        if (mp_read_uint(r, &v) < 0 || v > UINT32_MAX)
                return false;
        *ret = (uint32_t)v;
        return true;
}

static bool read_object(struct mp_reader *r, struct bytes *ret) {
        const uint8_t *start = r->pos;

        if (mp_skip(r) < 0)
                return false;
        *ret = BYTES(start, r->pos - start);
        return true;
}

/* False: not of the shape that its type has. */
static bool read_record(struct mp_reader *r, uint32_t n, uint64_t type, struct incoming *ret) {
        switch (type) {
        case RECORD_EVENTS:
                ret->type = NOTIFY_EVENTS;
                return n >= 7 && read_u32(r, &ret->source) && read_u32(r, &ret->flags) &&
                       mp_read_uint(r, &ret->first_seq) == 0 && mp_read_uint(r, &ret->lost) == 0 &&
                       mp_read_bin(r, &ret->rows) == 0;
        case RECORD_LOSSES:
                ret->type = NOTIFY_LOSSES;
                return n >= 4 && read_u32(r, &ret->source) && read_object(r, &ret->ledger);
        case RECORD_DONE:
                ret->type = NOTIFY_DONE;
                return n >= 6 && mp_read_str(r, &ret->cause) == 0 &&
                       mp_read_str(r, &ret->message) == 0 && mp_read_str(r, &ret->detail) == 0 &&
                       read_object(r, &ret->ledger);
        default:
                ret->type = _NOTIFY_MAX;
                return true;
        }
}

int recording_next(struct recording *recording, struct incoming *ret, struct error *err) {
        ssize_t length = next_object(recording, err);
        uint64_t type, time_ns;
        struct mp_reader r;
        uint32_t n;

        if (length <= 0)
                return (int)length;
        /* What render_rows() may read behind the rows. */
        if (!buf_reserve(&recording->in, RENDER_SLACK))
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        r = (struct mp_reader){ recording->in.data, recording->in.data + length };
        *ret = (struct incoming){ .kind = RPC_NOTIFICATION };
        if (mp_read_array(&r, &n) < 0 || n < 2 || mp_read_uint(&r, &type) < 0 ||
            mp_read_uint(&r, &time_ns) < 0 || !read_record(&r, n, type, ret))
                return error_set(err, ERROR_INVALID, -EBADMSG, "the record at byte %llu is damaged",
                                 (unsigned long long)recording->offset);
        return 1;
}
