/* SPDX-License-Identifier: Apache-2.0 */
/* Image references: what parses is canonical after one round, and holds nothing that a path or URL
 * minds. */
#include <stdio.h>

#include "image/ref.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char first[LIMIT_IMAGE_REF_MAX + 1], second[LIMIT_IMAGE_REF_MAX + 1];
        cleanup_free char *text = malloc(size + 1);
        struct image_ref ref, again;

        MUST(text);
        memcpy(text, data, size);
        text[size] = '\0';
        if (image_ref_parse(text, &ref, NULL) < 0)
                return 0;
        image_ref_format(&ref, first, sizeof(first));
        MUST(image_ref_parse(first, &again, NULL) == 0);
        image_ref_format(&again, second, sizeof(second));
        MUST(str_eq(first, second));
        MUST(!strstr(first, "/.") && first[0] != '.' &&
             first[0] != '/'); /* dots in a tag are fine */
        MUST(ref.digest[0] == '\0' || digest_is_valid(ref.digest));
        for (const char *p = first; *p; p++)
                MUST(*p > ' ' && *p < 0x7f);
        return 0;
}
