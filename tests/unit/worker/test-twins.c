/* SPDX-License-Identifier: Apache-2.0 */
/* Twins: which fields have one, under which name, and which of both is shown. */
#include "rig.h"
#include "tests/lib/needs.h"

#define ENRICHED "tests/gadgets/enriched"
#define FIELDS "datasources:\n  enriched:\n    fields:\n"

static struct bytes object;

static int setup(void **state) {
        object = rig_object(ENRICHED);
        return 0;
}

static int teardown(void **state) {
        free((void *)(uintptr_t)object.data);
        return 0;
}

static const struct event_field *find(const struct rig *rig, const char *name) {
        const struct event_type *type = rig->gadget.sources[0].type;

        for (size_t i = 0; i < type->n_fields; i++)
                if (str_eq(type->fields[i].name, name))
                        return &type->fields[i];
        return NULL;
}

static const struct event_field *field(const struct rig *rig, const char *name) {
        const struct event_field *f = find(rig, name);

        if (!f)
                fail_msg("no field '%s'", name);
        return f;
}

static void test_names_and_places(void **state) {
        static const struct {
                const char *of, *twin;
                enum enrich enrich;
                bool is_twin_hidden, is_raw_hidden;
        } expected[] = {
                { "loopback_ifindex", "loopback_ifname", ENRICH_INTERFACE, true, false },
                { "interface_raw", "interface", ENRICH_INTERFACE, false, true },
                { "team_raw", "team", ENRICH_GROUP, true, false },
        };
        struct rig rig;

        assert_int_equal(rig_open(&rig, object, NULL, 64 << 10), 0);
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                const struct event_field *of = field(&rig, expected[i].of);
                const struct event_field *twin = field(&rig, expected[i].twin);

                assert_ptr_equal(twin, of + 1);
                assert_int_equal(twin->kind, FIELD_STR);
                assert_int_equal(twin->enrich, expected[i].enrich);
                assert_int_equal(twin->offset, of->offset);
                assert_true(twin->flags & FIELD_ADDED);
                assert_int_equal((twin->flags & FIELD_HIDDEN) != 0, expected[i].is_twin_hidden);
                assert_int_equal((of->flags & FIELD_HIDDEN) != 0, expected[i].is_raw_hidden);
        }
        /* Interfaces know whose numbers theirs are. */
        assert_int_equal(field(&rig, "interface")->extra_offset, field(&rig, "netns_id")->offset);
        assert_int_equal(field(&rig, "team")->extra_offset, NO_OFFSET);
        /* Without a name for it there is none. */
        assert_string_equal(field(&rig, "nowhere")[1].name, "owner");
        assert_string_equal(field(&rig, "owner")[1].name, "team_raw");
        /* Names of hosts are nothing but text. */
        assert_null(find(&rig, "host_raw"));
        assert_int_equal(field(&rig, "host")->enrich, ENRICH_DNS_NAME);
        assert_int_equal(field(&rig, "host")->size, 32);
        rig_done(&rig);
}

static void test_definition_names_them(void **state) {
        struct rig rig;

        assert_int_equal(rig_open(&rig, object,
                                  FIELDS "      owner:\n"
                                         "        annotations: { uidgidresolver.target: boss }\n"
                                         "      boss:\n"
                                         "        annotations: { columns.hidden: false }\n"
                                         "      team_raw:\n"
                                         "        annotations: { uidgidresolver.target: crew }\n",
                                  64 << 10),
                         0);
        assert_int_equal(field(&rig, "boss")->enrich, ENRICH_USER);
        assert_false(field(&rig, "boss")->flags & FIELD_HIDDEN);
        assert_int_equal(field(&rig, "crew")->enrich, ENRICH_GROUP);
        assert_null(find(&rig, "team"));
        rig_done(&rig);
}

/* What the gadget calls so itself stays. */
static void test_taken_names(void **state) {
        struct rig rig;

        assert_int_equal(rig_open(&rig, object,
                                  FIELDS "      owner:\n"
                                         "        annotations: { uidgidresolver.target: plain }\n",
                                  64 << 10),
                         0);
        assert_int_equal(field(&rig, "plain")->enrich, ENRICH_DNS_NAME);
        assert_string_equal(field(&rig, "owner")[1].name, "team_raw");
        rig_done(&rig);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_places),
        cmocka_unit_test(test_definition_names_them),
        cmocka_unit_test(test_taken_names),
};

TEST_MAIN_SETUP("worker-twins", tests, setup, teardown)
