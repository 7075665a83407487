/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one exchange. perform() sends it, on_finished() looks at the answer and decides by a
 * table of cases: success, authenticate, redirect, retry, fail. Every loop here is bounded by a
 * counter: attempts, redirects, one authentication.
 */
#include "fetcher/request.h"

#include <jansson.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/text.h"

#define RETRY_BASE_NS (250 * NSEC_PER_MSEC)
#define RETRY_WINDOW_MAX_NS (4 * NSEC_PER_SEC)
#define RETRY_AFTER_MAX_NS (60 * NSEC_PER_SEC)

static int perform(struct request *request, struct error *err);

void request_init(struct request *request, struct session *session) {
        *request = (struct request){
                .session = session,
                .sink_fd = -1,
                .source_fd = -1,
                .sink_max = REQUEST_SMALL_BODY_MAX,
                .body = BUF_INIT(REQUEST_SMALL_BODY_MAX),
        };
}

static void stop_transfer(struct request *request) {
        if (request->easy) {
                curl_loop_remove(request->session->curl, request->easy);
                curl_easy_cleanup(TAKE_PTR(request->easy));
        }
        curl_slist_free_all(TAKE_PTR(request->headers));
}

void request_done(struct request *request) {
        loop_timer_clear(&request->retry);
        stop_transfer(request);
        if (request->token_request) {
                request_done(request->token_request);
                free(TAKE_PTR(request->token_request));
        }
        free(TAKE_PTR(request->url));
        free(TAKE_PTR(request->first_url));
        if (request->form)
                explicit_bzero(request->form, strlen(request->form));
        free(TAKE_PTR(request->form));
        buf_done(&request->body);
}

static void finish(struct request *request, int r, const struct error *err) {
        stop_transfer(request);
        request->on_done(request, r, err);
}

/* --- headers and bodies --- */

static void copy_value(const char *value, size_t n, char *out, size_t size) {
        while (n > 0 && (*value == ' ' || *value == '\t')) {
                value++;
                n--;
        }
        while (n > 0 && (value[n - 1] == '\r' || value[n - 1] == '\n' || value[n - 1] == ' '))
                n--;
        if (n >= size)
                n = 0; /* too long to be what it should be: as if it were not there */
        memcpy(out, value, n);
        out[n] = '\0';
}

static void take_retry_after(struct request *request, const char *value, size_t n) {
        char text[64];
        uint32_t seconds;
        time_t when, now;

        copy_value(value, n, text, sizeof(text));
        if (parse_u32(text, 0, 3600, &seconds) == 0) {
                request->retry_after_ns = MIN(seconds * NSEC_PER_SEC, RETRY_AFTER_MAX_NS);
                return;
        }
        /* Or a date. */
        when = curl_getdate(text, NULL);
        now = time(NULL);
        if (when > now)
                request->retry_after_ns =
                        MIN((uint64_t)(when - now) * NSEC_PER_SEC, RETRY_AFTER_MAX_NS);
}

static size_t on_header(char *data, size_t size, size_t n, void *userdata) {
        static const struct {
                const char *name;
                size_t offset;
                size_t size;
        } wanted[] = {
                { "content-type:", offsetof(struct request, response_type), 128 },
                { "docker-content-digest:", offsetof(struct request, digest), 160 },
                { "location:", offsetof(struct request, location), 2048 },
                { "range:", offsetof(struct request, range), 64 },
        };
        struct request *request = userdata;
        size_t len = size * n;

        request->header_bytes += len;
        if (request->header_bytes > REQUEST_HEADERS_MAX)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                size_t name_len = strlen(wanted[i].name);

                if (len > name_len && strncasecmp(data, wanted[i].name, name_len) == 0)
                        copy_value(data + name_len, len - name_len,
                                   (char *)request + wanted[i].offset, wanted[i].size);
        }
        if (len > 12 && strncasecmp(data, "retry-after:", 12) == 0)
                take_retry_after(request, data + 12, len - 12);
        if (len > 8 && strncasecmp(data, "warning:", 8) == 0)
                copy_value(data + 8, len - 8, request->session->warning,
                           sizeof(request->session->warning));
        return len;
}

