/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/transfer.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "ipc/mp.h"
#include "supervisor/client.h"
#include "supervisor/supervisor.h"
#include "supervisor/trust.h"

#define DEADLINE_DEFAULT (UINT64_C(1800) * NSEC_PER_SEC)
#define STALL_DEADLINE (UINT64_C(300) * NSEC_PER_SEC) /* the fetcher's own patience is less */
#define PROGRESS_BUFFER_MAX ((size_t)LIMIT_CLIENT_BUFFER_MAX / 2)

static void answer(struct transfer *transfer);
static int start_fetcher(struct transfer *transfer, struct error *err);

/* --- the state --- */

static int raise_event(struct transfer *transfer, enum transfer_event event) {
        enum transfer_state next = transfer_state_next(transfer->state, event);

        if (next == _TRANSFER_STATE_MAX) {
                log_error("a transfer that is %s cannot get event %d",
                          transfer_state_name(transfer->state), (int)event);
                return -EPROTO;
        }
        log_debug("transfer of '%s': %s -> %s", transfer->name,
                  transfer_state_name(transfer->state), transfer_state_name(next));
        transfer->state = next;
        return 0;
}

static int on_free(struct loop_defer *defer) {
        struct transfer *transfer = container_of(defer, struct transfer, free_defer);
        struct supervisor *sup = transfer->sup;

        transfer_free(transfer);
        supervisor_check_end(sup);
        return 0;
}

static void enter_over(struct transfer *transfer) {
        loop_timer_clear(&transfer->deadline);
        loop_timer_clear(&transfer->stall);
        loop_defer(transfer->sup->loop, &transfer->free_defer, on_free);
}

/* Blobs that this one carries are there for others to take over. */
static void drop_blobs(struct transfer *transfer) {
        for (size_t i = 0; i < transfer->n_tasks; i++) {
                struct task *task = transfer->tasks[i];

                if (task->inflight && task->inflight->carrier == transfer)
                        inflight_drop(task->inflight, true);
                if (task->state == TASK_ACTIVE)
                        task->state = TASK_WAITING;
                close_fd(&task->fd);
        }
        transfer->n_active = 0;
}

static void end_fetcher(struct transfer *transfer) {
        fetcher_kill(&transfer->fetcher);
        if (transfer->fetcher.pid == 0)
                transfer_on_exit(transfer, 0);
}

static void enter_ending(struct transfer *transfer) {
        loop_timer_clear(&transfer->deadline);
        loop_timer_clear(&transfer->stall);
        answer(transfer);
        drop_blobs(transfer);
        end_fetcher(transfer);
}

/* The image's first document has not come yet, and a mirror is not the only place to get it. */
static bool may_switch(const struct transfer *transfer) {
        return transfer->state == TRANSFER_RUNNING &&
               transfer->endpoint + 1 < transfer->n_endpoints &&
               !(transfer->endpoints[transfer->endpoint + 1].is_fallback && transfer->has_answered);
}

static void fault(struct transfer *transfer, int r, const struct error *cause) {
        struct error err = {};

        if (transfer->state == TRANSFER_ENDING || transfer->state == TRANSFER_OVER)
                return;
        if (cause && cause->code != ERROR_NONE)
                err = *cause;
        else
                error_set(&err, ERROR_INTERNAL, r, "%s", strerror(-r));
        if (may_switch(transfer)) {
                log_info("'%s': %s; asking %s", transfer->name, error_text(&err),
                         transfer->endpoints[transfer->endpoint + 1].host);
                transfer->endpoint++;
                transfer->has_answered = false;
                (void)raise_event(transfer, TRANSFER_SWITCH);
                drop_blobs(transfer);
                end_fetcher(transfer);
                return;
        }
        transfer->error = err;
        error_prefix(&transfer->error, r, "%s '%s'", transfer->is_push ? "push" : "pull",
                     transfer->name);
        (void)raise_event(transfer, TRANSFER_FAULT);
        enter_ending(transfer);
}

