/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of pushing and pulling, as a chain: each step's answer chooses the next step or ends
 * the job. */
#include "fetcher/job.h"

#include "base/parse.h"

#define MANIFEST_ACCEPT                                                                            \
        "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "    \
        "application/vnd.docker.distribution.manifest.list.v2+json, "                              \
        "application/vnd.docker.distribution.manifest.v2+json"

#define RESUMES_MAX 8  /* of an upload, without any progress between */
#define RESTARTS_MAX 4 /* of an upload from its beginning */
#define RESUME_WAIT_NS (250 * NSEC_PER_MSEC)

struct job {
        struct job_set *set;
        struct job *next;
        uint32_t id;
        int fd;
        enum fetch_kind kind;
        char *reference;
        char *media_type;
        char *mount_from;
        uint64_t size;     /* PUT: bytes of the fd */
        uint64_t position; /* PUT of a blob: bytes the registry has confirmed */
        uint64_t reported;
        bool was_present;
        char *upload_url;   /* PUT of a blob: where its next piece goes */
        uint64_t furthest;  /* position that was reached once */
        uint32_t n_resumes; /* since there was progress */
        uint32_t n_restarts;
        struct loop_timer resume;
        struct request request;
};

static void job_free(struct job *job) {
        struct job **p = &job->set->first;

        while (*p && *p != job)
                p = &(*p)->next;
        if (*p) {
                *p = job->next;
                job->set->n--;
        }
        loop_timer_clear(&job->resume);
        request_done(&job->request);
        close_fd(&job->fd);
        free(job->upload_url);
        free(job->reference);
        free(job->media_type);
        free(job->mount_from);
        free(job);
}

static const char *text_or_null(const char *text) {
        return text[0] ? text : NULL;
}

/* Ends the job with its one RESULT. */
static void job_end(struct job *job, int r, const struct error *err) {
        struct session *session = job->set->session;
        struct msg_fetch_result result = {
                .job = job->id,
                .status = job->request.status > 0 && job->request.status < 1000
                                  ? (uint32_t)job->request.status
                                  : 0,
                .bytes = job->size ? job->position : job->request.received,
                .media_type = text_or_null(job->request.response_type),
                .digest = text_or_null(job->request.digest),
                .warning = text_or_null(session->warning),
                .was_present = job->was_present,
                .spoke_tls = session->has_spoken_tls,
        };

        if (r < 0) {
                result.code = error_code_name(err && err->code ? err->code : ERROR_INTERNAL);
                result.message = err ? error_text(err) : strerror(-r);
        }
        (void)channel_send(job->set->channel, MSG_FETCH_RESULT, &result, NULL, 0);
        session->warning[0] = '\0';
        job_free(job);
}

static void report_progress(struct job *job, uint64_t bytes) {
        if (bytes < job->reported + PROGRESS_STEP)
                return;
        job->reported = bytes;
        (void)channel_send(job->set->channel, MSG_FETCH_PROGRESS,
                           &(struct msg_fetch_progress){ .job = job->id, .bytes = bytes }, NULL, 0);
}

static void on_get_progress(struct request *request) {
        report_progress(request->owner, request->received);
}

static void on_put_progress(struct request *request) {
        struct job *job = request->owner;

        report_progress(job, job->position + request->sent);
}

static void on_job_done(struct request *request, int r, const struct error *err) {
        struct job *job = request->owner;

        if (r == 0 && job->size)
                job->position = job->size;
        job_end(job, r, err);
}

static char *resource_url(const struct job *job) {
        static const char *const folders[] = {
                [FETCH_MANIFEST] = "manifests",
                [FETCH_BLOB] = "blobs",
                [FETCH_REFERRERS] = "referrers",
        };
        const struct session *session = job->set->session;
        struct buf url = BUF_INIT(2048);

        buf_printf(&url, "%s/v2/%s/%s/%s", session->base_url, session->repository,
                   folders[job->kind], job->reference);
        return buf_steal_string(&url);
}

/* Makes the request anew for the next step; the answer of the last one is gone then. */
static struct request *next_request(struct job *job, enum request_method method, char *take_url,
                                    request_done_func on_done) {
        struct request *request = &job->request;

        request_done(request);
        request_init(request, job->set->session);
        request->method = method;
        request->url = take_url;
        request->on_done = on_done;
        request->owner = job;
        return request;
}

static void start_or_end(struct job *job) {
        struct error err = { 0 };
        int r;

        if (!job->request.url)
                r = error_set(&err, ERROR_LIMIT, -ENAMETOOLONG,
                              "the registry's address is too long");
        else
                r = request_start(&job->request, &err);
        if (r < 0)
                job_end(job, r, &err);
}

