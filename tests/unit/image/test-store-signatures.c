/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures beside an image: those that were there are kept, up to a bound, past which the oldest
 * goes. */
#include "image/store-signatures.h"

#include <stdio.h>

#include "gadget/api.h"
#include "tests/unit/image/store-fixture.h"

struct seen {
        unsigned int n;
        char last[64];
};

static int on_signature(void *userdata, const struct stored_signature *signature) {
        struct seen *seen = userdata;

        seen->n++;
        snprintf(seen->last, sizeof(seen->last), "%s", signature->signature ?: "");
        return 0;
}

static void test_bounded(void **state) {
        struct store_fixture *f = *state;
        char digest[DIGEST_TEXT_MAX], text[32];
        struct image_ref ref = ref_of("a:1");
        struct seen seen;

        assert_int_equal(pack_sample(f->store, "a:1", "object", digest, NULL), 0);
        for (unsigned int i = 1; i <= LIMIT_SIGNATURES_MAX + 2; i++) {
                struct error err = { 0 };

                snprintf(text, sizeof(text), "sig%u", i);
                assert_int_equal(store_add_signature(f->store, &ref, digest,
                                                     &(struct stored_signature){
                                                             .payload = BYTES(text, strlen(text)),
                                                             .signature = text },
                                                     &err),
                                 0);
                seen = (struct seen){ 0 };
                assert_int_equal(store_each_signature(f->store, digest, on_signature, &seen), 0);
                assert_int_equal(seen.n, MIN(i, (unsigned int)LIMIT_SIGNATURES_MAX));
                assert_string_equal(seen.last, text);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bounded, store_fixture_setup, store_fixture_teardown),
};

TEST_MAIN("store-signatures", tests)
