/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mount.h>

#include "base/file.h"
#include "base/log.h"
#include "tests/lib/needs.h"
#include "worker/id-names.h"

#define FRAME_ROOM (64u << 10)

/* --- host.h --- */

static int host_event_fd = -1;
static enum host_event host_says;

/* libbpf reads the real one. */
bool host_btf_has(const char *name) {
        return true;
}

int host_btf_enum(const char *name, int (*each)(void *arg, const char *name, int64_t value),
                  void *arg, bool *ret_is_signed) {
        struct btf *btf = btf__load_vmlinux_btf();
        int32_t id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_ENUM) : -ENOENT;
        int r = 0;

        if (id > 0) {
                *ret_is_signed = btf_enum_is_signed(btf, (uint32_t)id);
                for (uint32_t i = 0; r == 0 && i < btf_vlen(btf__type_by_id(btf, id)); i++)
                        r = each(arg, btf_enum_name_at(btf, (uint32_t)id, i),
                                 btf_enum_value_at(btf, (uint32_t)id, i));
        }
        btf__free(btf);
        return id > 0 ? r : -ENOENT;
}

int host_btf_hide(const char *prefix) {
        return -EOPNOTSUPP;
}

int host_btf_add_struct(const char *name, uint32_t size, const struct host_member *members,
                        size_t n_members) {
        return -EOPNOTSUPP;
}

int host_shared_map(bool with_paths, struct broker_shared_map *ret, char *why, size_t room) {
        return -ENOENT;
}

int host_map_fd(int placeholder_fd, int *ret_fd) {
        int fd = fcntl(placeholder_fd, F_DUPFD_CLOEXEC, 3);

        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

int host_map_fd_writable(int placeholder_fd, int *ret_fd) {
        return host_map_fd(placeholder_fd, ret_fd);
}

int host_iter_create(int link_placeholder_fd, uint32_t *netns, int *ret_fd) {
        int fd = bpf_iter_create(link_placeholder_fd);

        if (fd < 0)
                return -errno;
        *netns = 0;
        *ret_fd = fd;
        return 0;
}

void host_declare_hook(const char *section) {
        assert_non_null(section);
}

int host_attach(const struct host_place *place) {
        return -EOPNOTSUPP;
}

uint32_t host_object(int placeholder_fd) {
        return (uint32_t)placeholder_fd;
}

int host_target(uint64_t mntns, enum broker_target_what what, const char *name,
                struct host_target *ret) {
        return -ENOENT;
}

int host_container_next(struct host_container *c) {
        return -ENOENT;
}

int host_uprobe_open(const struct host_uprobe *uprobe, uint32_t *ret_handle) {
        return -EOPNOTSUPP;
}

void host_uprobe_close(uint32_t handle) {}

int host_usdt_spec(uint32_t map, const void *key, size_t key_size, const void *value,
                   size_t value_size) {
        return -EOPNOTSUPP;
}

static int rig_id_name(const struct named_id *id, char *out, size_t room) {
        static const char *const names[_BROKER_ID_KIND_MAX][2] = {
                [BROKER_ID_USER] = { "rootuser" },
                [BROKER_ID_GROUP] = { "rootgroup" },
                [BROKER_ID_INTERFACE] = { NULL, "lo" },
        };

        if (id->id > 1 || id->netns != 0 || !names[id->kind][id->id])
                return -ENOENT;
        return snprintf(out, room, "%s", names[id->kind][id->id]);
}

int host_fd(void) {
        if (host_event_fd < 0)
                host_event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return host_event_fd;
}

enum host_event host_next(void) {
        return host_says;
}

void rig_host_says(enum host_event event) {
        uint64_t one = 1;

        host_says = event;
        assert_int_equal(write(host_fd(), &one, sizeof(one)), sizeof(one));
}

/* --- the rig --- */

struct bytes rig_object(const char *name) {
        struct buf b = BUF_INIT(LIMIT_OBJECT_SIZE_MAX);
        char path[512];
        int r;

        log_set_level(LOG_LEVEL_ERROR); /* notes about fields would fill the page */
        snprintf(path, sizeof(path), "%s/%s-%s.bpf.o", TEST_BUILD_DIR, name, TEST_ARCH);
        r = read_file_at(AT_FDCWD, path, &b);
        if (r < 0)
                fail_msg("cannot read %s: %s", path, strerror(-r));
        return BYTES(b.data, b.len);
}

int rig_open(struct rig *rig, struct bytes object, const char *definition, size_t ring_size) {
        const char *text = definition ? definition : "";

        *rig = (struct rig){
                .start = {
                        .image = "test",
                        .definition_name = "gadget.yaml",
                        .is_host_wide = true,
                        .object_fd = memfd_sealed("object", object.data, object.len),
                        .definition_fd = memfd_sealed("definition", text, strlen(text)),
                        .ring_fd = memfd_sized("ring", EVENT_RING_HEADER_SIZE + ring_size),
                        .bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                        .btf_fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC),
                        .n_cpus = (uint32_t)libbpf_num_possible_cpus(),
                },
        };
        id_names_set_source(rig_id_name);
        rig->params[0] = 0x80;
        rig->start.params = BYTES(rig->params, 1);
        rig->frame = malloc(FRAME_ROOM);
        host_says = HOST_NONE;
        assert_int_equal(ring_reader_init(&rig->reader, rig->start.ring_fd, ring_size), 0);
        return gadget_open(&rig->gadget, &rig->start, &rig->err);
}

