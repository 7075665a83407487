/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kernel/sdk/lab.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"

#define LOST_MAP "events_lost_samples"

/* What kernel 5.4 did not have of the helpers for which the SDK has another branch. */
static const char *const newer_helpers[] = {
        "BPF_FUNC_ringbuf_output",  "BPF_FUNC_ringbuf_reserve",      "BPF_FUNC_ringbuf_submit",
        "BPF_FUNC_ringbuf_discard", "BPF_FUNC_get_current_task_btf", "BPF_FUNC_task_pt_regs",
};

int lab_mount_tracefs(void **state) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) < 0 && errno != EBUSY)) {
                print_error("mounting tracefs: %s\n", strerror(errno));
                return -1;
        }
        return 0;
}

/* A file with the kernel's BTF in which these enumerators have other names. */
static void write_old_btf(char path[static 64]) {
        cleanup_close int fd = -1;
        cleanup_close int out_fd = -1;
        struct buf btf = BUF_INIT(64u << 20);

        fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(read_fd(fd, &btf), 0);
        for (size_t i = 0; i < ARRAY_SIZE(newer_helpers); i++) {
                const char *name = newer_helpers[i];
                uint8_t *at = memmem(btf.data, btf.len, name, strlen(name) + 1);

                if (at) /* else the kernel is an old one */
                        memset(at, '_', strlen("BPF_FUNC"));
        }
        snprintf(path, 64, "/tmp/lab-btf-XXXXXX");
        out_fd = mkostemp(path, O_CLOEXEC);
        assert_true(out_fd >= 0);
        assert_int_equal(write_all(out_fd, btf.data, btf.len), 0);
        buf_done(&btf);
}

/* What gadgetd does for a map of GADGET_TRACER_MAP() where there is no ring buffer. */
static void use_perf_array(struct bpf_object *object) {
        struct bpf_map *events = bpf_object__find_map_by_name(object, "events");

        assert_non_null(events);
        assert_int_equal(bpf_map__set_type(events, BPF_MAP_TYPE_PERF_EVENT_ARRAY), 0);
        assert_int_equal(bpf_map__set_key_size(events, sizeof(uint32_t)), 0);
        assert_int_equal(bpf_map__set_value_size(events, sizeof(uint32_t)), 0);
        assert_int_equal(bpf_map__set_max_entries(events, (uint32_t)libbpf_num_possible_cpus()), 0);
}

void lab_open(struct lab *lab, const char *path, enum lab_kernel kernel) {
        LIBBPF_OPTS(bpf_object_open_opts, opts);

        *lab = (struct lab){ 0 };
        if (kernel == LAB_OLD_KERNEL) {
                write_old_btf(lab->btf_path);
                opts.btf_custom_path = lab->btf_path;
        }
        lab->object = bpf_object__open_file(path, &opts);
        if (!lab->object)
                fail_msg("%s: %s", path, strerror(errno));
        if (kernel == LAB_OLD_KERNEL)
                use_perf_array(lab->object);
}

void lab_set(struct lab *lab, const char *variable, const void *value, size_t size) {
        struct bpf_map *map = bpf_object__find_map_by_name(lab->object, ".rodata");
        const struct btf *btf = bpf_object__btf(lab->object);
        const struct btf_type *section;
        const struct btf_var_secinfo *var;
        size_t map_size;
        uint8_t *data = (uint8_t *)bpf_map__initial_value(map, &map_size);
        int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);

        assert_true(id > 0);
        section = btf__type_by_id(btf, (uint32_t)id);
        var = btf_var_secinfos(section);
        for (unsigned i = 0; i < btf_vlen(section); i++, var++) {
                const struct btf_type *type = btf__type_by_id(btf, var->type);

                if (!str_eq(btf__name_by_offset(btf, type->name_off), variable))
                        continue;
                assert_int_equal(var->size, size);
                memcpy(data + var->offset, value, size);
                return;
        }
        fail_msg("no variable '%s'", variable);
}

void lab_set_u32(struct lab *lab, const char *variable, uint32_t value) {
        lab_set(lab, variable, &value, sizeof(value));
}

void lab_set_bool(struct lab *lab, const char *variable, bool value) {
        lab_set(lab, variable, &value, sizeof(value));
}

static int on_sample(void *ctx, void *data, size_t len) {
        struct lab *lab = ctx;
        struct sample *sample;

        lab->n_received++;
        if (lab->n_samples == LAB_SAMPLES_MAX)
                return 0;
        /* With zeros behind it, as its reader is to see it. */
        sample = calloc(1, sizeof(*sample) + MAX(len, 16384u));
        assert_non_null(sample);
        sample->len = len;
        memcpy(sample->data, data, len);
        lab->samples[lab->n_samples++] = sample;
        return 0;
}

static void on_perf_sample(void *ctx, int cpu, void *data, uint32_t len) {
        on_sample(ctx, data, len);
}

