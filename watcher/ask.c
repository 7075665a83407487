/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/ask.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/parse.h"
#include "gadget/api.h"
#include "ipc/channel.h"

#define TIMEOUT (2 * NSEC_PER_SEC)
#define QUEUE_MAX (1u << 20)

struct asker {
        struct loop *loop;
        struct channel *channel;
};

static bool on_permit(void *owner, enum message_type type) {
        (void)owner;
        return type == MSG_ASK;
}

static int ask(const struct msg_ask *question, int *fds, size_t n_fds, struct oci_info *info) {
        struct http http = { .fds = fds, .n_fds = n_fds, .until_ns = now_ns() + TIMEOUT };
        const char *namespace = question->namespace;

        if (!ask_is_id(question->id) || (question->sandbox && !ask_is_id(question->sandbox)) ||
            (namespace && !ask_is_id(namespace)))
                return -EINVAL;
        if (question->api == API_CRI)
                return ask_cri(&http, question->id, question->sandbox, info);
        if (question->api == API_CONTAINERD)
                return ask_containerd(&http, question->id, namespace ?: "default", info);
        return ask_docker(&http, question->id, info);
}

static const char *or_null(const char *text) {
        return text[0] ? text : NULL;
}

/* Nothing else is to be done meanwhile, so it waits for the runtime here. */
static int on_message(void *owner, struct received *received) {
        struct asker *asker = owner;
        const struct msg_ask *question = &received->msg->ask;
        struct oci_info info = { 0 };
        int r = ask(question, received->fds, received->n_fds, &info);
        const struct msg_asked answer = {
                .job = question->job,
                .failure = r < 0 ? (uint32_t)-r : 0,
                .name = or_null(info.text[OCI_NAME]),
                .image = or_null(info.text[OCI_IMAGE]),
                .digest = or_null(info.text[OCI_DIGEST]),
                .k8s_namespace = or_null(info.text[OCI_K8S_NAMESPACE]),
                .k8s_pod = or_null(info.text[OCI_K8S_POD]),
                .k8s_container = or_null(info.text[OCI_K8S_CONTAINER]),
                .k8s_labels = or_null(info.labels),
        };

        return channel_send(asker->channel, MSG_ASKED, &answer, NULL, 0);
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct asker *asker = owner;

        (void)err;
        loop_exit(asker->loop, r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int run(struct asker *asker) {
        static const struct channel_ops ops = { on_permit, on_message, on_closed };
        int r;

        r = loop_new(&asker->loop);
        if (r == 0)
                r = channel_new(asker->loop, CHILD_FD_CHANNEL, "gadgetd", &ops, asker, QUEUE_MAX,
                                &asker->channel);
        return r < 0 ? r : loop_run(asker->loop);
}

int main(int argc, char **argv) {
        struct asker asker = { 0 };
        struct error err = { 0 };
        uint32_t uid;
        int r;

        log_init("gadget-ask", CHILD_FD_LOG);
        if (argc != 3 || !str_eq(argv[1], "--uid") ||
            parse_u32(argv[2], 1, UINT32_MAX - 1, &uid) < 0) {
                fprintf(stderr, "gadget-ask: gadgetd starts this program; there is nothing to run "
                                "by hand\n");
                return 2;
        }
        if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
                log_error("libcurl does not initialise");
                return EXIT_FAILURE;
        }
        if (ask_sandbox(uid, &err) < 0) {
                log_error("%s", error_text(&err));
                return EXIT_FAILURE;
        }
        r = run(&asker);
        channel_free(asker.channel);
        loop_free(asker.loop);
        return r < 0 ? EXIT_FAILURE : r;
}