void transfer_on_exit(struct transfer *transfer, int status) {
        char how[64];
        struct error err = {};
        int r;

        if (transfer->fetcher.channel)
                channel_drain(transfer->fetcher.channel);
        if (transfer->fetcher.pid != 0)
                fetcher_on_exit(&transfer->fetcher);
        switch (transfer->state) {
        case TRANSFER_RUNNING:
                error_set(&err, ERROR_UNAVAILABLE, -ECHILD, "gadget-fetch was lost: %s",
                          proc_status_text(status, how, sizeof(how)));
                fault(transfer, -ECHILD, &err);
                return;
        case TRANSFER_SWITCHING:
                fetcher_done(&transfer->fetcher);
                (void)raise_event(transfer, TRANSFER_EXITED);
                r = start_fetcher(transfer, &err);
                if (r < 0)
                        fault(transfer, r, &err);
                else
                        transfer_wake(transfer);
                return;
        case TRANSFER_ENDING:
                (void)raise_event(transfer, TRANSFER_EXITED);
                enter_over(transfer);
                return;
        case TRANSFER_IDLE:
        case TRANSFER_OVER:
        case _TRANSFER_STATE_MAX:
                return;
        }
}

static int on_deadline(struct loop_timer *timer) {
        struct transfer *transfer = container_of(timer, struct transfer, deadline);
        struct error err = {};

        error_set(&err, ERROR_UNAVAILABLE, -ETIMEDOUT, "not done in the time given");
        transfer->endpoint = transfer->n_endpoints; /* no other registry either */
        fault(transfer, -ETIMEDOUT, &err);
        return 0;
}

static int on_stall(struct loop_timer *timer) {
        struct transfer *transfer = container_of(timer, struct transfer, stall);
        struct error err = {};

        error_set(&err, ERROR_UNAVAILABLE, -ETIMEDOUT, "nothing has come for %u s",
                  (unsigned int)(STALL_DEADLINE / NSEC_PER_SEC));
        fault(transfer, -ETIMEDOUT, &err);
        return 0;
}

static void note_life(struct transfer *transfer) {
        (void)loop_timer_set(transfer->sup->loop, &transfer->stall, STALL_DEADLINE,
                             "transfer stall", on_stall);
}

/* --- what the client hears --- */

static void put_progress(struct transfer *transfer, const char *digest, uint64_t bytes,
                         uint64_t total) {
        struct client *client = transfer->client;
        uint8_t *start, *p;

        /* A client that does not read gets no progress, only the answer. */
        if (!client || client_unsent(client) > PROGRESS_BUFFER_MAX)
                return;
        start = p = buf_reserve(&client->out, 64 + DIGEST_TEXT_MAX);
        if (!p)
                return;
        p = mp_put_array(p, 3);
        p = mp_put_uint(p, RPC_NOTIFICATION);
        p = mp_put_str(p, "progress", strlen("progress"));
        p = mp_put_array(p, 4);
        p = mp_put_uint(p, transfer->call_id);
        p = mp_put_str(p, digest, (uint32_t)strlen(digest));
        p = mp_put_uint(p, bytes);
        p = mp_put_uint(p, total);
        client->out.len += (size_t)(p - start);
        client_want_write(client);
}

/* With a word on whether it would run: pulling is not the moment to refuse, running is. */
static void answer_pull(struct transfer *transfer, struct client *client) {
        struct trust trust = { .why = "" };
        struct resolved found;
        struct error why = {};
        int r;

        r = store_resolve(transfer->store, &transfer->ref, &found, &why);
        if (r == 0)
                r = trust_check(transfer->sup, transfer->name, transfer->digest, false,
                                found.origin, &trust, &why);
        client_reply(client, transfer->call_id, transfer->method,
                     &(struct rep_image_pull){ .digest = transfer->digest,
                                               .image = transfer->name,
                                               .was_present = transfer->was_present,
                                               .note = r < 0 ? error_text(&why) : NULL });
}

static void answer(struct transfer *transfer) {
        struct client *client = transfer->client;

        transfer->client = NULL;
        if (transfer->error.code != ERROR_NONE) {
                log_info("%s", error_text(&transfer->error));
                if (client)
                        client_error(client, transfer->call_id, &transfer->error, NULL, NULL);
                return;
        }
        log_info("%s '%s' %s", transfer->is_push ? "pushed" : "pulled", transfer->name,
                 transfer->digest);
        if (!client)
                return;
        if (transfer->is_push)
                client_reply(
                        client, transfer->call_id, transfer->method,
                        &(struct rep_image){ .digest = transfer->digest, .image = transfer->name });
        else
                answer_pull(transfer, client);
}