static size_t write_sink(struct request *request, const char *data, size_t len) {
        if (request->received + len > request->sink_max) {
                request->is_over_cap = true;
                return 0;
        }
        for (size_t done = 0; done < len;) {
                ssize_t n = pwrite(request->sink_fd, data + done, len - done,
                                   (off_t)(request->received + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        request->io_error = -errno;
                        return 0;
                }
                done += (size_t)n;
        }
        request->received += len;
        if (request->on_progress)
                request->on_progress(request);
        return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata) {
        struct request *request = userdata;
        size_t len = size * n;
        long status = 0;

        curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
        if (request->sink_fd < 0 || (status != 200 && status != 206)) {
                /* An error's text: its first part is enough. */
                size_t room = REQUEST_SMALL_BODY_MAX - request->body.len;

                if (buf_append(&request->body, data, MIN(len, room)) < 0)
                        return 0;
                return len > room && status < 400 ? 0 : len;
        }
        if (status == 200 && request->sink_offset > 0) {
                /* The server ignored Range and sends it all again. */
                request->sink_offset = 0;
                request->received = 0;
        }
        return write_sink(request, data, len);
}

static size_t on_read(char *out, size_t size, size_t n, void *userdata) {
        struct request *request = userdata;
        size_t want = (size_t)MIN((uint64_t)size * n, request->source_length - request->sent);
        ssize_t got;

        if (want == 0)
                return 0;
        got = pread(request->source_fd, out, want, (off_t)(request->source_offset + request->sent));
        if (got <= 0)
                return CURL_READFUNC_ABORT;
        request->sent += (uint64_t)got;
        if (request->on_progress)
                request->on_progress(request);
        return (size_t)got;
}

static int on_seek(void *userdata, curl_off_t offset, int origin) {
        struct request *request = userdata;

        if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > request->source_length)
                return CURL_SEEKFUNC_FAIL;
        request->sent = (uint64_t)offset;
        return CURL_SEEKFUNC_OK;
}

/* --- sending --- */

static int add_header(struct request *request, const char *text) {
        struct curl_slist *longer = curl_slist_append(request->headers, text);

        if (!longer)
                return -ENOMEM;
        request->headers = longer;
        return 0;
}

static int add_headers(struct request *request) {
        cleanup_buf struct buf line = BUF_INIT(TOKEN_MAX + 8192);
        int r = 0;

        if (request->accept) {
                buf_printf(&line, "Accept: %s%c", request->accept, 0);
                r = buf_result(&line) ?: add_header(request, (char *)line.data);
                buf_reset(&line);
        }
        if (r == 0 && request->content_type) {
                buf_printf(&line, "Content-Type: %s%c", request->content_type, 0);
                r = buf_result(&line) ?: add_header(request, (char *)line.data);
                buf_reset(&line);
        }
        if (r == 0 && request->method == REQUEST_PATCH) {
                buf_printf(
                        &line, "Content-Range: %llu-%llu%c",
                        (unsigned long long)request->source_offset,
                        (unsigned long long)(request->source_offset + request->source_length - 1),
                        0);
                r = buf_result(&line) ?: add_header(request, (char *)line.data);
                buf_reset(&line);
        }
        if (r == 0)
                r = session_authorization(request->session, &request->target, &line);
        if (r >= 0 && line.len > 0) {
                buf_append(&line, "", 1);
                r = buf_result(&line) ?: add_header(request, (char *)line.data);
        }
        explicit_bzero(line.data, line.data ? line.cap : 0);
        return r ?: add_header(request, "Expect:");
}

static void set_method(struct request *request) {
        static const char *const names[] = {
                [REQUEST_GET] = "GET",     [REQUEST_HEAD] = "HEAD", [REQUEST_POST] = "POST",
                [REQUEST_PATCH] = "PATCH", [REQUEST_PUT] = "PUT",
        };
        CURL *easy = request->easy;

        if (request->method == REQUEST_HEAD)
                curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        if (request->method < REQUEST_POST)
                return;
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, names[request->method]);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->source_length);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, request);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, request);
}

