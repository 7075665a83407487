/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's BTF: what libbpf finds at /sys/kernel/btf/vmlinux, and by which CO-RE decides in a
 * gadget what this kernel has. Types that gadgetd itself gives to gadgets are added to it.
 */
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "worker/host-link.h"
#include "worker/host.h"

static struct {
        int fd;
        struct bytes all;
} btf = { .fd = -1 };

struct bytes host_btf(void) {
        return btf.all;
}

int host_btf_fd(void) {
        return btf.fd;
}

/* Linux maps its BTF since 6.15: then these are the kernel's own pages, and take no memory. */
void host_btf_init(int take_fd) {
        struct stat st;
        void *data;

        btf.fd = take_fd;
        if (btf.fd < 0 || fstat(btf.fd, &st) < 0)
                return;
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, btf.fd, 0);
        if (data != MAP_FAILED)
                btf.all = BYTES(data, (size_t)st.st_size);
}

static uint8_t *new_pages(size_t size) {
        void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return data == MAP_FAILED ? NULL : data;
}

/* Before 6.15, a page at a time. */
int host_btf_read(void) {
        struct stat st;
        uint8_t *data;
        size_t done = 0;

        if (btf.fd < 0 || btf.all.len > 0)
                return 0;
        if (fstat(btf.fd, &st) < 0)
                return -errno;
        data = new_pages((size_t)st.st_size);
        if (!data)
                return -ENOMEM;
        while (done < (size_t)st.st_size) {
                ssize_t n = pread(btf.fd, data + done, (size_t)st.st_size - done, (off_t)done);

                if (n <= 0)
                        break;
                done += (size_t)n;
        }
        btf.all = BYTES(data, (size_t)st.st_size);
        return 0;
}

static void unmap(void) {
        if (btf.all.len > 0)
                munmap((void *)(uintptr_t)btf.all.data, btf.all.len);
        btf.all = BYTES(NULL, 0);
}

void host_btf_done(void) {
        unmap();
        close_fd(&btf.fd);
}

/* All names, each with its NUL. */
static struct bytes names(void) {
        struct btf_header header;
        uint64_t begin;

        if (btf.all.len < sizeof(header))
                return BYTES(NULL, 0);
        memcpy(&header, btf.all.data, sizeof(header));
        begin = (uint64_t)header.hdr_len + header.str_off;
        if (begin > btf.all.len || header.str_len > btf.all.len - begin)
                return BYTES(NULL, 0);
        return BYTES(btf.all.data + begin, header.str_len);
}

/* The next name at or behind `from` that begins so; NULL = there is none. */
static const uint8_t *find_name(struct bytes in, const uint8_t *from, const char *prefix) {
        const uint8_t *end = in.data + in.len;
        size_t n = strlen(prefix);

        while (from && from < end) {
                const uint8_t *at = memmem(from, (size_t)(end - from), prefix, n);

                if (!at || (at > in.data && at[-1] == 0))
                        return at;
                from = at + 1;
        }
        return NULL;
}

/* --- types of our own --- */

/* Bytes behind a type's head, or -1 for a kind that is not known. */
static int64_t tail_of(const struct btf_type *t) {
        uint32_t n = BTF_INFO_VLEN(t->info);

        switch (BTF_INFO_KIND(t->info)) {
        case BTF_KIND_INT:
        case BTF_KIND_VAR:
        case BTF_KIND_DECL_TAG:
                return 4;
        case BTF_KIND_ARRAY:
                return sizeof(struct btf_array);
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
        case BTF_KIND_DATASEC:
        case BTF_KIND_ENUM64:
                return (int64_t)n * 12;
        case BTF_KIND_ENUM:
        case BTF_KIND_FUNC_PROTO:
                return (int64_t)n * 8;
        default:
                return BTF_INFO_KIND(t->info) <= BTF_KIND_ENUM64 ? 0 : -1;
        }
}

