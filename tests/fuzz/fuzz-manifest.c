/* SPDX-License-Identifier: Apache-2.0 */
/* OCI documents: whatever parses has valid digests only, and is printed as what parses again. */
#include <stdio.h>

#include "image/manifest.h"
#include "image/store.h"
#include "tests/fuzz/fuzz.h"

static void check_descriptor(const struct descriptor *d) {
        MUST(d->media_type && digest_is_valid(d->digest));
        MUST(!d->architecture == !d->os);
        (void)annotation_get(d->annotations, ANNOTATION_CREATED);
}

static void check_document(const struct document *doc, const char *media_type) {
        cleanup_document struct document again = { 0 };
        cleanup_free char *text = NULL;
        size_t n;

        MUST(str_eq(doc->media_type, media_type));
        if (doc->kind == DOCUMENT_MANIFEST)
                check_descriptor(&doc->config);
        MUST(doc->n_entries <= MANIFEST_ENTRIES_MAX);
        for (size_t i = 0; i < doc->n_entries; i++)
                check_descriptor(&doc->entries[i]);

        MUST(json_print(doc->root, &text, &n) == 0);
        MUST(document_parse(BYTES(text, n), media_type, &again, NULL) == 0);
        MUST(again.n_entries == doc->n_entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const types[] = { MEDIA_TYPE_MANIFEST, MEDIA_TYPE_INDEX,
                                             MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_DOCKER_INDEX };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                cleanup_document struct document doc = { 0 };
                struct error err = { 0 };

                if (document_parse(BYTES(data, size), types[i], &doc, &err) < 0)
                        MUST(err.code != ERROR_NONE && err.msg[0] != '\0');
                else
                        check_document(&doc, types[i]);
        }
        return 0;
}