static int perform(struct request *request, struct error *err) {
        int r;

        stop_transfer(request);
        r = origin_parse(request->url, &request->target, err);
        if (r < 0)
                return r;
        request->easy = session_easy_new(request->session);
        if (!request->easy)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        request->header_bytes = 0;
        request->sent = 0;
        request->retry_after_ns = 0;
        request->is_transient = false;
        request->curl_error[0] = '\0';
        curl_easy_setopt(request->easy, CURLOPT_ERRORBUFFER, request->curl_error);
        request->response_type[0] = request->digest[0] = request->location[0] = request->range[0] =
                '\0';
        request->received = request->sink_offset;
        buf_reset(&request->body);
        r = add_headers(request);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "request headers");
        set_method(request);
        curl_easy_setopt(request->easy, CURLOPT_URL, request->url);
        curl_easy_setopt(request->easy, CURLOPT_PRIVATE, request);
        curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
        curl_easy_setopt(request->easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(request->easy, CURLOPT_HEADERDATA, request);
        curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(request->easy, CURLOPT_WRITEDATA, request);
        /* Not CURLOPT_RESUME_FROM: that makes an error of a server that sends it all again. */
        if (request->sink_offset > 0) {
                char range[32];

                snprintf(range, sizeof(range), "%llu-", (unsigned long long)request->sink_offset);
                curl_easy_setopt(request->easy, CURLOPT_RANGE, range);
        }
        if (request->on_prepare)
                request->on_prepare(request);
        r = curl_loop_add(request->session->curl, request->easy);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "starting the transfer");
        return 0;
}

int request_start(struct request *request, struct error *err) {
        request->n_attempts = request->n_stalls = 0;
        request->n_redirects = 0;
        request->has_authenticated = false;
        request->attempt_offset = request->sink_offset;
        free(request->first_url);
        request->first_url = strdup(request->url);
        if (!request->first_url)
                return -ENOMEM;
        return perform(request, err);
}

static void perform_or_finish(struct request *request) {
        struct error err = { 0 };
        int r = perform(request, &err);

        if (r < 0)
                finish(request, r, &err);
}

/* --- the answer --- */

static int on_retry_time(struct loop_timer *timer) {
        perform_or_finish(container_of(timer, struct request, retry));
        return 0;
}

/* Jitter over the later half of an exponentially growing window, but never earlier than the server
 * asked. All attempts together outlast a registry that is restarted. */
static bool schedule_retry(struct request *request) {
        uint64_t window = MIN(RETRY_BASE_NS << request->n_attempts, RETRY_WINDOW_MAX_NS);
        uint64_t random = 0;

        if (request->received >= request->attempt_offset + REQUEST_PROGRESS) {
                request->attempt_offset = request->received;
                request->n_attempts = 0;
        }
        if (++request->n_attempts >= REQUEST_ATTEMPTS_MAX)
                return false;
        /* Where a redirect led may hold for one attempt only. */
        if (request->first_url && !str_eq(request->first_url, request->url)) {
                free(request->url);
                request->url = strdup(request->first_url);
                request->n_redirects = 0;
                if (!request->url)
                        return false;
        }
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                random = now_ns();
        stop_transfer(request);
        /* Only downloads can be resumed; what was sent is sent again. */
        if (request->sink_fd >= 0)
                request->sink_offset = request->received;
        return loop_timer_set(request->session->loop, &request->retry,
                              MAX(window / 2 + random % (window / 2), request->retry_after_ns),
                              "http retry", on_retry_time) == 0;
}

/* The registry's own words, if it said any: {"errors":[{"code","message"}]}. */
static void append_reason(const struct request *request, struct error *err) {
        json_error_t json_err;
        json_t *root = json_loadb((const char *)request->body.data, request->body.len,
                                  JSON_REJECT_DUPLICATES, &json_err);
        json_t *first = json_array_get(json_object_get(root, "errors"), 0);
        const char *text = json_string_value(json_object_get(first, "message"));
        cleanup_buf struct buf safe = BUF_INIT(512);

        if (text && text_append_escaped(&safe, (const uint8_t *)text, strnlen(text, 120)) == 0)
                error_append(err, "the registry says: %.*s", (int)safe.len,
                             (const char *)safe.data);
        json_decref(root);
}

