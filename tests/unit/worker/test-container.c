/* SPDX-License-Identifier: Apache-2.0 */
/* Names of containers behind an event's own fields, found by each of its ids. */
#include "worker/container.h"

#include "rig.h"
#include "tests/lib/needs.h"
#include "worker/event-filter.h"
#include "worker/program.h"

static struct {
        struct bytes object;
        struct rig rig;
        struct source *source;
        uint8_t *event;
} fx;

static int setup(void **state) {
        fx.object = rig_object("tests/unit/worker/several_ids");
        if (rig_open(&fx.rig, fx.object, NULL, 64 << 10) < 0)
                fail_msg("%s", fx.rig.err.msg);
        fx.source = &fx.rig.gadget.sources[0];
        fx.event = calloc(1, fx.source->type->size);
        return 0;
}

static int teardown(void **state) {
        container_forget_all();
        free(fx.event);
        rig_done(&fx.rig);
        free((void *)(uintptr_t)fx.object.data);
        return 0;
}

static const struct event_field *find(const char *name) {
        for (size_t i = 0; i < fx.source->type->n_fields; i++)
                if (str_eq(fx.source->type->fields[i].name, name))
                        return &fx.source->type->fields[i];
        return NULL;
}

static void put(const char *name, uint64_t id) {
        const struct event_field *f = find(name);

        assert_non_null(f);
        memcpy(fx.event + f->offset, &id, f->size);
}

/* As the broker tells it. */
static void tell(uint64_t mntns, uint64_t netns, const char *name, bool is_gone) {
        uint8_t data[BROKER_CONTAINER_SIZE_MAX];
        struct broker_container head = {
                .mntns = mntns,
                .netns = netns,
                .started_ns = 1000 * mntns,
                .pid = (uint32_t)mntns + 1,
                .is_gone = is_gone,
                .len = { [CONTAINER_NAME] = (uint16_t)strlen(name) },
        };

        memcpy(data, &head, sizeof(head));
        memcpy(data + sizeof(head), name, strlen(name));
        container_on_message(data, sizeof(head) + strlen(name));
}

static bool passes(const char *text) {
        struct run_options *o = &fx.rig.gadget.options;
        struct event_filter *f = NULL;
        bool r;

        run_options_done(o);
        assert_int_equal(run_options_set(o, RUN_OPTION_FILTER, text), 0);
        if (event_filter_new(&fx.rig.gadget, fx.source, &f, &fx.rig.err) < 0)
                fail_msg("'%s': %s", text, fx.rig.err.msg);
        r = event_filter_passes(f, fx.event, fx.source->type->size, 0);
        event_filter_free(f);
        return r;
}

/* The first ids are the event's own; the others have their names in front, and the fifth container
 * has none. */
static void test_fields(void **state) {
        assert_non_null(find("runtime.containerName"));
        assert_non_null(find("parent.runtime.containerName"));
        assert_non_null(find("peer.k8s.podName"));
        assert_non_null(find("taken_mntns_id_container.runtime.containerPid"));
        assert_null(find("taken.runtime.containerPid"));
        assert_null(find("fifth.runtime.containerName"));
}

/* Numbers that come from the container are compared like those of the event. */
static void test_filter(void **state) {
        put("mntns_id", 100);
        put("parent_mntns_id", 200);
        put("peer.netns_id", 31);
        put("peer.mntns_id", 0);
        tell(100, 30, "web", false);
        tell(200, 0, "shell", false);
        tell(300, 31, "db", false);
        assert_true(passes("runtime.containerName==web,parent.runtime.containerName==shell"));
        assert_true(passes("peer.runtime.containerName==db"));
        assert_true(passes("runtime.containerPid==101,parent.runtime.containerPid==201"));
        assert_true(passes("runtime.containerPid>100,runtime.containerPid<102"));
        assert_false(passes("runtime.containerPid!=101"));
        assert_true(passes("runtime.containerStartedAt==100000"));
        assert_false(passes("runtime.containerStartedAt<100000"));
        assert_true(passes("k8s.hostnetwork==false,parent.k8s.hostnetwork==true"));
        /* Of no container. */
        assert_true(passes("taken_mntns_id_container.runtime.containerPid==0,"
                           "taken_mntns_id_container.runtime.containerName==,"
                           "taken_mntns_id_container.k8s.hostnetwork==0"));
        tell(100, 0, "", true);
        assert_true(passes("runtime.containerPid==0,runtime.containerName=="));
}