/* --- tasks --- */

static struct task *task_free(struct task *task) {
        if (task->inflight)
                inflight_put(task->inflight);
        close_fd(&task->fd);
        free(task->text);
        free(task);
        return NULL;
}

int transfer_add(struct transfer *transfer, const struct task *what, struct task **ret,
                 struct error *err) {
        struct task **longer, *task;

        if (transfer->n_tasks >= TRANSFER_TASKS_MAX)
                return error_set(err, ERROR_LIMIT, -E2BIG, "more than %d blobs and documents",
                                 TRANSFER_TASKS_MAX);
        longer = reallocarray(transfer->tasks, transfer->n_tasks + 1, sizeof(*longer));
        if (!longer)
                return -ENOMEM;
        transfer->tasks = longer;
        task = malloc(sizeof(*task));
        if (!task)
                return -ENOMEM;
        *task = *what;
        transfer->tasks[transfer->n_tasks++] = task;
        if (ret)
                *ret = task;
        return 0;
}

int transfer_add_blob(struct transfer *transfer, const char *digest, uint64_t size,
                      enum task_role role, struct error *err) {
        struct task what = { .kind = TASK_BLOB, .role = role, .fetch = FETCH_BLOB, .fd = -1 };
        struct task *task;
        int r;

        for (size_t i = 0; i < transfer->n_tasks; i++) {
                task = transfer->tasks[i];
                if (task->kind != TASK_BLOB || !str_eq(task->digest, digest))
                        continue;
                if (task->size != size)
                        return error_set(err, ERROR_INVALID, -EBADMSG,
                                         "blob %s is said to have two sizes", digest);
                /* What the image needs as well is not optional any more. */
                if (role == ROLE_IMAGE && task->is_missing) {
                        task->is_missing = false;
                        task->state = TASK_WAITING;
                }
                task->role = MIN(task->role, role);
                return 0;
        }
        if (size > LIMIT_BLOB_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG,
                                 "blob %s has %" PRIu64 " bytes, more than %d", digest, size,
                                 LIMIT_BLOB_SIZE_MAX);
        transfer->total += size;
        if (transfer->total > LIMIT_IMAGE_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG, "the image has more than %d bytes",
                                 LIMIT_IMAGE_SIZE_MAX);
        snprintf(what.digest, sizeof(what.digest), "%s", digest);
        snprintf(what.reference, sizeof(what.reference), "%s", digest);
        what.size = size;
        r = transfer_add(transfer, &what, &task, err);
        if (r == 0)
                r = inflight_get(transfer->sup, transfer->store, digest, size, &task->inflight,
                                 err);
        return r;
}

static uint32_t task_id(const struct transfer *transfer, const struct task *task) {
        for (size_t i = 0; i < transfer->n_tasks; i++)
                if (transfer->tasks[i] == task)
                        return (uint32_t)i;
        return UINT32_MAX;
}

static int send_get(struct transfer *transfer, struct task *task, int fd, uint64_t offset,
                    uint64_t max) {
        return channel_send(transfer->fetcher.channel, MSG_FETCH_GET,
                            &(struct msg_fetch_get){ .job = task_id(transfer, task),
                                                     .kind = task->fetch,
                                                     .reference = task->reference,
                                                     .offset = offset,
                                                     .max = max },
                            &fd, 1);
}

static int start_document(struct transfer *transfer, struct task *task) {
        task->fd = memfd_create("gadget-document", MFD_CLOEXEC);
        if (task->fd < 0)
                return -errno;
        return send_get(transfer, task, task->fd, 0,
                        task->size ? task->size : LIMIT_MANIFEST_SIZE_MAX);
}

/* 1 = it runs now, 0 = somebody else is at it, or it is done. */
static int start_blob(struct transfer *transfer, struct task *task, struct error *err) {
        struct inflight *inflight = task->inflight;
        int r;

        if (inflight->state == INFLIGHT_READY) {
                task->state = TASK_DONE;
                put_progress(transfer, task->digest, task->size, task->size);
                return 0;
        }
        if (inflight->state != INFLIGHT_WAITING)
                return 0;
        r = inflight_start(inflight, transfer, err);
        if (r <= 0)
                return r;
        r = send_get(transfer, task, inflight->partial.fd, inflight->resumed, inflight->size);
        return r < 0 ? r : 1;
}