static void fail_status(struct request *request) {
        struct error err = { 0 };
        const char *host = request->session->origin.host;
        int r;

        switch (request->status) {
        case 401:
                r = error_set(&err, ERROR_DENIED, -EACCES, "%s: authentication required%s", host,
                              request->session->username ? " (the credentials were not accepted)"
                                                         : "");
                break;
        case 403:
                r = error_set(&err, ERROR_DENIED, -EPERM, "%s: access to '%s' is denied", host,
                              request->session->repository);
                break;
        case 404:
                r = error_set(&err, ERROR_NOT_FOUND, -ENOENT, "%s: not found in '%s'", host,
                              request->session->repository);
                break;
        case 416:
                r = error_set(&err, ERROR_UNAVAILABLE, -EIO, "%s: range refused", host);
                break;
        default:
                r = error_set(&err,
                              request->status >= 500 || request->status == 429 ? ERROR_UNAVAILABLE
                                                                               : ERROR_INVALID,
                              -EREMOTEIO, "%s: HTTP status %ld", host, request->status);
                break;
        }
        append_reason(request, &err);
        finish(request, r, &err);
}

/* curl's own words may quote the other side's. */
static int fail_connection(const struct request *request, CURLcode result, struct error *err) {
        cleanup_buf struct buf safe = BUF_INIT(4 * CURL_ERROR_SIZE);
        int r = error_set(err, ERROR_UNAVAILABLE, -EIO, "%s: %s", request->session->origin.host,
                          curl_easy_strerror(result));

        if (request->curl_error[0] &&
            text_append_escaped(&safe, (const uint8_t *)request->curl_error,
                                strlen(request->curl_error)) == 0)
                error_append(err, "%.*s", (int)safe.len, (const char *)safe.data);
        return r;
}

static void fail_transport(struct request *request, CURLcode result) {
        struct error err = { 0 };
        const char *host = request->session->origin.host;
        int r;

        if (request->is_over_cap)
                r = error_set(&err, ERROR_LIMIT, -EFBIG, "%s: more than the %llu bytes allowed",
                              host, (unsigned long long)request->sink_max);
        else if (result == CURLE_COULDNT_CONNECT && request->session->has_refused)
                r = error_set(&err, ERROR_DENIED, -EPERM,
                              "%s: leads to '%s', an address that only this host or its link "
                              "reaches",
                              host, request->target.host);
        else if (request->io_error < 0)
                r = error_set(&err, ERROR_UNAVAILABLE, request->io_error,
                              "writing what %s sent: %s", host, strerror(-request->io_error));
        else
                r = fail_connection(request, result, &err);
        request->session->has_refused = false;
        finish(request, r, &err);
}

static void follow_redirect(struct request *request) {
        struct origin next;
        struct error err = { 0 };
        int r = -EINVAL;

        if (++request->n_redirects > REQUEST_REDIRECTS_MAX)
                r = error_set(&err, ERROR_UNAVAILABLE, -ELOOP, "%s: more than %d redirects",
                              request->session->origin.host, REQUEST_REDIRECTS_MAX);
        else
                r = origin_parse(request->location, &next, &err);
        if (r == 0 && !origin_may_redirect(&request->target, &next))
                r = error_set(&err, ERROR_DENIED, -EPERM, "%s: redirect from https to http refused",
                              request->session->origin.host);
        if (r < 0) {
                finish(request, r, &err);
                return;
        }
        free(request->url);
        request->url = strdup(request->location);
        if (!request->url) {
                finish(request, -ENOMEM, NULL);
                return;
        }
        perform_or_finish(request);
}

/* --- tokens --- */

static int take_token(struct session *session, const struct request *answer) {
        json_error_t json_err;
        json_t *root = json_loadb((const char *)answer->body.data, answer->body.len,
                                  JSON_REJECT_DUPLICATES, &json_err);
        const char *token = json_string_value(json_object_get(root, "token"));
        int r = -EBADMSG;

        if (!token)
                token = json_string_value(json_object_get(root, "access_token"));
        if (token && strlen(token) < TOKEN_MAX && strcspn(token, "\r\n \t") == strlen(token)) {
                memcpy(session->token, token, strlen(token) + 1);
                r = 0;
        }
        json_decref(root);
        return r;
}