/* How many types there are; ids count from 1. Negative when they cannot be counted. */
static int64_t count_types(const uint8_t *at, uint32_t len) {
        const uint8_t *end = at + len;
        int64_t n = 0;

        for (struct btf_type t; at < end; n++) {
                int64_t tail;

                if ((size_t)(end - at) < sizeof(t))
                        return -EBADMSG;
                memcpy(&t, at, sizeof(t));
                tail = tail_of(&t);
                if (tail < 0 || (int64_t)sizeof(t) + tail > end - at)
                        return -EBADMSG;
                at += (int64_t)sizeof(t) + tail;
        }
        return n;
}

/* What is added: types, and the names in them. */
struct addition {
        struct buf types;
        struct buf names;
        uint32_t names_at; /* of the first one */
        uint32_t next_id;
};

static uint32_t add_name(struct addition *a, const char *name) {
        uint32_t at = a->names_at + (uint32_t)a->names.len;

        buf_append(&a->names, name, strlen(name) + 1);
        return at;
}

static uint32_t add_type(struct addition *a, const char *name, uint32_t kind, uint32_t n,
                         uint32_t size) {
        struct btf_type t = { .name_off = *name ? add_name(a, name) : 0,
                              .info = kind << 24 | n,
                              .size = size };

        buf_append(&a->types, &t, sizeof(t));
        return a->next_id++;
}

static uint32_t add_int(struct addition *a, const char *name, uint32_t size) {
        uint32_t id = add_type(a, name, BTF_KIND_INT, 0, size), bits = size * 8;

        buf_append(&a->types, &bits, sizeof(bits));
        return id;
}

static void add_struct(struct addition *a, const char *name, uint32_t size,
                       const struct host_member *members, size_t n_members) {
        uint32_t ids[9] = { [1] = add_int(a, "char", 1),
                            [4] = add_int(a, "unsigned int", 4),
                            [8] = add_int(a, "unsigned long", 8) };
        uint32_t first_array = a->next_id;

        for (size_t i = 0; i < n_members; i++) {
                struct btf_array array = { .type = ids[members[i].size],
                                           .index_type = ids[4],
                                           .nelems = members[i].count };

                if (members[i].count == 0)
                        continue;
                (void)add_type(a, "", BTF_KIND_ARRAY, 0, 0);
                buf_append(&a->types, &array, sizeof(array));
        }
        (void)add_type(a, name, BTF_KIND_STRUCT, (uint32_t)n_members, size);
        for (size_t i = 0; i < n_members; i++) {
                struct btf_member member = {
                        .name_off = add_name(a, members[i].name),
                        .type = members[i].count > 0 ? first_array++ : ids[members[i].size],
                        .offset = members[i].offset * 8,
                };

                buf_append(&a->types, &member, sizeof(member));
        }
}

/* The kernel's, with what is added behind its types and behind its names. */
static int put_together(const struct addition *a, const struct btf_header *old) {
        struct btf_header header = *old;
        struct bytes in = names(), types;
        uint8_t *copy, *at;
        size_t size;

        types = BYTES(btf.all.data + old->hdr_len + old->type_off, old->type_len);
        header.hdr_len = sizeof(header);
        header.type_off = 0;
        header.type_len = old->type_len + (uint32_t)a->types.len;
        header.str_off = header.type_len;
        header.str_len = old->str_len + (uint32_t)a->names.len;
        size = sizeof(header) + header.type_len + (size_t)header.str_len;
        copy = at = new_pages(size);
        if (!copy)
                return -ENOMEM;
        at = mempcpy(at, &header, sizeof(header));
        at = mempcpy(at, types.data, types.len);
        at = mempcpy(at, a->types.data, a->types.len);
        at = mempcpy(at, in.data, in.len);
        memcpy(at, a->names.data, a->names.len);
        unmap();
        btf.all = BYTES(copy, size);
        close_fd(&btf.fd);
        return 0;
}

int host_btf_add_struct(const char *name, uint32_t size, const struct host_member *members,
                        size_t n_members) {
        struct addition a = { .types = BUF_INIT(65536), .names = BUF_INIT(65536) };
        struct btf_header header;
        struct bytes in = names();
        int64_t n;
        int r;

        if (in.len == 0)
                return -ENOENT;
        memcpy(&header, btf.all.data, sizeof(header));
        if ((uint64_t)header.hdr_len + header.type_off + header.type_len > btf.all.len)
                return -EBADMSG;
        n = count_types(btf.all.data + header.hdr_len + header.type_off, header.type_len);
        if (n < 0)
                return (int)n;
        a.names_at = header.str_len;
        a.next_id = (uint32_t)n + 1;
        add_struct(&a, name, size, members, n_members);
        r = a.types.failed || a.names.failed ? -ENOMEM : put_together(&a, &header);
        buf_done(&a.types);
        buf_done(&a.names);
        return r;
}

