/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gadget-fetch: one process per transfer. It speaks HTTP, TLS and the registry's JSON so that
 * gadgetd does not have to. It decides nothing: gadgetd tells it what to get or put and hands it
 * the fds.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/parse.h"
#include "fetcher/job.h"
#include "fetcher/sandbox.h"
#include "gadget/api.h"

struct fetcher {
        struct loop *loop;
        struct session session;
        struct job_set jobs;
        bool is_open;
};

/* MSG_FETCH_OPEN comes first, once; the rest only afterwards. */
static bool on_permit(void *owner, enum message_type type) {
        const struct fetcher *fetcher = owner;

        if (type == MSG_FETCH_OPEN)
                return !fetcher->is_open;
        return fetcher->is_open &&
               (type == MSG_FETCH_GET || type == MSG_FETCH_PUT || type == MSG_FETCH_CANCEL);
}

static struct bytes map_fd(int fd) {
        struct stat st;
        void *data;

        if (fstat(fd, &st) < 0 || st.st_size <= 0)
                return BYTES(NULL, 0);
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        return data == MAP_FAILED ? BYTES(NULL, 0) : BYTES(data, (size_t)st.st_size);
}

static char *dup_or_null(const char *text) {
        return text ? strdup(text) : NULL;
}

static struct bytes dup_bytes(struct bytes b) {
        uint8_t *copy = b.len ? malloc(b.len) : NULL;

        if (!copy)
                return BYTES(NULL, 0);
        memcpy(copy, b.data, b.len);
        return BYTES(copy, b.len);
}

static int open_session(struct fetcher *fetcher, const struct msg_fetch_open *open, int ca_fd) {
        struct session *session = &fetcher->session;
        struct error err = { 0 };

        if (asprintf(&session->base_url, "http%s://%s", open->is_plain_http ? "" : "s",
                     open->host) < 0) {
                session->base_url = NULL;
                return -ENOMEM;
        }
        if (origin_parse(session->base_url, &session->origin, &err) < 0) {
                log_error("%s", error_text(&err));
                return -EINVAL;
        }
        session->repository = strdup(open->repository);
        session->username = dup_or_null(open->username);
        session->password = dup_or_null(open->password
                                                ?: open->username ? open->password ?: ""
                                                                  : NULL);
        session->identity_token = dup_or_null(open->identity_token);
        session->proxy = dup_or_null(open->proxy);
        session->no_proxy = dup_or_null(open->no_proxy);
        session->client_cert = dup_bytes(open->client_cert);
        session->client_key = dup_bytes(open->client_key);
        session->is_insecure = open->is_insecure;
        session->is_push = open->is_push;
        session->ca = map_fd(ca_fd);
        fetcher->is_open = true;
        return session->repository ? 0 : -ENOMEM;
}

static int on_message(void *owner, struct received *received) {
        struct fetcher *fetcher = owner;

        if (received->type == MSG_FETCH_OPEN)
                return open_session(fetcher, &received->msg->fetch_open, received->fds[0]);
        if (received->type == MSG_FETCH_CANCEL) {
                job_cancel(&fetcher->jobs, received->msg->fetch_cancel.job);
                return 0;
        }
        if (fetcher->jobs.n >= JOBS_MAX)
                return -EPROTO;
        if (received->type == MSG_FETCH_GET)
                return job_get(&fetcher->jobs, &received->msg->fetch_get,
                               TAKE_FD(received->fds[0]));
        return job_put(&fetcher->jobs, &received->msg->fetch_put, TAKE_FD(received->fds[0]));
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct fetcher *fetcher = owner;

        loop_exit(fetcher->loop, r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void on_finished(void *userdata, CURL *easy, CURLcode result) {
        request_on_finished(easy, result);
}

static int run(struct fetcher *fetcher) {
        static const struct channel_ops ops = { on_permit, on_message, on_closed };
        int r;

        r = loop_new(&fetcher->loop);
        if (r < 0)
                return r;
        r = curl_loop_new(fetcher->loop, on_finished, fetcher, &fetcher->session.curl);
        if (r < 0)
                return r;
        fetcher->session.loop = fetcher->loop;
        fetcher->jobs.session = &fetcher->session;
        r = channel_new(fetcher->loop, CHILD_FD_CHANNEL, "gadgetd", &ops, fetcher,
                        4 * LIMIT_FRAME_MAX, &fetcher->jobs.channel);
        if (r < 0)
                return r;
        return loop_run(fetcher->loop);
}

/* gadgetd opened their cgroup.procs for us, behind the log. */
static int join_cgroups(uint32_t n) {
        for (uint32_t i = 0; i < n; i++) {
                int fd = CHILD_FD_LOG + 1 + (int)i;

                if (write(fd, "0", 1) < 0)
                        return -errno;
                close(fd);
        }
        return 0;
}

int main(int argc, char **argv) {
        struct fetcher fetcher = { 0 };
        struct error err = { 0 };
        uint32_t uid, n_cgroups = 0;
        int r;

        log_init("gadget-fetch", CHILD_FD_LOG);
        if ((argc != 3 && argc != 5) || !str_eq(argv[1], "--uid") ||
            parse_u32(argv[2], 1, UINT32_MAX - 1, &uid) < 0 ||
            (argc == 5 &&
             (!str_eq(argv[3], "--cgroups") || parse_u32(argv[4], 0, 8, &n_cgroups) < 0))) {
                log_error("gadget-fetch is started by gadgetd, as: gadget-fetch --uid UID "
                          "[--cgroups N]");
                return 2;
        }
        r = join_cgroups(n_cgroups);
        if (r < 0) {
                log_error("cannot join its cgroup: %s", strerror(-r));
                return EXIT_FAILURE;
        }
        /* Before the sandbox: this loads what OpenSSL wants from disk. */
        if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
                log_error("libcurl does not initialise");
                return EXIT_FAILURE;
        }
        if (sandbox_enter(uid, &err) < 0) {
                log_error("%s", error_text(&err));
                return EXIT_FAILURE;
        }
        r = run(&fetcher);
        job_set_done(&fetcher.jobs);
        channel_free(fetcher.jobs.channel);
        curl_loop_free(fetcher.session.curl);
        loop_free(fetcher.loop);
        return r < 0 ? EXIT_FAILURE : r;
}