static int start_put(struct transfer *transfer, struct task *task, struct error *err) {
        if (task->text)
                task->fd = memfd_sealed("gadget-document", task->text, task->size);
        if (task->text && task->fd < 0)
                return task->fd;
        if (!task->text && !store_has_blob(transfer->store, task->digest, task->size, &task->fd))
                return error_set(err, ERROR_NOT_FOUND, -ENOENT,
                                 "%s was removed from the store meanwhile", task->digest);
        return channel_send(
                transfer->fetcher.channel, MSG_FETCH_PUT,
                &(struct msg_fetch_put){
                        .job = task_id(transfer, task),
                        .kind = task->kind == TASK_PUT_BLOB ? FETCH_BLOB : FETCH_MANIFEST,
                        .reference = task->reference,
                        .media_type = task->media_type[0] ? task->media_type : NULL,
                        .mount_from = task->tag[0] ? task->tag : NULL,
                        .size = task->size },
                &task->fd, 1);
}

static int start_task(struct transfer *transfer, struct task *task, struct error *err) {
        int r = 1;

        switch (task->kind) {
        case TASK_DOCUMENT:
                r = start_document(transfer, task) ?: 1;
                break;
        case TASK_BLOB:
                r = start_blob(transfer, task, err);
                break;
        case TASK_PUT_BLOB:
        case TASK_PUT_DOCUMENT:
                r = start_put(transfer, task, err) ?: 1;
                break;
        }
        if (r > 0) {
                task->state = TASK_ACTIVE;
                transfer->n_active++;
        }
        return r;
}

/* The lowest stage in which something is not done. */
static uint32_t current_stage(const struct transfer *transfer) {
        uint32_t stage = UINT32_MAX;

        for (size_t i = 0; i < transfer->n_tasks; i++)
                if (transfer->tasks[i]->state != TASK_DONE)
                        stage = MIN(stage, transfer->tasks[i]->stage);
        return stage;
}

static void schedule(struct transfer *transfer) {
        uint32_t stage = current_stage(transfer);
        struct error err = {};
        bool is_done = true;
        int r = 0;

        for (size_t i = 0; i < transfer->n_tasks && r >= 0; i++) {
                struct task *task = transfer->tasks[i];

                if (task->state == TASK_WAITING && task->stage == stage &&
                    transfer->n_active < TRANSFER_ACTIVE_MAX)
                        r = start_task(transfer, task, &err);
                is_done = is_done && task->state == TASK_DONE;
        }
        if (r >= 0 && is_done)
                r = transfer->on_tasks_done(transfer, &err);
        else if (r >= 0)
                return;
        if (r < 0) {
                fault(transfer, r, &err);
        } else if (r > 0) {
                transfer_wake(transfer);
        } else {
                (void)raise_event(transfer, TRANSFER_COMPLETE);
                enter_ending(transfer);
        }
}

static int on_wake(struct loop_defer *defer) {
        struct transfer *transfer = container_of(defer, struct transfer, wake_defer);

        if (transfer->state == TRANSFER_RUNNING)
                schedule(transfer);
        return 0;
}

void transfer_wake(struct transfer *transfer) {
        loop_defer(transfer->sup->loop, &transfer->wake_defer, on_wake);
}

/* Signatures that cannot be had are no signatures; policy decides what that means. */
static bool is_optional(const struct task *task) {
        return task->role != ROLE_IMAGE && (task->kind == TASK_DOCUMENT || task->kind == TASK_BLOB);
}

static struct task *find_blob_task(struct transfer *transfer, const struct inflight *inflight) {
        for (size_t i = 0; i < transfer->n_tasks; i++)
                if (transfer->tasks[i]->inflight == inflight)
                        return transfer->tasks[i];
        return NULL;
}

void transfers_on_blob(struct supervisor *sup, struct inflight *inflight) {
        struct transfer *transfer, *next;

        for (transfer = LIST_FIRST(&sup->transfers); transfer; transfer = next) {
                struct task *task;

                next = LIST_NEXT(transfer, link);
                task = find_blob_task(transfer, inflight);
                if (transfer->state != TRANSFER_RUNNING || !task)
                        continue;
                if (inflight->state == INFLIGHT_FAILED && is_optional(task)) {
                        task->is_missing = true;
                        task->state = TASK_DONE;
                }
                if (inflight->state == INFLIGHT_FAILED && !is_optional(task))
                        fault(transfer, -EBADMSG, &inflight->error);
                else
                        transfer_wake(transfer);
        }
}