static void on_token(struct request *token_request, int r, const struct error *cause) {
        struct request *request = token_request->owner;
        struct session *session = request->session;
        struct error err = { 0 };

        if (r == 0 && take_token(session, token_request) < 0)
                r = error_set(&err, ERROR_UNAVAILABLE, -EBADMSG, "%s: token service sent no token",
                              session->origin.host);
        else if (r < 0) {
                if (cause)
                        err = *cause;
                error_prefix(&err, r, "token for '%s'", session->repository);
        }
        request_done(token_request);
        free(TAKE_PTR(request->token_request));
        if (r < 0)
                finish(request, r, &err);
        else
                perform_or_finish(request);
}

/* service=...&scope=..., as a query or as a form. */
static void put_scope(const struct session *session, const struct challenge *challenge, CURL *easy,
                      struct buf *out) {
        char *service = curl_easy_escape(easy, challenge->service, 0);
        char *scope = curl_easy_escape(easy, challenge->scope, 0);
        char *repository = curl_easy_escape(easy, session->repository, 0);

        buf_printf(out, "service=%s", service ?: "");
        if (challenge->scope[0])
                buf_printf(out, "&scope=%s", scope ?: "");
        else
                buf_printf(out, "&scope=repository:%s:%s", repository ?: "",
                           session->is_push ? "pull,push" : "pull");
        curl_free(service);
        curl_free(scope);
        curl_free(repository);
}

/*
 * The realm is named by the registry, and may redirect: credentials are added for each attempt
 * anew, and only where origin_may_share_credentials() says so. Elsewhere the token is asked for
 * anonymously.
 */
static void prepare_token_request(struct request *request) {
        struct session *session = request->session;

        if (!origin_may_share_credentials(&session->origin, &request->target))
                return;
        if (request->form) {
                curl_easy_setopt(request->easy, CURLOPT_COPYPOSTFIELDS, request->form);
        } else if (session->username) {
                curl_easy_setopt(request->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
                curl_easy_setopt(request->easy, CURLOPT_USERNAME, session->username);
                curl_easy_setopt(request->easy, CURLOPT_PASSWORD, session->password);
        }
}

/* A refresh token is posted as a form (OAuth2); everything else is a GET with a query. */
static int make_token_request(struct request *request, const struct challenge *challenge,
                              const struct origin *realm, struct request *token_request) {
        struct session *session = request->session;
        cleanup_buf struct buf text = BUF_INIT(TOKEN_MAX * 3 + 4096);

        if (session->identity_token && origin_may_share_credentials(&session->origin, realm)) {
                char *secret = curl_easy_escape(request->easy, session->identity_token, 0);

                buf_printf(&text, "grant_type=refresh_token&client_id=gadgetd&refresh_token=%s&",
                           secret ?: "");
                curl_free(secret);
                put_scope(session, challenge, request->easy, &text);
                token_request->form = buf_steal_string(&text);
                token_request->url = strdup(challenge->realm);
                return token_request->form && token_request->url ? 0 : -ENOMEM;
        }
        buf_printf(&text, "%s%c", challenge->realm, strchr(challenge->realm, '?') ? '&' : '?');
        put_scope(session, challenge, request->easy, &text);
        token_request->url = buf_steal_string(&text);
        return token_request->url ? 0 : -ENAMETOOLONG;
}

static int request_token(struct request *request, const struct challenge *challenge,
                         struct error *err) {
        struct session *session = request->session;
        struct request *token_request;
        struct origin realm;
        int r;

        r = origin_parse(challenge->realm, &realm, err);
        if (r < 0)
                return error_prefix(err, r, "token realm");
        if (session->origin.is_tls && !realm.is_tls)
                return error_set(err, ERROR_DENIED, -EPERM, "%s: token realm '%s' is not https",
                                 session->origin.host, challenge->realm);
        token_request = calloc(1, sizeof(*token_request));
        if (!token_request)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "out of memory");
        request_init(token_request, session);
        request->token_request = token_request;
        token_request->owner = request;
        token_request->on_done = on_token;
        token_request->on_prepare = prepare_token_request;
        r = make_token_request(request, challenge, &realm, token_request);
        if (r < 0)
                return error_set(err, ERROR_UNAVAILABLE, r, "token realm too long");
        session->token[0] = '\0';
        r = request_start(token_request, err);
        /* A token service that asks again gets no second answer. */
        token_request->has_authenticated = true;
        return r;
}

