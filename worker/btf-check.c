/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/btf-check.h"

#include <linux/btf.h>

/* Types that lie inside one another, modifiers included: kernels' own types stay below 40. */
#define NESTING_MAX 96

/* Only in newer headers. */
#ifndef BTF_KIND_ENUM64
#define BTF_KIND_ENUM64 19
#endif

struct btf_view {
        struct bytes types;
        struct bytes strings;
        uint32_t n_types;  /* ids 1 to n_types; 0 is void */
        uint32_t *offsets; /* of type id, in `types`; [0] unused */
        struct error *err;
};

#define bad(_err, ...)                                                                             \
        error_set(_err, ERROR_INVALID, -ENOEXEC, "not a usable eBPF object: its BTF " __VA_ARGS__)

static void view_done(struct btf_view *v) {
        free(v->offsets);
}

static struct btf_type type_at(const struct btf_view *v, uint32_t id) {
        struct btf_type t;

        memcpy(&t, v->types.data + v->offsets[id], sizeof(t));
        return t;
}

static uint32_t u32_at(const struct btf_view *v, size_t offset) {
        uint32_t u;

        memcpy(&u, v->types.data + offset, sizeof(u));
        return u;
}

static int read_header(struct bytes btf, struct btf_view *v) {
        struct btf_header h;

        if (btf.len < sizeof(h))
                return bad(v->err, "is shorter than its header");
        memcpy(&h, btf.data, sizeof(h));
        if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.flags != 0)
                return bad(v->err, "has a header of unknown form");
        if (h.hdr_len < sizeof(h) || h.hdr_len > btf.len)
                return bad(v->err, "has a header of %u bytes", h.hdr_len);
        btf = BYTES(btf.data + h.hdr_len, btf.len - h.hdr_len);
        if (h.type_off % 4 != 0 || h.type_off > btf.len || h.type_len > btf.len - h.type_off ||
            h.str_off > btf.len || h.str_len > btf.len - h.str_off ||
            (uint64_t)h.type_off + h.type_len > h.str_off)
                return bad(v->err, "has parts outside of its section");
        v->types = BYTES(btf.data + h.type_off, h.type_len);
        v->strings = BYTES(btf.data + h.str_off, h.str_len);
        if (h.str_len == 0 || v->strings.data[0] != 0 || v->strings.data[h.str_len - 1] != 0)
                return bad(v->err, "has a damaged string table");
        return 0;
}

/* Bytes behind struct btf_type, or -1 for a kind that does not exist. */
static int64_t extra_size(const struct btf_type *t) {
        uint32_t n = BTF_INFO_VLEN(t->info);

        switch (BTF_INFO_KIND(t->info)) {
        case BTF_KIND_PTR:
        case BTF_KIND_FWD:
        case BTF_KIND_TYPEDEF:
        case BTF_KIND_VOLATILE:
        case BTF_KIND_CONST:
        case BTF_KIND_RESTRICT:
        case BTF_KIND_FUNC:
        case BTF_KIND_FLOAT:
        case BTF_KIND_TYPE_TAG:
                return 0;
        case BTF_KIND_INT:
        case BTF_KIND_VAR:
        case BTF_KIND_DECL_TAG:
                return 4;
        case BTF_KIND_ARRAY:
                return sizeof(struct btf_array);
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
                return (int64_t)n * (int64_t)sizeof(struct btf_member);
        case BTF_KIND_ENUM:
                return (int64_t)n * (int64_t)sizeof(struct btf_enum);
        case BTF_KIND_ENUM64:
                return (int64_t)n * 12;
        case BTF_KIND_FUNC_PROTO:
                return (int64_t)n * (int64_t)sizeof(struct btf_param);
        case BTF_KIND_DATASEC:
                return (int64_t)n * (int64_t)sizeof(struct btf_var_secinfo);
        default:
                return -1;
        }
}