/* --- the fetcher's words --- */

static bool on_permit(void *owner, enum message_type type) {
        (void)owner;
        return type == MSG_FETCH_PROGRESS || type == MSG_FETCH_RESULT;
}

static void on_progress(struct transfer *transfer, const struct msg_fetch_progress *progress) {
        struct task *task = transfer->tasks[progress->job];
        struct transfer *other;

        if (task->kind == TASK_PUT_BLOB)
                put_progress(transfer, task->digest, MIN(progress->bytes, task->size), task->size);
        if (!task->inflight || task->inflight->carrier != transfer)
                return;
        task->inflight->bytes = MIN(progress->bytes, task->size);
        LIST_FOREACH (other, &transfer->sup->transfers, link)
                if (find_blob_task(other, task->inflight))
                        put_progress(other, task->digest, task->inflight->bytes, task->size);
}

/* The document as the fetcher wrote it: read once, so that what is hashed is what is parsed. */
static int take_document(struct task *task, const struct msg_fetch_result *result,
                         struct error *err) {
        char digest[DIGEST_TEXT_MAX];
        uint64_t n = result->bytes;
        const char *semicolon;
        int r;

        if (n > LIMIT_MANIFEST_SIZE_MAX)
                return error_set(err, ERROR_LIMIT, -EFBIG, "a manifest of %" PRIu64 " bytes", n);
        if (task->size > 0 && n != task->size)
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "manifest %s has %" PRIu64 " bytes, but its index says %" PRIu64,
                                 task->digest, n, task->size);
        task->text = malloc(n + 1);
        if (!task->text)
                return -ENOMEM;
        if (pread(task->fd, task->text, n, 0) != (ssize_t)n)
                return error_set(err, ERROR_INTERNAL, -EIO, "the fetcher did not write it all");
        task->text[n] = '\0';
        task->size = n;
        close_fd(&task->fd);
        r = digest_of(task->text, n, digest);
        if (r == 0 && task->digest[0] != '\0') {
                r = digest_check(task->digest, task->text, n);
                if (r == -EBADMSG)
                        return error_set(err, ERROR_INVALID, r,
                                         "the registry sent something else than %s", task->digest);
        } else if (r == 0) {
                snprintf(task->digest, sizeof(task->digest), "%s", digest);
        }
        if (r < 0)
                return r;
        /* A registry may claim a digest of another kind; only an equal kind can disagree. */
        if (result->digest && digest_is_valid(result->digest) &&
            digest_check(result->digest, task->text, n) < 0)
                return error_set(err, ERROR_INVALID, -EBADMSG,
                                 "the registry says %.150s, but what it sent is %s", result->digest,
                                 digest);
        semicolon = result->media_type ? strchr(result->media_type, ';') : NULL;
        if (task->media_type[0] == '\0' && result->media_type)
                snprintf(task->media_type, sizeof(task->media_type), "%.*s",
                         (int)(semicolon ? (size_t)(semicolon - result->media_type)
                                         : strlen(result->media_type)),
                         result->media_type);
        return 0;
}

/* Back to before it was fetched, for another registry. */
static void forget_document(struct task *task) {
        free(TAKE_PTR(task->text));
        close_fd(&task->fd);
        task->state = TASK_WAITING;
        if (task->is_pinned)
                return;
        if (!digest_is_valid(task->reference))
                task->digest[0] = '\0';
        task->media_type[0] = '\0';
        task->size = 0;
}

static int finish_task(struct transfer *transfer, struct task *task,
                       const struct msg_fetch_result *result, struct error *err) {
        int r;

        switch (task->kind) {
        case TASK_DOCUMENT:
                r = take_document(task, result, err);
                return r < 0 ? r : transfer->on_document(transfer, task, err);
        case TASK_BLOB:
                if (task->inflight->carrier == transfer)
                        inflight_fetched(task->inflight, result->bytes);
                task->state = TASK_WAITING; /* for the check */
                return 0;
        case TASK_PUT_BLOB:
        case TASK_PUT_DOCUMENT:
                close_fd(&task->fd);
                put_progress(transfer, task->digest, task->size, task->size);
                return 0;
        }
        return 0;
}