void lab_start(struct lab *lab) {
        struct bpf_program *program;
        struct bpf_map *events = bpf_object__find_map_by_name(lab->object, "events");
        int r = bpf_object__load(lab->object);

        if (r < 0)
                fail_msg("loading '%s': %s", bpf_object__name(lab->object), strerror(-r));

        /* First: a perf buffer that nobody has opened loses what it is sent. */
        if (bpf_map__type(events) == BPF_MAP_TYPE_RINGBUF)
                lab->ring = ring_buffer__new(bpf_map__fd(events), on_sample, lab, NULL);
        else
                lab->perf =
                        perf_buffer__new(bpf_map__fd(events), 8, on_perf_sample, NULL, lab, NULL);
        assert_true(lab->ring || lab->perf);

        bpf_object__for_each_program(program, lab->object) {
                struct bpf_link *link = bpf_program__attach(program);

                if (!link)
                        fail_msg("attaching '%s': %s", bpf_program__name(program), strerror(errno));
                assert_true(lab->n_links < LAB_LINKS_MAX);
                lab->links[lab->n_links++] = link;
        }

        /* Attaching opens files, which the first program has already seen. */
        lab_drain(lab);
        lab_forget(lab);
}

void lab_drain(struct lab *lab) {
        if (lab->ring)
                assert_true(ring_buffer__consume(lab->ring) >= 0);
        else
                assert_true(perf_buffer__consume(lab->perf) >= 0);
}

uint64_t lab_lost(struct lab *lab) {
        uint64_t counts[256] = { 0 };
        uint64_t sum = 0;
        uint32_t zero = 0;
        int fd = bpf_object__find_map_fd_by_name(lab->object, LOST_MAP);
        int n_cpus = libbpf_num_possible_cpus();

        assert_in_range(n_cpus, 1, ARRAY_SIZE(counts));
        assert_int_equal(bpf_map_lookup_elem(fd, &zero, counts), 0);
        for (int i = 0; i < n_cpus; i++)
                sum += counts[i];
        return sum;
}

uint64_t lab_map_bytes(struct lab *lab) {
        struct bpf_map *map;
        uint64_t sum = 0;

        bpf_object__for_each_map(map, lab->object) {
                unsigned long long bytes = 0;
                char path[64];
                char line[128];
                FILE *f;

                snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
                f = fopen(path, "re");
                assert_non_null(f);
                while (fgets(line, sizeof(line), f))
                        (void)sscanf(line, "memlock: %llu", &bytes);
                fclose(f);
                if (bytes == 0) /* up to 6.4 the kernel does not count rings */
                        bytes = bpf_map__max_entries(map);
                sum += bytes;
        }
        return sum;
}

void lab_forget(struct lab *lab) {
        for (size_t i = 0; i < lab->n_samples; i++)
                free(lab->samples[i]);
        lab->n_samples = 0;
        lab->n_received = 0;
}

void lab_done(struct lab *lab) {
        for (size_t i = 0; i < lab->n_links; i++)
                bpf_link__destroy(lab->links[i]);
        ring_buffer__free(lab->ring);
        perf_buffer__free(lab->perf);
        bpf_object__close(lab->object);
        lab_forget(lab);
        if (lab->btf_path[0] != '\0')
                unlink(lab->btf_path);
        *lab = (struct lab){ 0 };
}

/* The member of that name, also inside anonymous structs and unions. */
static bool find_member(const struct btf *btf, uint32_t id, const char *name, size_t len,
                        size_t *offset, uint32_t *ret_type) {
        const struct btf_type *type = btf__type_by_id(btf, (uint32_t)btf__resolve_type(btf, id));
        const struct btf_member *member = btf_members(type);

        assert_true(btf_is_composite(type));
        for (unsigned i = 0; i < btf_vlen(type); i++, member++) {
                const char *member_name = btf__name_by_offset(btf, member->name_off);
                size_t inner = *offset + btf_member_bit_offset(type, i) / 8;

                if (strlen(member_name) == len && memcmp(member_name, name, len) == 0) {
                        *offset = inner;
                        *ret_type = member->type;
                        return true;
                }
                if (member_name[0] == '\0' &&
                    find_member(btf, member->type, name, len, &inner, ret_type)) {
                        *offset = inner;
                        return true;
                }
        }
        return false;
}

size_t lab_offset(struct lab *lab, const char *field, size_t *ret_size) {
        const struct btf *btf = bpf_object__btf(lab->object);
        int id = btf__find_by_name_kind(btf, "event", BTF_KIND_STRUCT);
        uint32_t type = (uint32_t)id;
        size_t offset = 0;
        const char *rest = field;

        assert_true(id > 0);
        while (*rest != '\0') {
                size_t len = strcspn(rest, ".");

                if (!find_member(btf, type, rest, len, &offset, &type))
                        fail_msg("no field '%s'", field);
                rest += len;
                rest += *rest == '.';
        }
        if (ret_size)
                *ret_size = (size_t)btf__resolve_size(btf, type);
        return offset;
}

uint64_t sample_uint(struct lab *lab, const struct sample *sample, const char *field) {
        uint64_t value = 0;
        size_t size;
        size_t offset = lab_offset(lab, field, &size);

        assert_in_range(size, 1, sizeof(value));
        memcpy(&value, sample->data + offset, size);
        return value;
}

int64_t sample_int(struct lab *lab, const struct sample *sample, const char *field) {
        size_t size;
        unsigned shift;

        (void)lab_offset(lab, field, &size);
        shift = (unsigned)(sizeof(uint64_t) - size) * 8;
        return (int64_t)(sample_uint(lab, sample, field) << shift) >> shift;
}

const char *sample_str(struct lab *lab, const struct sample *sample, const char *field) {
        static char text[16384];
        size_t size;
        size_t offset = lab_offset(lab, field, &size);

        assert_true(size < sizeof(text));
        memcpy(text, sample->data + offset, size);
        text[size] = '\0';
        return text;
}