/* Finds where each type begins. */
static int index_types(struct btf_view *v) {
        size_t most = v->types.len / sizeof(struct btf_type), offset = 0;

        v->offsets = calloc(most + 1, sizeof(*v->offsets));
        if (!v->offsets)
                return error_set(v->err, ERROR_INTERNAL, -ENOMEM, "no memory for the object's BTF");
        while (offset < v->types.len) {
                struct btf_type t;
                int64_t extra;

                if (v->types.len - offset < sizeof(t))
                        return bad(v->err, "ends inside type %u", v->n_types + 1);
                memcpy(&t, v->types.data + offset, sizeof(t));
                extra = extra_size(&t);
                if (extra < 0)
                        return bad(v->err, "has type %u of unknown kind %u", v->n_types + 1,
                                   BTF_INFO_KIND(t.info));
                if ((uint64_t)extra > v->types.len - offset - sizeof(t))
                        return bad(v->err, "ends inside type %u", v->n_types + 1);
                if (t.name_off >= v->strings.len)
                        return bad(v->err, "has type %u with a name outside of its table",
                                   v->n_types + 1);
                v->offsets[++v->n_types] = (uint32_t)offset;
                offset += sizeof(t) + (size_t)extra;
        }
        return 0;
}

static bool is_id(const struct btf_view *v, uint32_t id) {
        return id <= v->n_types;
}

static bool is_kind(const struct btf_view *v, uint32_t id, uint32_t kind) {
        return id != 0 && id <= v->n_types && BTF_INFO_KIND(type_at(v, id).info) == kind;
}

/* Elements that follow the type: `stride` bytes each, a name offset at `name` and a type id at
 * `type`; -1 = has none. */
static bool elements_are_sane(const struct btf_view *v, uint32_t id, size_t stride, int name,
                              int type) {
        struct btf_type t = type_at(v, id);
        size_t at = v->offsets[id] + sizeof(t);

        for (uint32_t i = 0; i < BTF_INFO_VLEN(t.info); i++, at += stride) {
                if (name >= 0 && u32_at(v, at + (size_t)name) >= v->strings.len)
                        return false;
                if (type >= 0 && !is_id(v, u32_at(v, at + (size_t)type)))
                        return false;
        }
        return true;
}

static bool datasec_is_sane(const struct btf_view *v, uint32_t id) {
        struct btf_type t = type_at(v, id);
        size_t at = v->offsets[id] + sizeof(t);

        for (uint32_t i = 0; i < BTF_INFO_VLEN(t.info); i++, at += sizeof(struct btf_var_secinfo)) {
                uint32_t type = u32_at(v, at);

                if (!is_kind(v, type, BTF_KIND_VAR) && !is_kind(v, type, BTF_KIND_FUNC))
                        return false;
        }
        return true;
}

static bool int_is_sane(const struct btf_view *v, uint32_t id) {
        struct btf_type t = type_at(v, id);
        uint32_t info = u32_at(v, v->offsets[id] + sizeof(t));

        return t.size >= 1 && t.size <= 16 && (t.size & (t.size - 1)) == 0 &&
               BTF_INT_OFFSET(info) + BTF_INT_BITS(info) <= t.size * 8;
}

