/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/answer.h"

#include "base/text.h"

/* Valid UTF-8 without C0, DEL and C1. */
static bool may_be_shown(const char *text) {
        size_t n = strlen(text);

        if (n == 0 || !utf8_is_valid((const uint8_t *)text, n))
                return false;
        for (size_t i = 0; i < n; i++) {
                uint8_t c = (uint8_t)text[i];

                if (c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)text[i + 1] < 0xa0))
                        return false;
        }
        return true;
}

static int keep(char **to, const char *text) {
        if (!text || !may_be_shown(text))
                return 0;
        *to = strdup(text);
        return *to ? 0 : -ENOMEM;
}

int answer_set(struct answer *answer, const char *id, const struct msg_asked *asked) {
        int r;

        answer_done(answer);
        r = keep(&answer->id, id);
        r = r ?: keep(&answer->name, asked->name);
        r = r ?: keep(&answer->image, asked->image);
        r = r ?: keep(&answer->digest, asked->digest);
        r = r ?: keep(&answer->k8s_namespace, asked->k8s_namespace);
        r = r ?: keep(&answer->k8s_pod, asked->k8s_pod);
        r = r ?: keep(&answer->k8s_container, asked->k8s_container);
        return r ?: keep(&answer->k8s_labels, asked->k8s_labels);
}

void answer_done(struct answer *answer) {
        free(answer->id);
        free(answer->name);
        free(answer->image);
        free(answer->digest);
        free(answer->k8s_namespace);
        free(answer->k8s_pod);
        free(answer->k8s_container);
        free(answer->k8s_labels);
        *answer = (struct answer){ .id = NULL };
}

static bool fill(const char **field, const char *text) {
        char *copy = text && !*field ? strdup(text) : NULL;

        if (copy)
                *field = copy;
        return copy != NULL;
}

static bool rename_id(struct msg_container_added *info, const char *name) {
        char *copy;

        if (!name || str_eq(name, info->name ?: "") ||
            (info->name && strncmp(info->name, info->id, strlen(info->name)) != 0))
                return false;
        copy = strdup(name);
        if (!copy)
                return false;
        free((char *)(uintptr_t)info->name);
        info->name = copy;
        return true;
}

bool answer_apply(const struct answer *answer, struct msg_container_added *info) {
        bool is_new;

        if (!answer->id || !info->id || !str_eq(answer->id, info->id))
                return false;
        is_new = rename_id(info, answer->name);
        is_new |= fill(&info->image, answer->image);
        is_new |= fill(&info->digest, answer->digest);
        is_new |= fill(&info->k8s_namespace, answer->k8s_namespace);
        is_new |= fill(&info->k8s_pod, answer->k8s_pod);
        is_new |= fill(&info->k8s_container, answer->k8s_container);
        is_new |= fill(&info->k8s_labels, answer->k8s_labels);
        return is_new;
}