bool host_btf_has(const char *name) {
        struct bytes in = names();
        size_t n = strlen(name);
        const uint8_t *at = in.data;

        if (in.len == 0)
                return true;
        while ((at = find_name(in, at, name))) {
                if (at + n < in.data + in.len && at[n] == 0)
                        return true;
                at++;
        }
        return false;
}

/* Where the name is among all, or 0. */
static uint32_t offset_of(struct bytes in, const char *name) {
        const uint8_t *at = in.data;
        size_t n = strlen(name);

        for (; n > 0 && (at = find_name(in, at, name)); at++)
                if (at + n < in.data + in.len && at[n] == 0)
                        return (uint32_t)(at - in.data);
        return 0;
}

static int each_value(const struct btf_type *t, const uint8_t *at,
                      int (*each)(void *arg, const char *name, int64_t value), void *arg,
                      bool is_signed) {
        struct bytes in = names();
        int r = 0;

        for (uint32_t i = 0; r >= 0 && i < BTF_INFO_VLEN(t->info); i++) {
                struct btf_enum64 value = { 0 };
                bool is_wide = BTF_INFO_KIND(t->info) == BTF_KIND_ENUM64;
                int64_t number;

                memcpy(&value, at, is_wide ? sizeof(value) : sizeof(struct btf_enum));
                at += is_wide ? sizeof(value) : sizeof(struct btf_enum);
                number = is_wide     ? (int64_t)((uint64_t)value.val_hi32 << 32 | value.val_lo32)
                         : is_signed ? (int32_t)value.val_lo32
                                     : (int64_t)value.val_lo32;
                if (value.name_off < in.len)
                        r = each(arg, (const char *)in.data + value.name_off, number);
        }
        return MIN(r, 0);
}

int host_btf_enum(const char *name, int (*each)(void *arg, const char *name, int64_t value),
                  void *arg, bool *ret_is_signed) {
        struct btf_header header;
        uint32_t name_off = offset_of(names(), name);
        const uint8_t *at, *end;

        if (name_off == 0)
                return -ENOENT;
        memcpy(&header, btf.all.data, sizeof(header));
        if ((uint64_t)header.hdr_len + header.type_off + header.type_len > btf.all.len)
                return -EBADMSG;
        at = btf.all.data + header.hdr_len + header.type_off;
        end = at + header.type_len;
        for (struct btf_type t; (size_t)(end - at) >= sizeof(t);) {
                int64_t tail;

                memcpy(&t, at, sizeof(t));
                at += sizeof(t);
                tail = tail_of(&t);
                if (tail < 0 || tail > end - at)
                        return -EBADMSG;
                if (t.name_off == name_off && BTF_INFO_VLEN(t.info) > 0 &&
                    (BTF_INFO_KIND(t.info) == BTF_KIND_ENUM ||
                     BTF_INFO_KIND(t.info) == BTF_KIND_ENUM64)) {
                        *ret_is_signed = BTF_INFO_KFLAG(t.info);
                        return each_value(&t, at, each, arg, *ret_is_signed);
                }
                at += tail;
        }
        return -ENOENT;
}

/* A copy, in which the names have another first letter. Who would rather map the file than read it
 * does not find it. */
int host_btf_hide(const char *prefix) {
        struct bytes all = btf.all, in;
        uint8_t *copy;

        if (all.len == 0)
                return -ENOENT;
        copy = new_pages(all.len);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, all.data, all.len);
        unmap();
        btf.all = BYTES(copy, all.len);
        close_fd(&btf.fd);
        in = names();
        for (const uint8_t *at = in.data; (at = find_name(in, at, prefix)); at++)
                copy[at - copy] = '-';
        return 0;
}