static void on_result(struct transfer *transfer, const struct msg_fetch_result *result) {
        struct task *task = transfer->tasks[result->job];
        struct error err = {};
        int r;

        transfer->n_active--;
        task->state = TASK_DONE;
        transfer->has_answered = transfer->has_answered || result->status > 0 || result->spoke_tls;
        if (result->warning)
                log_warning("'%s': the registry warns: %.200s", transfer->name, result->warning);
        if (result->code && is_optional(task)) {
                task->is_missing = true;
                task->is_absent = str_eq(result->code, error_code_name(ERROR_NOT_FOUND));
                close_fd(&task->fd);
                if (task->inflight)
                        inflight_drop(task->inflight, false);
                r = task->kind == TASK_DOCUMENT ? transfer->on_document(transfer, task, &err) : 0;
        } else if (result->code) {
                error_set(&err, error_code_from_name(result->code), -EREMOTEIO, "%.400s",
                          result->message ?: result->code);
                r = -EREMOTEIO;
        } else {
                r = finish_task(transfer, task, result, &err);
        }
        if (r < 0) /* another registry may be asked for it */
                task->state = TASK_WAITING;
        if (r < 0 && task->kind == TASK_DOCUMENT)
                forget_document(task);
        if (r < 0)
                fault(transfer, r, &err);
        else
                transfer_wake(transfer);
}

/* Job numbers are ours: one that names no running task is the fetcher's fault. */
static bool is_active(const struct transfer *transfer, uint32_t job) {
        return job < transfer->n_tasks && transfer->tasks[job]->state == TASK_ACTIVE;
}

static int on_message(void *owner, struct received *received) {
        struct transfer *transfer = owner;

        if (transfer->state != TRANSFER_RUNNING)
                return 0;
        note_life(transfer);
        if (received->type == MSG_FETCH_PROGRESS) {
                if (is_active(transfer, received->msg->fetch_progress.job))
                        on_progress(transfer, &received->msg->fetch_progress);
                return 0;
        }
        if (!is_active(transfer, received->msg->fetch_result.job))
                return -EPROTO;
        on_result(transfer, &received->msg->fetch_result);
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct transfer *transfer = owner;

        /* Its exit comes next and says more, unless it broke the rules. */
        if (r < 0)
                fault(transfer, r, err);
}

static int start_fetcher(struct transfer *transfer, struct error *err) {
        static const struct channel_ops ops = { on_permit, on_message, on_closed };
        const struct endpoint *endpoint = &transfer->endpoints[transfer->endpoint];
        struct msg_fetch_open open = {
                .host = endpoint->host,
                .repository = transfer->repository,
                .username = endpoint->is_mirror ? NULL : transfer->username,
                .password = endpoint->is_mirror ? NULL : transfer->password,
                .identity_token = endpoint->is_mirror ? NULL : transfer->identity_token,
                .proxy = transfer->proxy,
                .no_proxy = transfer->no_proxy,
                .client_cert = BYTES(transfer->client_cert.data, transfer->client_cert.len),
                .client_key = BYTES(transfer->client_key.data, transfer->client_key.len),
                .is_plain_http = endpoint->is_plain_http,
                .is_insecure = endpoint->is_insecure,
                .is_push = transfer->is_push,
        };

        if (endpoint->is_mirror)
                open.client_cert = open.client_key = BYTES(NULL, 0);
        note_life(transfer);
        return fetcher_start(transfer->sup, &open, BYTES(transfer->ca.data, transfer->ca.len), &ops,
                             transfer, &transfer->fetcher, err);
}

/* --- life --- */

static int dup_text(const char *text, char **ret) {
        *ret = text && text[0] ? strdup(text) : NULL;
        return text && text[0] && !*ret ? -ENOMEM : 0;
}

