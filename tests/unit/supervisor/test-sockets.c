/* SPDX-License-Identifier: Apache-2.0 */
/* The socket enricher cannot be had, since there is no bundled store: its gadgets go on without. */
#include "tests/unit/supervisor/bed.h"

static void test_gadget_goes_on_without(void **state) {
        struct bed *bed = bed_new();
        struct peer *peer = bed_peer(bed);
        char what[32] = "";

        /* Both are answered: the second one asks after the first has been told. */
        BED_START(peer, .name = "first", .params = PARAMS("sockets", "1"), .detach = true);
        BED_START(peer, .name = "second", .params = PARAMS("sockets", "1"), .detach = true);
        assert_true(bed_list(peer, "first", what, sizeof(what)));
        assert_string_equal(what, "running");
        assert_true(bed_list(peer, "second", what, sizeof(what)));
        assert_string_equal(what, "running");
        assert_true(WAIT_UNTIL(strstr(run_err(bed->daemon), "no map: the socket enricher does not "
                                                            "run: there is no image "
                                                            "'socket_enricher'"),
                               WAIT_DEFAULT));
        assert_false(bed_list(peer, "socket-enricher", what, sizeof(what)));
        bed_stop(peer, "first");
        bed_stop(peer, "second");
        peer_free(peer);
        bed_end(bed);
}

/* Who stops while it waits, or asks twice, disturbs nobody. */
static void test_stopped_while_it_waits(void **state) {
        struct bed *bed = bed_new();
        struct peer *peer = bed_peer(bed);
        char what[32] = "";

        BED_START(peer, .name = "first", .params = PARAMS("sockets", "1"), .detach = true);
        bed_stop(peer, "first");
        BED_START(peer, .name = "second", .params = PARAMS("sockets", "1"), .detach = true);
        assert_true(bed_list(peer, "second", what, sizeof(what)));
        assert_string_equal(what, "running");
        bed_stop(peer, "second");
        peer_free(peer);
        bed_end(bed);
}

static const struct CMUnitTest tests[] = {
        BED_TEST(test_gadget_goes_on_without),
        BED_TEST(test_stopped_while_it_waits),
};
TEST_MAIN("supervisor-sockets", tests)
