/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/oci.h"

#include <jansson.h>
#include <stdio.h>

#include "base/text.h"

static const struct {
        const char *key;
        enum oci_text text;
        const char *manager; /* what the presence of the key tells */
} annotations[] = {
        { "io.kubernetes.cri.container-name", OCI_K8S_CONTAINER, "containerd" },
        { "io.kubernetes.cri.container-type", OCI_K8S_KIND, "containerd" },
        { "io.kubernetes.cri.image-name", OCI_IMAGE, "containerd" },
        { "io.kubernetes.cri.sandbox-name", OCI_K8S_POD, "containerd" },
        { "io.kubernetes.cri.sandbox-namespace", OCI_K8S_NAMESPACE, "containerd" },
        { "io.kubernetes.container.name", OCI_K8S_CONTAINER, NULL },
        { "io.kubernetes.pod.name", OCI_K8S_POD, NULL },
        { "io.kubernetes.pod.namespace", OCI_K8S_NAMESPACE, NULL },
        { "io.kubernetes.cri-o.ContainerType", OCI_K8S_KIND, "cri-o" },
        { "io.kubernetes.cri-o.ImageName", OCI_IMAGE, "cri-o" },
        { "io.kubernetes.cri-o.Name", OCI_NAME, "cri-o" },
};

bool oci_is_text(const char *text, size_t n) {
        if (n == 0 || n > LIMIT_CONTAINER_TEXT_MAX || !utf8_is_valid((const uint8_t *)text, n))
                return false;
        for (size_t i = 0; i < n; i++) {
                uint8_t c = (uint8_t)text[i];

                /* C1 controls are U+0080 to U+009F. */
                if (c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)text[i + 1] < 0xa0))
                        return false;
        }
        return true;
}

static void keep_n(struct oci_info *info, enum oci_text which, const char *text, size_t n) {
        if (!oci_is_text(text, n))
                return;
        memcpy(info->text[which], text, n);
        info->text[which][n] = '\0';
}

static void keep(struct oci_info *info, enum oci_text which, const json_t *value) {
        if (json_is_string(value))
                keep_n(info, which, json_string_value(value), json_string_length(value));
}

static void keep_annotation(struct oci_info *info, const char *key, size_t n_key, const char *value,
                            size_t n) {
        static const char manager_key[] = "io.container.manager";

        if (n_key == sizeof(manager_key) - 1 && memcmp(key, manager_key, n_key) == 0 && n == 6 &&
            memcmp(value, "libpod", 6) == 0)
                keep_n(info, OCI_MANAGER, "podman", 6);
        for (size_t i = 0; i < ARRAY_SIZE(annotations); i++) {
                const char *manager = annotations[i].manager;

                if (strlen(annotations[i].key) != n_key ||
                    memcmp(annotations[i].key, key, n_key) != 0)
                        continue;
                keep_n(info, annotations[i].text, value, n);
                if (manager)
                        keep_n(info, OCI_MANAGER, manager, strlen(manager));
        }
}

/* runc keeps annotations as "key=value", and the bundle among them. */
static void keep_label(struct oci_info *info, const json_t *label) {
        const char *text = json_string_value(label), *equals = text ? strchr(text, '=') : NULL;
        size_t n;

        if (!equals)
                return;
        n = json_string_length(label) - (size_t)(equals + 1 - text);
        if ((size_t)(equals - text) == 6 && memcmp(text, "bundle", 6) == 0)
                keep_n(info, OCI_BUNDLE, equals + 1, n);
        else
                keep_annotation(info, text, (size_t)(equals - text), equals + 1, n);
}

static void keep_pid(struct oci_info *info, const json_t *value) {
        json_int_t pid = json_integer_value(value);

        if (pid > 0 && pid <= INT32_MAX)
                info->pid = (uint32_t)pid;
}

bool oci_parse(struct bytes json, struct oci_info *ret) {
        struct oci_info info = { 0 };
        const json_t *labels, *value;
        const char *key;
        json_t *root;
        size_t i;

        root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(root)) {
                json_decref(root);
                return false;
        }
        keep(&info, OCI_ID, json_object_get(root, "id"));
        keep(&info, OCI_BUNDLE, json_object_get(root, "bundle"));
        keep(&info, OCI_ROOTFS, json_object_get(root, "rootfs"));
        keep(&info, OCI_ROOTFS, json_object_get(json_object_get(root, "root"), "path"));
        keep(&info, OCI_ROOTFS, json_object_get(json_object_get(root, "config"), "rootfs"));
        keep_pid(&info, json_object_get(root, "init_process_pid"));
        keep_pid(&info, json_object_get(root, "pid"));
        labels = json_object_get(json_object_get(root, "config"), "labels");
        json_array_foreach(labels, i, value) keep_label(&info, value);
        json_object_foreach(json_object_get(root, "annotations"), key, value) {
                if (json_is_string(value))
                        keep_annotation(&info, key, strlen(key), json_string_value(value),
                                        json_string_length(value));
        }
        json_decref(root);
        *ret = info;
        return true;
}
