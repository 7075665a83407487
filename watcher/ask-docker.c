/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>

#include "gadget/api.h"
#include "watcher/ask.h"

bool ask_is_id(const char *id) {
        size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:");

        return n > 0 && n <= LIMIT_CONTAINER_TEXT_MAX && id[n] == '\0' && id[0] != '.';
}

void ask_keep(struct oci_info *info, enum oci_text which, const char *text) {
        if (text && oci_is_text(text, strlen(text)))
                snprintf(info->text[which], sizeof(info->text[which]), "%s", text);
}

void ask_keep_digest(struct oci_info *info, const char *reference) {
        const char *at = strrchr(reference, '@'), *digest = at ? at + 1 : reference;

        if (strncmp(digest, "sha256:", 7) == 0 && strspn(digest + 7, "0123456789abcdef") == 64 &&
            strlen(digest) == 7 + 64)
                ask_keep(info, OCI_DIGEST, digest);
}

static const char *text_of(const json_t *object, const char *key) {
        return json_string_value(json_object_get(object, key));
}

bool ask_parse_container(struct bytes json, const char *id, struct oci_info *info) {
        json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
        const char *found = text_of(root, "Id"), *name = text_of(root, "Name");
        bool is_it = found && str_eq(found, id);

        if (is_it) {
                ask_keep(info, OCI_NAME, name ? name + (name[0] == '/') : NULL);
                ask_keep(info, OCI_IMAGE, text_of(json_object_get(root, "Config"), "Image"));
                ask_keep(info, OCI_IMAGE_ID, text_of(root, "Image"));
        }
        json_decref(root);
        return is_it;
}

bool ask_parse_image(struct bytes json, struct oci_info *info) {
        json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
        const json_t *digests = json_object_get(root, "RepoDigests");
        const char *first = json_string_value(json_array_get(digests, 0));

        if (first)
                ask_keep_digest(info, first);
        json_decref(root);
        return root != NULL;
}

int ask_docker(struct http *http, const char *id, struct oci_info *info) {
        cleanup_buf struct buf body = BUF_INIT(LIMIT_RUNTIME_ANSWER_MAX);
        char path[LIMIT_CONTAINER_TEXT_MAX + 32];
        int r;

        snprintf(path, sizeof(path), "/containers/%s/json", id);
        r = http_get(http, path, &body);
        if (r < 0)
                return r;
        if (!ask_parse_container(BYTES(body.data, body.len), id, info))
                return -EBADMSG;
        if (!ask_is_id(info->text[OCI_IMAGE_ID]))
                return 0;
        snprintf(path, sizeof(path), "/images/%s/json", info->text[OCI_IMAGE_ID]);
        buf_reset(&body);
        r = http_get(http, path, &body);
        if (r < 0)
                return r;
        return ask_parse_image(BYTES(body.data, body.len), info) ? 0 : -EBADMSG;
}