static int copy_request(struct transfer *transfer, const struct req_image_transfer *request) {
        int r;

        transfer->ca = BUF_INIT(1u << 20);
        transfer->client_cert = transfer->client_key = BUF_INIT(64u << 10);
        r = dup_text(request->username, &transfer->username)
                    ?: dup_text(request->password, &transfer->password)
                    ?: dup_text(request->identity_token, &transfer->identity_token)
                    ?: dup_text(request->proxy, &transfer->proxy)
                    ?: dup_text(request->no_proxy, &transfer->no_proxy)
                    ?: buf_append(&transfer->ca, request->ca.data, request->ca.len)
                    ?: buf_append(&transfer->client_cert, request->client_cert.data,
                                  request->client_cert.len)
                    ?: buf_append(&transfer->client_key, request->client_key.data,
                                  request->client_key.len);
        return r;
}

static int read_platform(struct transfer *transfer, const char *text, struct error *err) {
        const char *slash = text ? strchr(text, '/') : NULL;
        const char *arch = slash ? slash + 1 : text;
        size_t n_arch = arch ? strcspn(arch, "/") : 0;

        transfer->platform_os = slash ? strndup(text, (size_t)(slash - text)) : strdup("linux");
        transfer->platform_arch =
                arch ? strndup(arch, n_arch) : strdup(image_service_architecture());
        if (!transfer->platform_os || !transfer->platform_arch)
                return -ENOMEM;
        if (transfer->platform_arch[0] == '\0')
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "platform '%.60s' is not one like linux/amd64 or arm64", text);
        return 0;
}

static void add_endpoint(struct transfer *transfer, const char *host, bool is_mirror,
                         const struct req_image_transfer *request) {
        const struct registry_config *config = config_registry(&transfer->sup->config, host);
        struct endpoint *endpoint = &transfer->endpoints[transfer->n_endpoints++];

        *endpoint = (struct endpoint){
                .is_plain_http = config && config->is_plain_http,
                .is_insecure = config && config->is_insecure,
                .is_mirror = is_mirror,
        };
        snprintf(endpoint->host, sizeof(endpoint->host), "%s", host);
        if (!is_mirror) {
                endpoint->is_plain_http |= request->plain_http;
                endpoint->is_insecure |= request->is_insecure;
        }
}

static bool is_loopback(const char *host) {
        size_t n = strcspn(host, ":");

        return (n == 9 && strncmp(host, "localhost", n) == 0) || str_after(host, "127.") ||
               str_after(host, "[::1]");
}

/* docker.io is called otherwise by its own name server, and its short names have a folder. */
static int set_registry(struct transfer *transfer, const struct req_image_transfer *request) {
        const char *host = transfer->ref.host;
        const struct registry_config *config = config_registry(&transfer->sup->config, host);
        bool is_docker = str_eq(host, "docker.io") || str_eq(host, "index.docker.io");
        int n;

        for (size_t i = 0; !transfer->is_push && config && i < config->n_mirrors; i++)
                add_endpoint(transfer, config->mirrors[i], true, request);
        add_endpoint(transfer, is_docker ? "registry-1.docker.io" : host, false, request);
        /* As docker does it: what never leaves this host may be plain http. */
        if (is_loopback(host) && !transfer->endpoints[transfer->n_endpoints - 1].is_plain_http) {
                add_endpoint(transfer, host, false, request);
                transfer->endpoints[transfer->n_endpoints - 1].is_plain_http = true;
                transfer->endpoints[transfer->n_endpoints - 1].is_fallback = true;
        }
        n = asprintf(&transfer->repository, "%s%s",
                     is_docker && !strchr(transfer->ref.path, '/') ? "library/" : "",
                     transfer->ref.path);
        if (n < 0)
                transfer->repository = NULL;
        return n < 0 ? -ENOMEM : 0;
}