static void authenticate(struct request *request) {
        struct session *session = request->session;
        struct challenge challenge;
        struct curl_header *header;
        struct error err = { 0 };
        int r = -EBADMSG;

        if (request->has_authenticated || !origin_equal(&session->origin, &request->target)) {
                fail_status(request);
                return;
        }
        request->has_authenticated = true;
        if (curl_easy_header(request->easy, "WWW-Authenticate", 0, CURLH_HEADER, -1, &header) ==
            CURLHE_OK)
                r = challenge_parse(header->value, &challenge);
        if (r < 0 || (challenge.scheme == CHALLENGE_BASIC && !session->username)) {
                fail_status(request);
                return;
        }
        if (challenge.scheme == CHALLENGE_BASIC) {
                session->use_basic = true;
                perform_or_finish(request);
                return;
        }
        r = request_token(request, &challenge, &err);
        if (r < 0)
                finish(request, r, &err);
}

static bool is_redirect(long status) {
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Neither a TLS alert (such as "certificate required", which comes as late as the first read) nor a
 * proxy that says no will say something else next time. */
static bool is_refusal(const struct request *request) {
        long code = 0;

        curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &code);
        return (code >= 400 && code < 500) || strstr(request->curl_error, "alert");
}

static bool has_spoken_tls(const struct request *request, CURLcode result) {
        return request->target.is_tls &&
               (result == CURLE_OK || result == CURLE_PEER_FAILED_VERIFICATION ||
                result == CURLE_SSL_CERTPROBLEM || strstr(request->curl_error, "alert"));
}

/* Whether another attempt may help. A host that has never answered is not waited for. */
static bool is_transient(struct request *request, CURLcode result) {
        if (result == CURLE_COULDNT_CONNECT && request->session->has_refused)
                return false;
        if (result == CURLE_COULDNT_CONNECT && !request->session->has_answered)
                return request->n_attempts < 1;
        if (is_refusal(request))
                return false;
        if (result == CURLE_OPERATION_TIMEDOUT && ++request->n_stalls >= REQUEST_STALLS_MAX)
                return false;
        return result == CURLE_COULDNT_CONNECT || result == CURLE_PARTIAL_FILE ||
               result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR ||
               result == CURLE_GOT_NOTHING || result == CURLE_OPERATION_TIMEDOUT ||
               result == CURLE_HTTP2 || result == CURLE_HTTP2_STREAM;
}

/* Location may be relative: curl knows the absolute form. */
static void absolute_location(struct request *request) {
        char *url = NULL;

        curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &url);
        if (url && strlen(url) < sizeof(request->location))
                memcpy(request->location, url, strlen(url) + 1);
        else if (request->location[0] == '/') {
                cleanup_free char *path = strdup(request->location);
                int n = snprintf(request->location, sizeof(request->location),
                                 "http%s://%s%s%s:%u%s", request->target.is_tls ? "s" : "",
                                 strchr(request->target.host, ':') ? "[" : "", request->target.host,
                                 strchr(request->target.host, ':') ? "]" : "", request->target.port,
                                 path ?: "");

                if (n < 0 || (size_t)n >= sizeof(request->location))
                        request->location[0] = '\0';
        }
}

static bool may_retry(struct request *request) {
        return request->is_transient && !request->is_once && schedule_retry(request);
}

void request_on_finished(CURL *easy, CURLcode result) {
        struct request *request = NULL;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&request);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &request->status);
        request->session->has_spoken_tls |= has_spoken_tls(request, result);
        if (result != CURLE_OK) {
                request->is_transient = !request->is_over_cap && request->io_error == 0 &&
                                        is_transient(request, result);
                if (!may_retry(request))
                        fail_transport(request, result);
                return;
        }
        request->session->has_answered = true;
        absolute_location(request);
        request->is_transient = request->status == 429 || request->status >= 500;
        if (request->status == 401)
                authenticate(request);
        else if (request->status == 416 && request->sink_offset > 0) {
                request->received = 0; /* what is there is no beginning of it: from the start */
                if (!schedule_retry(request))
                        fail_status(request);
        } else if (is_redirect(request->status) && request->method <= REQUEST_HEAD)
                follow_redirect(request);
        else if (request->is_transient) {
                if (!may_retry(request))
                        fail_status(request);
        } else if (request->status >= 400)
                fail_status(request);
        else
                finish(request, 0, NULL);
}