static int job_new(struct job_set *set, uint32_t id, uint32_t kind, const char *reference,
                   int take_fd, struct job **ret) {
        struct job *job = calloc(1, sizeof(*job));

        if (!job) {
                close(take_fd);
                return -ENOMEM;
        }
        *job = (struct job){
                .set = set, .id = id, .kind = kind, .fd = take_fd, .next = set->first
        };
        request_init(&job->request, set->session);
        set->first = job;
        set->n++;
        job->reference = strdup(reference);
        if (!job->reference) {
                job_free(job);
                return -ENOMEM;
        }
        *ret = job;
        return 0;
}

int job_get(struct job_set *set, const struct msg_fetch_get *get, int take_fd) {
        struct request *request;
        struct job *job;
        int r;

        r = job_new(set, get->job, get->kind, get->reference, take_fd, &job);
        if (r < 0)
                return r;
        request = next_request(job, REQUEST_GET, resource_url(job), on_job_done);
        request->accept = job->kind == FETCH_BLOB ? "*/*" : MANIFEST_ACCEPT;
        request->sink_fd = job->fd;
        request->sink_offset = get->offset;
        request->sink_max = get->max;
        request->on_progress = on_get_progress;
        start_or_end(job);
        return 0;
}

/* --- pushing a blob --- */

static void push_chunk(struct job *job);
static void begin_upload(struct job *job);

/* Where the registry wants the next request for this upload. */
static int take_location(struct job *job, struct error *err) {
        const char *location = job->request.location;
        char *copy;

        if (!location[0])
                return error_set(err, ERROR_UNAVAILABLE, -EPROTO, "%s: upload without a Location",
                                 job->set->session->origin.host);
        copy = strdup(location);
        if (!copy)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        free(job->upload_url);
        job->upload_url = copy;
        return 0;
}

static struct request *upload_request(struct job *job, enum request_method method,
                                      request_done_func on_done) {
        return next_request(job, method, strdup(job->upload_url), on_done);
}

/* An answer that was lost: the registry may have closed the upload with the blob all the same. */
static void on_finished(struct request *request, int r, const struct error *err) {
        struct job *job = request->owner;

        if (r == -ENOENT && request->method == REQUEST_PUT) {
                next_request(job, REQUEST_HEAD, resource_url(job), on_finished);
                start_or_end(job);
                return;
        }
        on_job_done(request, r, err);
}

static void push_finish(struct job *job) {
        struct buf url = BUF_INIT(4096);

        buf_printf(&url, "%s%cdigest=%s", job->upload_url, strchr(job->upload_url, '?') ? '&' : '?',
                   job->reference);
        next_request(job, REQUEST_PUT, buf_steal_string(&url), on_finished);
        start_or_end(job);
}

/* --- a piece that did not arrive in full --- */

/* "0-1023": 1024 bytes are there. "0-0" is said of one byte and of none, so it tells nothing. */
static int parse_range(const char *text, uint64_t size, uint64_t *ret) {
        const char *end = str_after(text, "bytes=") ?: text;
        uint64_t last;

        end = str_after(end, "0-");
        if (!end || parse_u64(end, 1, size - 1, &last) < 0)
                return -EINVAL;
        *ret = last + 1;
        return 0;
}

/* The registry does not know the upload any more, or not how much of it there is. */
static void restart_upload(struct job *job, int r, const struct error *cause) {
        struct error err = { 0 };

        if (++job->n_restarts > RESTARTS_MAX) {
                if (r == 0)
                        r = error_set(&err, ERROR_UNAVAILABLE, -EPROTO,
                                      "%s: does not say how much of the upload has arrived",
                                      job->set->session->origin.host);
                job_end(job, r, cause ?: &err);
                return;
        }
        job->position = 0;
        begin_upload(job);
}

static void on_upload_status(struct request *request, int r, const struct error *cause) {
        struct job *job = request->owner;
        struct error err = { 0 };

        if (r < 0 && request->is_transient) {
                job_end(job, r, cause);
                return;
        }
        if (r < 0 || parse_range(request->range, job->size, &job->position) < 0) {
                restart_upload(job, r, cause);
                return;
        }
        if (request->location[0])
                r = take_location(job, &err);
        if (r < 0)
                job_end(job, r, &err);
        else if (job->position == job->size)
                push_finish(job);
        else
                push_chunk(job);
}

static int on_resume_time(struct loop_timer *timer) {
        struct job *job = container_of(timer, struct job, resume);

        upload_request(job, REQUEST_GET, on_upload_status);
        start_or_end(job);
        return 0;
}

