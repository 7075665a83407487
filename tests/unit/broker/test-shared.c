/* SPDX-License-Identifier: Apache-2.0 */
/* The map that others fill: what a worker may do with it (nothing), and how programs come to it. */
#include <fcntl.h>

#include "tests/unit/broker/bed.h"

#define WHY "only its programs read"

/* The bed's first map is the shared one. */
static void share(struct bed *bed) {
        struct object *map;

        bed_init(bed);
        map = objects_find(&bed->broker->objects, MAP);
        map->map.is_shared = true;
        map->map.twin_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int deliver(struct bed *bed, struct example *m, struct error *err) {
        struct reply reply = { .fd = -1, .payload = BUF_INIT(1 << 20) };
        struct assembler assembler = { 0 };
        struct request request;
        int r;

        *err = (struct error){ 0 };
        assert_int_equal(
                assemble(&assembler, PHASE_LOADING, (uint8_t *)m, size_of(m), &request, err), 1);
        r = request_table[request.type].handler(bed->broker, &request, &reply, err);
        if (reply.is_fd_ours)
                close_fd(&reply.fd);
        buf_done(&reply.payload);
        assembler_done(&assembler);
        return r;
}

static void test_no_worker_touches_it(void **state) {
        static const enum broker_type types[] = {
                BROKER_MAP_LOOKUP,   BROKER_MAP_LOOKUP_DELETE, BROKER_MAP_UPDATE, BROKER_MAP_DELETE,
                BROKER_MAP_NEXT_KEY, BROKER_MAP_BATCH,         BROKER_MAP_FREEZE, BROKER_MAP_FD,
        };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                struct example m;
                struct error err;
                struct bed bed;

                share(&bed);
                make_good(&m, types[i]);
                if (deliver(&bed, &m, &err) >= 0 || !strstr(err.msg, WHY))
                        fail_msg("%s: '%s'", request_table[types[i]].name, err.msg);
                bed_done(&bed);
        }
}

/* Not as an element of another map, and not as what an iterator walks over: both can write. */
static void test_no_way_around(void **state) {
        struct broker_link_create link = { .prog = PROG,
                                           .target = BROKER_HANDLE_NONE,
                                           .attach_type = BPF_TRACE_ITER,
                                           .iter_map = MAP };
        struct broker_map_elem elem = { .map = ARRAY, .has_key = 1 };
        const uint32_t handle = MAP;
        struct example m;
        struct error err;
        struct bed bed;

        share(&bed);
        objects_find(&bed.broker->objects, ARRAY)->map.type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
        make_good(&m, BROKER_MAP_UPDATE);
        m.frame.total = sizeof(elem) + 4 + 4;
        memcpy(m.data, &elem, sizeof(elem));
        memset(m.data + sizeof(elem), 0, 4);
        memcpy(m.data + sizeof(elem) + 4, &handle, sizeof(handle));
        assert_true(deliver(&bed, &m, &err) < 0);
        assert_non_null(strstr(err.msg, WHY));
        bed_done(&bed);

        share(&bed);
        make_good(&m, BROKER_LINK_CREATE);
        memcpy(m.data, &link, sizeof(link));
        objects_find(&bed.broker->objects, PROG)->prog.type = BPF_PROG_TYPE_TRACING;
        objects_find(&bed.broker->objects, PROG)->prog.attach_type = BPF_TRACE_ITER;
        assert_true(deliver(&bed, &m, &err) < 0);
        assert_non_null(strstr(err.msg, WHY));
        bed_done(&bed);
}

/* The verifier is asked twice: with the twin, and with the map if it took that. */
static void test_programs_are_tried(void **state) {
        struct example m;
        struct error err;
        struct bed bed;

        share(&bed);
        make_good(&m, BROKER_PROG_LOAD);
        bed_bpf_calls[BPF_PROG_LOAD] = 0;
        assert_int_equal(deliver(&bed, &m, &err), 0);
        assert_int_equal(bed_bpf_calls[BPF_PROG_LOAD], 2);
        bed_done(&bed);

        share(&bed);
        make_good(&m, BROKER_PROG_LOAD);
        bed_bpf_calls[BPF_PROG_LOAD] = 0;
        bed_log_size = 10;
        assert_int_equal(deliver(&bed, &m, &err), 0);
        bed_log_size = 0;
        assert_int_equal(bed_bpf_calls[BPF_PROG_LOAD], 1);
        bed_done(&bed);

        /* Without a shared map once is enough. */
        bed_init(&bed);
        make_good(&m, BROKER_PROG_LOAD);
        bed_bpf_calls[BPF_PROG_LOAD] = 0;
        assert_int_equal(deliver(&bed, &m, &err), 0);
        assert_int_equal(bed_bpf_calls[BPF_PROG_LOAD], 1);
        bed_done(&bed);
}

/* Instructions refer to twins and back to the maps; others stay. */
static void test_exchange(void **state) {
        struct bpf_insn insns[] = {
                { .code = BPF_LD | BPF_IMM | BPF_DW, .src_reg = BPF_PSEUDO_MAP_FD },
                { 0 },
                { .code = BPF_LD | BPF_IMM | BPF_DW, .src_reg = BPF_PSEUDO_MAP_FD },
                { 0 },
                { .code = BPF_LD | BPF_IMM | BPF_DW }, /* a number that happens to be the same */
                { 0 },
        };
        const struct object *shared, *other;
        struct bed bed;

        share(&bed);
        shared = objects_find(&bed.broker->objects, MAP);
        other = objects_find(&bed.broker->objects, FILTER);
        insns[0].imm = insns[4].imm = shared->fd;
        insns[2].imm = other->fd;
        assert_true(shared_use_twins(bed.broker, insns, ARRAY_SIZE(insns)));
        assert_int_equal(insns[0].imm, shared->map.twin_fd);
        assert_int_equal(insns[2].imm, other->fd);
        assert_int_equal(insns[4].imm, shared->fd);
        shared_use_maps(bed.broker, insns, ARRAY_SIZE(insns));
        assert_int_equal(insns[0].imm, shared->fd);
        assert_false(shared_use_twins(bed.broker, insns + 2, ARRAY_SIZE(insns) - 2));
        bed_done(&bed);
}

static void test_taken_only_in_shape(void **state) {
        struct broker_map_create create = { .map_type = BPF_MAP_TYPE_HASH,
                                            .key_size = 12,
                                            .value_size = 88,
                                            .name = BROKER_SHARED_MAP_READ };
        struct error err;
        struct bed bed;
        int fd = -1;

        bed_init(&bed);
        /* There is none. */
        assert_int_equal(shared_take(bed.broker, &create, &fd, &err), 0);
        bed.broker->shared.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        bed.broker->shared.shape = (struct broker_shared_map){ .key_size = 12, .value_size = 88 };
        assert_int_equal(shared_take(bed.broker, &create, &fd, &err), 1);
        assert_true(fd >= 0);
        close(fd);
        create.value_size = 80;
        assert_int_equal(shared_take(bed.broker, &create, &fd, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "another shape"));
        create = (struct broker_map_create){ .map_type = BPF_MAP_TYPE_HASH, .name = "other" };
        assert_int_equal(shared_take(bed.broker, &create, &fd, &err), 0);
        bed_done(&bed);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_worker_touches_it), cmocka_unit_test(test_no_way_around),
        cmocka_unit_test(test_programs_are_tried),   cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_taken_only_in_shape),
};
TEST_MAIN("broker-shared", tests)
