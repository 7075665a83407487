/* SPDX-License-Identifier: Apache-2.0 */
#include "gadget/api.h"
#include "watcher/ask.h"
#include "watcher/containerd.pb-c.h"
#include "watcher/cri.pb-c.h"

#define CONTAINERS "/containerd.services.containers.v1.Containers/Get"
#define IMAGES "/containerd.services.images.v1.Images/Get"
#define CONTAINER_STATUS "/runtime.v1.RuntimeService/ContainerStatus"
#define SANDBOX_STATUS "/runtime.v1.RuntimeService/PodSandboxStatus"

/* Every request here is one text, the first field. */
static int call(struct http *http, const char *method, const char *namespace, const char *key,
                struct buf *ret) {
        const Containerd__GetRequest request = { PROTOBUF_C_MESSAGE_INIT(
                                                         &containerd__get_request__descriptor),
                                                 (char *)(uintptr_t)key };
        uint8_t packed[LIMIT_CONTAINER_TEXT_MAX + 8] = { 0 };

        if (containerd__get_request__get_packed_size(&request) > sizeof(packed))
                return -EINVAL;
        return http_call(http, method, namespace,
                         BYTES(packed, containerd__get_request__pack(&request, packed)), ret);
}

/* --- containerd --- */

static int get_image(struct http *http, const char *namespace, const char *name, struct buf *body,
                     struct oci_info *info) {
        Containerd__GetImageResponse *response;
        int r = call(http, IMAGES, namespace, name, body);

        if (r < 0)
                return r;
        response = containerd__get_image_response__unpack(NULL, body->len, body->data);
        if (!response)
                return -EBADMSG;
        if (response->image && response->image->target)
                ask_keep_digest(info, response->image->target->digest);
        containerd__get_image_response__free_unpacked(response, NULL);
        return 0;
}

static int get_container(struct http *http, const char *namespace, const char *id, struct buf *body,
                         struct oci_info *info) {
        Containerd__GetContainerResponse *response;
        int r = call(http, CONTAINERS, namespace, id, body);

        if (r < 0)
                return r;
        response = containerd__get_container_response__unpack(NULL, body->len, body->data);
        if (!response)
                return -EBADMSG;
        if (response->container && str_eq(response->container->id, id))
                ask_keep(info, OCI_IMAGE, response->container->image);
        else
                r = -EBADMSG;
        containerd__get_container_response__free_unpacked(response, NULL);
        if (r == 0 && info->text[OCI_IMAGE][0])
                r = get_image(http, namespace, info->text[OCI_IMAGE], body, info);
        return r;
}

int ask_containerd(struct http *http, const char *id, const char *namespace,
                   struct oci_info *info) {
        cleanup_buf struct buf body = BUF_INIT(LIMIT_RUNTIME_ANSWER_MAX);

        return get_container(http, namespace, id, &body, info);
}

/* --- CRI --- */

static int by_key(const void *a, const void *b) {
        const Cri__PodSandboxStatus__LabelsEntry *const *x = a, *const *y = b;

        return strcmp((*x)->key, (*y)->key);
}

static void keep_sandbox(const Cri__PodSandboxStatus *status, struct oci_info *info) {
        if (status->metadata) {
                ask_keep(info, OCI_K8S_POD, status->metadata->name);
                ask_keep(info, OCI_K8S_NAMESPACE, status->metadata->namespace_);
        }
        /* They come in any order. */
        if (status->n_labels > 0)
                qsort(status->labels, status->n_labels, sizeof(*status->labels), by_key);
        /* The runtime's own are those of the pod's name and uid. */
        for (size_t i = 0; i < status->n_labels; i++)
                if (strncmp(status->labels[i]->key, "io.kubernetes.", 14) != 0)
                        oci_add_label(info->labels, sizeof(info->labels), status->labels[i]->key,
                                      status->labels[i]->value);
}

static int get_sandbox(struct http *http, const char *id, struct buf *body, struct oci_info *info) {
        Cri__PodSandboxStatusResponse *response;
        int r = call(http, SANDBOX_STATUS, NULL, id, body);

        if (r < 0)
                return r;
        response = cri__pod_sandbox_status_response__unpack(NULL, body->len, body->data);
        if (!response)
                return -EBADMSG;
        if (response->status && str_eq(response->status->id, id))
                keep_sandbox(response->status, info);
        else
                r = -EBADMSG;
        cri__pod_sandbox_status_response__free_unpacked(response, NULL);
        return r;
}

static void keep_status(const Cri__ContainerStatus *status, struct oci_info *info) {
        if (status->metadata)
                ask_keep(info, OCI_K8S_CONTAINER, status->metadata->name);
        if (status->image)
                ask_keep(info, OCI_IMAGE, status->image->image);
        /* Without a name before it, that is the image's id. */
        if (strchr(status->image_ref, '@'))
                ask_keep_digest(info, status->image_ref);
}

int ask_cri(struct http *http, const char *id, const char *sandbox, struct oci_info *info) {
        cleanup_buf struct buf body = BUF_INIT(LIMIT_RUNTIME_ANSWER_MAX);
        Cri__ContainerStatusResponse *response;
        int r = sandbox ? get_sandbox(http, sandbox, &body, info) : 0;

        if (r < 0)
                return r;
        r = call(http, CONTAINER_STATUS, NULL, id, &body);
        if (r < 0)
                return r;
        response = cri__container_status_response__unpack(NULL, body.len, body.data);
        if (!response)
                return -EBADMSG;
        if (response->status && str_eq(response->status->id, id))
                keep_status(response->status, info);
        else
                r = -EBADMSG;
        cri__container_status_response__free_unpacked(response, NULL);
        return r;
}