/* Asks the registry how much it has, a while later. */
static void resume_upload(struct job *job, int r, const struct error *cause) {
        uint64_t wait = RESUME_WAIT_NS << MIN(job->n_resumes, 4u);

        if (!job->request.is_transient || ++job->n_resumes > RESUMES_MAX ||
            loop_timer_set(job->set->session->loop, &job->resume,
                           MAX(wait, job->request.retry_after_ns), "upload resume",
                           on_resume_time) < 0)
                job_end(job, r, cause);
}

static void on_chunk_sent(struct request *request, int r, const struct error *cause) {
        struct job *job = request->owner;
        struct error err = { 0 };

        if (r < 0 && (request->status == 404 || request->status == 416)) {
                restart_upload(job, r, cause);
                return;
        }
        if (r < 0) {
                resume_upload(job, r, cause);
                return;
        }
        r = take_location(job, &err);
        if (r < 0) {
                job_end(job, r, &err);
                return;
        }
        job->position += request->source_length;
        if (job->position > job->furthest) {
                job->furthest = job->position;
                job->n_resumes = 0;
        }
        if (job->position < job->size)
                push_chunk(job);
        else
                push_finish(job);
}

static void push_chunk(struct job *job) {
        struct request *request = upload_request(job, REQUEST_PATCH, on_chunk_sent);

        request->content_type = "application/octet-stream";
        request->is_once = true;
        request->source_fd = job->fd;
        request->source_offset = job->position;
        request->source_length = MIN((uint64_t)PUSH_CHUNK, job->size - job->position);
        request->on_progress = on_put_progress;
        start_or_end(job);
}

static void on_upload_begun(struct request *request, int r, const struct error *cause) {
        struct job *job = request->owner;
        struct error err = { 0 };

        if (r == 0 && request->status == 201) {
                job->was_present = true;
                job->position = job->size;
                job_end(job, 0, NULL);
                return;
        }
        if (r == 0 && request->status != 202)
                r = error_set(&err, ERROR_UNAVAILABLE, -EPROTO,
                              "%s: upload refused with status %ld", job->set->session->origin.host,
                              request->status);
        if (r == 0)
                r = take_location(job, &err);
        if (r < 0)
                job_end(job, r, cause ?: &err);
        else if (job->size == 0)
                push_finish(job);
        else
                push_chunk(job);
}

static void begin_upload(struct job *job) {
        const struct session *session = job->set->session;
        struct buf url = BUF_INIT(2048);

        buf_printf(&url, "%s/v2/%s/blobs/uploads/", session->base_url, session->repository);
        if (job->mount_from)
                buf_printf(&url, "?mount=%s&from=%s", job->reference, job->mount_from);
        next_request(job, REQUEST_POST, buf_steal_string(&url), on_upload_begun);
        start_or_end(job);
}

static void on_existence_known(struct request *request, int r, const struct error *err) {
        struct job *job = request->owner;

        if (r == 0) {
                job->was_present = true;
                job->position = job->size;
                job_end(job, 0, NULL);
        } else if (r == -ENOENT)
                begin_upload(job);
        else
                job_end(job, r, err);
}

static int set_texts(struct job *job, const struct msg_fetch_put *put) {
        if (put->media_type && !(job->media_type = strdup(put->media_type)))
                return -ENOMEM;
        if (put->mount_from && !(job->mount_from = strdup(put->mount_from)))
                return -ENOMEM;
        return 0;
}

int job_put(struct job_set *set, const struct msg_fetch_put *put, int take_fd) {
        struct request *request;
        struct job *job;
        int r;

        r = job_new(set, put->job, put->kind, put->reference, take_fd, &job);
        if (r < 0)
                return r;
        job->size = put->size;
        r = set_texts(job, put);
        if (r < 0) {
                job_end(job, r, NULL);
                return 0;
        }
        if (job->kind == FETCH_BLOB) {
                next_request(job, REQUEST_HEAD, resource_url(job), on_existence_known);
        } else {
                request = next_request(job, REQUEST_PUT, resource_url(job), on_job_done);
                request->content_type = job->media_type;
                request->source_fd = job->fd;
                request->source_length = job->size;
        }
        start_or_end(job);
        return 0;
}

void job_cancel(struct job_set *set, uint32_t id) {
        for (struct job *job = set->first; job; job = job->next)
                if (job->id == id) {
                        job_end(job, -ECANCELED,
                                &(struct error){ .code = ERROR_UNAVAILABLE, .msg = "canceled" });
                        return;
                }
}

void job_set_done(struct job_set *set) {
        while (set->first)
                job_free(set->first);
}
