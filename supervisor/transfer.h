/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pull or push: what the user's side said of the registry, a gadget-fetch process, and a list
 * of tasks (documents and blobs) of which a few run at a time. transfer-pull.c and transfer-push.c
 * decide which tasks follow from a finished one; here is what they share: life, scheduling,
 * progress, the answer. A registry's JSON is read only after its digest was compared, by
 * image/manifest.h.
 */
#pragma once

#include <sys/queue.h>

#include "image/intake.h"
#include "supervisor/client-routes.h"
#include "supervisor/fetcher-proc.h"
#include "supervisor/inflight.h"
#include "supervisor/transfer-state.h"

#define TRANSFER_ACTIVE_MAX 4
#define TRANSFER_TASKS_MAX 4096
#define TRANSFER_ENDPOINTS_MAX 6

enum task_kind {
        TASK_DOCUMENT, /* pull: a manifest or index into memory */
        TASK_BLOB,     /* pull: a blob into the store */
        TASK_PUT_BLOB,
        TASK_PUT_DOCUMENT,
};

enum task_role {
        ROLE_IMAGE,     /* the image itself: its absence is a failure */
        ROLE_SIGNATURE, /* a manifest of signatures: may be absent */
        ROLE_REFERRERS, /* the index of what refers to the image: may be absent */
        ROLE_ATTACHED,  /* a manifest that refers to the image */
};

enum task_state { TASK_WAITING, TASK_ACTIVE, TASK_DONE };

struct task {
        enum task_kind kind;
        enum task_role role;
        enum task_state state;
        uint32_t stage; /* tasks of a stage begin when those before are done (pushes) */
        enum fetch_kind fetch;
        char reference[DIGEST_TEXT_MAX + 32]; /* what the registry is asked for */
        char tag[129];                        /* name of a signature's entry in the store */
        char digest[DIGEST_TEXT_MAX];         /* expected, then found; "" = whatever comes */
        char media_type[128];                 /* expected, then found */
        uint64_t size;                        /* expected, then found */
        uint8_t *text;                        /* of a document, fetched or made here */
        int fd;                               /* memfd, or a blob of the store */
        bool is_pinned;                       /* digest, type and size were known before */
        bool is_missing;                      /* and that was fine */
        bool is_absent;                       /* missing because the registry has none */
        struct inflight *inflight;
};

struct endpoint {
        char host[256];
        bool is_plain_http;
        bool is_insecure;
        bool is_mirror;   /* gets no credentials, and may fail */
        bool is_fallback; /* only where nothing spoke what the one before speaks */
};

struct transfer {
        struct supervisor *sup;
        LIST_ENTRY(transfer) link;
        bool is_push;
        enum transfer_state state;
        struct client *client; /* NULL = gone */
        uint32_t call_id;
        enum method method;

        struct image_ref ref; /* in full; what the store calls it */
        char name[LIMIT_IMAGE_REF_MAX + 1];
        char *repository; /* as the registry calls it */
        char *platform_os;
        char *platform_arch;
        bool all_platforms;
        struct endpoint endpoints[TRANSFER_ENDPOINTS_MAX];
        size_t n_endpoints;
        size_t endpoint;
        bool has_answered; /* the endpoint said something by HTTP or TLS */
        /* Copies of the request's, wiped when the transfer goes. */
        char *username, *password, *identity_token, *proxy, *no_proxy;
        struct buf ca, client_cert, client_key;

        struct store *store;
        struct fetcher_proc fetcher;
        struct task **tasks;
        size_t n_tasks;
        size_t n_active;
        uint64_t total; /* bytes of all blobs */
        unsigned int n_takes;
        uint64_t timeout_ns;
        struct loop_timer deadline;
        struct loop_timer stall;
        struct loop_defer wake_defer;
        struct loop_defer free_defer;
        struct error error;
        /* Finishes a complete pull or push: 0 = over, 1 = there is more to do. */
        int (*on_tasks_done)(struct transfer *transfer, struct error *err);
        int (*on_document)(struct transfer *transfer, struct task *task, struct error *err);
        bool was_present;
        char digest[DIGEST_TEXT_MAX];
};
LIST_HEAD(transfer_list, transfer);

/* Reads the request into a transfer that waits for transfer_start(). */
int transfer_new(struct call *call, const struct req_image_transfer *request, bool is_push,
                 struct transfer **ret, struct error *err);
struct transfer *transfer_free(struct transfer *transfer);
DEFINE_CLEANUP(struct transfer, transfer_free)

/* The call is answered when it is over. */
int transfer_start(struct transfer *transfer, struct call *call, struct error *err);

int transfer_add(struct transfer *transfer, const struct task *what, struct task **ret,
                 struct error *err);
int transfer_add_blob(struct transfer *transfer, const char *digest, uint64_t size,
                      enum task_role role, struct error *err);

/* Something changed: starts what can start, at the end of this loop round. */
void transfer_wake(struct transfer *transfer);

/* For everybody whose pull waits for this blob. */
void transfers_on_blob(struct supervisor *sup, struct inflight *inflight);
void transfers_on_client_gone(struct client *client);
struct transfer *transfer_find_by_pid(struct supervisor *sup, pid_t pid);
void transfer_on_exit(struct transfer *transfer, int status);

/* Ends all; for the end of gadgetd. */
void transfers_stop(struct supervisor *sup);