int transfer_new(struct call *call, const struct req_image_transfer *request, bool is_push,
                 struct transfer **ret, struct error *err) {
        cleanup(transfer_freep) struct transfer *transfer = NULL;
        struct supervisor *sup = call->client->sup;
        struct image_ref ref;
        int r;

        if (sup->is_ending)
                return error_set(err, ERROR_UNAVAILABLE, -ESHUTDOWN, "gadgetd is ending");
        if (sup->n_transfers >= LIMIT_TRANSFERS_MAX)
                return error_set(err, ERROR_LIMIT, -EMFILE,
                                 "%d pulls and pushes run already; try again later",
                                 LIMIT_TRANSFERS_MAX);
        r = image_ref_parse(request->image, &ref, err);
        if (r < 0)
                return r;
        transfer = calloc(1, sizeof(*transfer));
        if (!transfer)
                return -ENOMEM;
        transfer->sup = sup;
        transfer->is_push = is_push;
        transfer->call_id = call->id;
        transfer->method = call->method;
        transfer->all_platforms = request->all_platforms;
        transfer->timeout_ns = request->timeout_ns;
        fetcher_init(&transfer->fetcher);
        LIST_INSERT_HEAD(&sup->transfers, transfer, link);
        sup->n_transfers++;
        if (!config_complete(&sup->config, &ref, &transfer->ref))
                return error_set(err, ERROR_NOT_FOUND, -ENOENT,
                                 "'%.200s' names no registry: write HOST/%.200s, or set prefix "
                                 "under short-names in gadgetd.yaml",
                                 request->image, ref.path);
        image_ref_format(&transfer->ref, transfer->name, sizeof(transfer->name));
        r = copy_request(transfer, request);
        if (r == 0)
                r = read_platform(transfer, request->platform, err);
        if (r == 0)
                r = set_registry(transfer, request);
        if (r == 0)
                r = image_service_local(&sup->images, !is_push, &transfer->store, err);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(transfer);
        return 0;
}

int transfer_start(struct transfer *transfer, struct call *call, struct error *err) {
        uint64_t timeout = transfer->timeout_ns;
        int r;

        r = start_fetcher(transfer, err);
        if (r == 0)
                r = loop_timer_set(transfer->sup->loop, &transfer->deadline,
                                   timeout ? timeout : DEADLINE_DEFAULT, "transfer deadline",
                                   on_deadline);
        if (r < 0)
                return r;
        log_info("uid %u (pid %d) %s '%s'", call->client->uid, call->client->pid,
                 transfer->is_push ? "pushes" : "pulls", transfer->name);
        (void)raise_event(transfer, TRANSFER_START);
        transfer->client = call->client;
        call->is_answered = true;
        transfer_wake(transfer);
        return 0;
}

static void wipe(char **text) {
        if (*text)
                explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
}

struct transfer *transfer_free(struct transfer *transfer) {
        if (!transfer)
                return NULL;
        LIST_REMOVE(transfer, link);
        transfer->sup->n_transfers--;
        drop_blobs(transfer);
        for (size_t i = 0; i < transfer->n_tasks; i++)
                task_free(transfer->tasks[i]);
        free(transfer->tasks);
        fetcher_done(&transfer->fetcher);
        loop_timer_clear(&transfer->deadline);
        loop_timer_clear(&transfer->stall);
        loop_defer_cancel(&transfer->wake_defer);
        loop_defer_cancel(&transfer->free_defer);
        wipe(&transfer->username);
        wipe(&transfer->password);
        wipe(&transfer->identity_token);
        free(transfer->proxy);
        free(transfer->no_proxy);
        free(transfer->repository);
        free(transfer->platform_os);
        free(transfer->platform_arch);
        buf_done(&transfer->ca);
        buf_done(&transfer->client_cert);
        if (transfer->client_key.data)
                explicit_bzero(transfer->client_key.data, transfer->client_key.len);
        buf_done(&transfer->client_key);
        free(transfer);
        return NULL;
}

static void cancel(struct transfer *transfer, const char *why) {
        struct error err = {};

        error_set(&err, ERROR_UNAVAILABLE, -ECANCELED, "%s", why);
        transfer->endpoint = transfer->n_endpoints;
        fault(transfer, -ECANCELED, &err);
}

void transfers_on_client_gone(struct client *client) {
        struct transfer *transfer, *next;

        for (transfer = LIST_FIRST(&client->sup->transfers); transfer; transfer = next) {
                next = LIST_NEXT(transfer, link);
                if (transfer->client != client)
                        continue;
                transfer->client = NULL;
                cancel(transfer, "its client has gone");
        }
}

void transfers_stop(struct supervisor *sup) {
        struct transfer *transfer, *next;

        for (transfer = LIST_FIRST(&sup->transfers); transfer; transfer = next) {
                next = LIST_NEXT(transfer, link);
                cancel(transfer, "gadgetd is ending");
        }
}

struct transfer *transfer_find_by_pid(struct supervisor *sup, pid_t pid) {
        struct transfer *transfer;

        LIST_FOREACH (transfer, &sup->transfers, link)
                if (transfer->fetcher.pid == pid)
                        return transfer;
        return NULL;
}