void rig_param(struct rig *rig, const char *key, const char *value) {
        uint8_t *p = rig->params + rig->start.params.len;

        assert_true(rig->params[0] < 0x8f);
        rig->params[0]++;
        p = mp_put_str(p, key, (uint32_t)strlen(key));
        p = mp_put_str(p, value, (uint32_t)strlen(value));
        rig->start.params.len = (size_t)(p - rig->params);
}

/* The broker would find the hook; here libbpf looks for it itself, in a tracefs that the machine
 * need not have mounted. */
static void mount_tracefs(void) {
        static bool is_done;

        if (is_done)
                return;
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        if (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) < 0)
                assert_int_equal(errno, EBUSY); /* it is there already */
        is_done = true;
}

int rig_start(struct rig *rig) {
        int r;

        mount_tracefs();
        r = gadget_load(&rig->gadget, &rig->detail, &rig->err);

        if (r == 0)
                r = run_init(&rig->run, &rig->gadget, &rig->err);
        if (r == 0)
                ring_cursor_oldest(&rig->reader, &rig->cursor);
        if (r == 0)
                r = gadget_attach(&rig->gadget, &rig->err);
        return r < 0 ? r : run_attached(&rig->run, &rig->gadget, &rig->err);
}

int rig_next_row(struct rig *rig, unsigned int *ret_stream, struct mp_reader *ret_fields) {
        struct mp_reader row;
        uint32_t n;

        if (rig->n_rows == 0) {
                int r = ring_read(&rig->reader, &rig->cursor, rig->frame, FRAME_ROOM,
                                  &rig->current);

                if (r == 0) {
                        run_drain(&rig->run);
                        r = ring_read(&rig->reader, &rig->cursor, rig->frame, FRAME_ROOM,
                                      &rig->current);
                }
                assert_true(r >= 0);
                if (r == 0)
                        return 0;
                rig->n_rows = rig->current.header.n_rows;
                rig->rows = mp_reader_of(BYTES(rig->frame, rig->current.header.length));
        }
        row = rig->rows;
        assert_int_equal(mp_skip(&rig->rows), 0);
        row.end = rig->rows.pos;
        assert_int_equal(mp_read_array(&row, &n), 0);
        rig->n_rows--;
        if (rig->n_rows == 0)
                assert_ptr_equal(rig->rows.pos, rig->rows.end);
        *ret_stream = rig->current.header.stream;
        *ret_fields = row;
        return 1;
}

void rig_done(struct rig *rig) {
        run_done(&rig->run);
        gadget_done(&rig->gadget);
        ring_reader_done(&rig->reader);
        close_fd(&rig->start.object_fd);
        close_fd(&rig->start.definition_fd);
        close_fd(&rig->start.ring_fd);
        close_fd(&rig->start.bell_fd);
        close_fd(&rig->start.btf_fd);
        free(rig->detail);
        free(rig->frame);
}