static bool is_integer_size(uint32_t size) {
        return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool type_is_sane(const struct btf_view *v, uint32_t id) {
        struct btf_type t = type_at(v, id);
        size_t at = v->offsets[id] + sizeof(t);

        switch (BTF_INFO_KIND(t.info)) {
        case BTF_KIND_PTR:
        case BTF_KIND_TYPEDEF:
        case BTF_KIND_VOLATILE:
        case BTF_KIND_CONST:
        case BTF_KIND_RESTRICT:
        case BTF_KIND_TYPE_TAG:
        case BTF_KIND_VAR:
        case BTF_KIND_DECL_TAG:
                return is_id(v, t.type);
        case BTF_KIND_FUNC:
                return is_kind(v, t.type, BTF_KIND_FUNC_PROTO);
        case BTF_KIND_FWD:
                return true;
        case BTF_KIND_FLOAT:
                return t.size == 2 || t.size == 4 || t.size == 8 || t.size == 12 || t.size == 16;
        case BTF_KIND_INT:
                return int_is_sane(v, id);
        case BTF_KIND_ARRAY:
                return is_id(v, u32_at(v, at)) && is_id(v, u32_at(v, at + 4));
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
                return elements_are_sane(v, id, sizeof(struct btf_member), 0, 4);
        case BTF_KIND_ENUM:
                return is_integer_size(t.size) &&
                       elements_are_sane(v, id, sizeof(struct btf_enum), 0, -1);
        case BTF_KIND_ENUM64:
                return is_integer_size(t.size) && elements_are_sane(v, id, 12, 0, -1);
        case BTF_KIND_FUNC_PROTO:
                return is_id(v, t.type) && elements_are_sane(v, id, sizeof(struct btf_param), 0, 4);
        case BTF_KIND_DATASEC:
                return datasec_is_sane(v, id);
        default:
                return false;
        }
}

/* The i-th type that lies inside type id (what a typedef names, an element, a member); 0 = there is
 * no i-th. */
static uint32_t inner_type(const struct btf_view *v, uint32_t id, uint32_t i, bool *ret_more) {
        struct btf_type t = type_at(v, id);
        size_t at = v->offsets[id] + sizeof(t);

        *ret_more = false;
        switch (BTF_INFO_KIND(t.info)) {
        case BTF_KIND_TYPEDEF:
        case BTF_KIND_VOLATILE:
        case BTF_KIND_CONST:
        case BTF_KIND_RESTRICT:
        case BTF_KIND_TYPE_TAG:
        case BTF_KIND_VAR:
                *ret_more = i == 0;
                return i == 0 ? t.type : 0;
        case BTF_KIND_ARRAY:
                *ret_more = i == 0;
                return i == 0 ? u32_at(v, at) : 0;
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
                *ret_more = i < BTF_INFO_VLEN(t.info);
                return *ret_more ? u32_at(v, at + i * sizeof(struct btf_member) + 4) : 0;
        default:
                return 0;
        }
}

/* What the walk knows of a type: nothing, that it is on its way down through it, or 1 + how much
 * nests inside of it. */
enum { UNSEEN = 0, OPEN = UINT8_MAX };

struct level {
        uint32_t id;
        uint32_t next;  /* inner type to look at */
        uint8_t height; /* of what has been looked at */
};
_Static_assert(NESTING_MAX + 1 < OPEN, "heights fit beside OPEN");

/* Depth-first over "lies inside"; a type met again on the way down contains itself. */
static int walk_from(const struct btf_view *v, uint8_t *state, uint32_t root) {
        struct level stack[NESTING_MAX];
        unsigned int depth = 1;

        if (state[root] != UNSEEN)
                return 0;
        stack[0] = (struct level){ .id = root };
        state[root] = OPEN;
        while (depth > 0) {
                struct level *top = &stack[depth - 1];
                bool more;
                uint32_t inner = inner_type(v, top->id, top->next++, &more);

                if (!more) {
                        state[top->id] = (uint8_t)(top->height + 1);
                        depth--;
                        if (depth > 0)
                                stack[depth - 1].height =
                                        MAX(stack[depth - 1].height, state[top->id]);
                        continue;
                }
                if (inner == 0)
                        continue;
                if (state[inner] == OPEN)
                        return bad(v->err, "has type %u that contains itself", inner);
                if (state[inner] != UNSEEN)
                        top->height = MAX(top->height, state[inner]);
                if (top->height >= NESTING_MAX || depth == NESTING_MAX)
                        return bad(v->err, "nests types deeper than %d", NESTING_MAX);
                if (state[inner] != UNSEEN)
                        continue;
                state[inner] = OPEN;
                stack[depth++] = (struct level){ .id = inner };
        }
        return 0;
}

static int check_nesting(const struct btf_view *v) {
        cleanup_free uint8_t *state = calloc((size_t)v->n_types + 1, 1);

        if (!state)
                return error_set(v->err, ERROR_INTERNAL, -ENOMEM, "no memory for the object's BTF");
        for (uint32_t id = 1; id <= v->n_types; id++) {
                int r = walk_from(v, state, id);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int view_init(struct bytes btf, struct btf_view *v) {
        int r = read_header(btf, v);

        return r < 0 ? r : index_types(v);
}

int btf_check(struct bytes btf, struct error *err) {
        cleanup(view_done) struct btf_view v = { .err = err };
        int r;

        r = view_init(btf, &v);
        if (r < 0)
                return r;
        for (uint32_t id = 1; id <= v.n_types; id++)
                if (!type_is_sane(&v, id))
                        return bad(err, "has type %u that refers to nothing", id);
        return check_nesting(&v);
}

enum ext_part { EXT_FUNC, EXT_LINE, EXT_CORE };

/* One record: instruction offset first; then what the part is about. */
static bool ext_record_is_sane(const struct btf_view *v, enum ext_part part,
                               const uint8_t *record) {
        uint32_t words[4];

        memcpy(words, record, part == EXT_FUNC ? 8 : 16);
        switch (part) {
        case EXT_FUNC:
                return is_kind(v, words[1], BTF_KIND_FUNC);
        case EXT_LINE:
                return words[1] < v->strings.len && words[2] < v->strings.len;
        case EXT_CORE:
                return words[0] % 8 == 0 && words[1] != 0 && is_id(v, words[1]) &&
                       words[2] < v->strings.len;
        }
        return false;
}

/* A part: the size of its records, then for each section its name, a count, and the records. */
static int check_ext_part(const struct btf_view *v, enum ext_part part, struct bytes b) {
        uint32_t record_size, section[2];
        size_t at = sizeof(record_size);

        if (b.len == 0)
                return 0;
        if (b.len < sizeof(record_size))
                return bad(v->err, "extension ends too early");
        memcpy(&record_size, b.data, sizeof(record_size));
        if (record_size % 4 != 0 || record_size < (part == EXT_FUNC ? 8 : 16) || record_size > 256)
                return bad(v->err, "extension has records of %u bytes", record_size);
        while (at < b.len) {
                if (b.len - at < sizeof(section))
                        return bad(v->err, "extension ends too early");
                memcpy(section, b.data + at, sizeof(section));
                at += sizeof(section);
                if (section[0] >= v->strings.len || section[1] == 0 ||
                    section[1] > (b.len - at) / record_size)
                        return bad(v->err, "extension has a damaged section");
                for (uint32_t i = 0; i < section[1]; i++, at += record_size)
                        if (!ext_record_is_sane(v, part, b.data + at))
                                return bad(v->err, "extension refers to what does not exist");
        }
        return 0;
}

/* clang-format off */
struct ext_header { uint16_t magic; uint8_t version, flags; uint32_t hdr_len; uint32_t parts[3][2]; };
/* clang-format on */

struct bytes btf_ext_core(struct bytes ext) {
        struct ext_header h = { 0 };

        memcpy(&h, ext.data, MIN(ext.len, sizeof(h)));
        if (h.hdr_len < sizeof(h)) /* older than these */
                return BYTES(NULL, 0);
        return BYTES(ext.data + h.hdr_len + h.parts[EXT_CORE][0], h.parts[EXT_CORE][1]);
}

int btf_ext_check(struct bytes ext, struct bytes btf, struct error *err) {
        struct ext_header h = { 0 };
        cleanup(view_done) struct btf_view v = { .err = err };
        size_t without_core = sizeof(h) - sizeof(h.parts[0]);
        int r;

        r = view_init(btf, &v);
        if (r < 0)
                return r;
        if (ext.len < without_core)
                return bad(err, "extension is shorter than its header");
        memcpy(&h, ext.data, without_core);
        if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.flags != 0 ||
            h.hdr_len < without_core || h.hdr_len > ext.len || h.hdr_len % 4 != 0)
                return bad(err, "extension has a header of unknown form");
        memcpy(&h, ext.data, MIN((size_t)h.hdr_len, sizeof(h)));
        ext = BYTES(ext.data + h.hdr_len, ext.len - h.hdr_len);
        for (enum ext_part part = EXT_FUNC; part <= EXT_CORE; part++) {
                uint32_t offset = h.parts[part][0], len = h.parts[part][1];

                if (offset % 4 != 0 || offset > ext.len || len > ext.len - offset)
                        return bad(err, "extension has parts outside of its section");
                r = check_ext_part(&v, part, BYTES(ext.data + offset, len));
                if (r < 0)
                        return r;
        }
        return 0;
}