/* A network namespace that several share does not say which one it was: they have the runtime's
 * name in common at most. */
static void test_shared_network(void **state) {
        put("mntns_id", 0);
        put("netns_id", 70);
        tell(100, 70, "web", false);
        assert_true(passes("runtime.containerName==web,runtime.containerPid==101"));
        tell(200, 70, "db", false);
        tell(300, 71, "other", false);
        assert_true(passes("runtime.containerName==,runtime.containerPid==0"));
        tell(400, 70, "cache", false);
        assert_true(passes("runtime.containerName=="));
        put("netns_id", 71);
        assert_true(passes("runtime.containerName==other"));
        /* Who is known by its mount namespace is known. */
        put("netns_id", 70);
        put("mntns_id", 200);
        assert_true(passes("runtime.containerName==db"));
        put("mntns_id", 0);
        tell(100, 0, "", true);
        tell(400, 0, "", true);
        assert_true(passes("runtime.containerName==db,runtime.containerPid==201"));
        /* All of one name, as replicas are. */
        tell(500, 70, "db", false);
        assert_true(passes("runtime.containerName==db,runtime.containerPid==0"));
        put("netns_id", 0);
        container_forget_all();
}

static void expect_row(struct mp_reader *r, const char *name, const char *container, uint64_t pid) {
        for (unsigned int i = 0; i < CONTAINER_FIELDS; i++) {
                struct mp_value v;

                assert_int_equal(mp_read(r, &v), 0);
                if (i == 0 && (v.n != strlen(container) || memcmp(v.data, container, v.n) != 0))
                        fail_msg("%s: '%.*s' in place of '%s'", name, (int)v.n, (char *)v.data,
                                 container);
                if (i == 3)
                        assert_true(v.type == MP_UINT && v.u == pid);
        }
}

/* In a row each container's fields stand where the schema says. */
static void test_row(void **state) {
        struct program program;
        struct mp_reader r;
        uint32_t n, own = 8;
        uint8_t *out, *end;

        memset(fx.event, 0, fx.source->type->size);
        put("mntns_id", 100);
        put("parent_mntns_id", 200);
        tell(100, 30, "web", false);
        tell(200, 0, "shell", false);
        assert_int_equal(program_init(&program, fx.source->type), 0);
        out = malloc(program.row_max);
        end = program_run(&program, fx.event, program.event_size, 0, out);
        r = mp_reader_of(BYTES(out, (size_t)(end - out)));
        assert_int_equal(mp_read_array(&r, &n), 0);
        assert_int_equal(n, fx.source->type->n_fields);
        assert_int_equal(n, own + CONTAINER_GROUPS_MAX * CONTAINER_FIELDS);
        while (own-- > 0)
                assert_int_equal(mp_skip(&r), 0);
        expect_row(&r, "own", "web", 101);
        expect_row(&r, "parent", "shell", 201);
        expect_row(&r, "peer", "", 0);
        expect_row(&r, "taken", "", 0);
        assert_ptr_equal(r.pos, r.end);
        free(out);
        program_done(&program);
}

/* What is malformed changes nothing. */
static void test_malformed(void **state) {
        uint8_t data[BROKER_CONTAINER_SIZE_MAX] = { 0 };
        struct broker_container head = { .mntns = 500, .len = { [CONTAINER_IMAGE] = 10 } };

        put("mntns_id", 500);
        memcpy(data, &head, sizeof(head));
        container_on_message(data, sizeof(head) - 1);
        container_on_message(data, sizeof(head) + 9);
        head.len[CONTAINER_IMAGE] = LIMIT_CONTAINER_TEXT_MAX + 1;
        memcpy(data, &head, sizeof(head));
        container_on_message(data, sizeof(data));
        assert_true(passes("runtime.containerStartedAt==0,k8s.hostnetwork==false"));
        tell(500, 0, "it", false);
        assert_true(passes("runtime.containerName==it"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),         cmocka_unit_test(test_filter),
                cmocka_unit_test(test_shared_network), cmocka_unit_test(test_row),
                cmocka_unit_test(test_malformed),
        };

        return test_main("worker-container", tests, ARRAY_SIZE(tests), setup, teardown);
}
