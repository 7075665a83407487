/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/asker.h"

#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "supervisor/supervisor.h"

#define QUEUE_MAX (1u << 20)
#define ANSWER_TIMEOUT (4 * NSEC_PER_SEC) /* gadget-ask itself gives a runtime half of it */
#define DELAY_FIRST (250 * NSEC_PER_MSEC)
#define DELAY_LAST (30 * NSEC_PER_SEC)
#define TRIES_MAX 4
#define UID_SLOTS 1000000u
#define LOG_RECORDS_PER_CALL 16

static const char *const usual_sockets[_API_MAX] = {
        [API_DOCKER] = "/run/docker.sock",
        [API_PODMAN] = "/run/podman/podman.sock",
        [API_CONTAINERD] = "/run/containerd/containerd.sock",
        [API_CRI] = "/run/crio/crio.sock",
};

static void next_inquiry(struct asker *asker);

static struct loop *loop_of(const struct asker *asker) {
        return asker->containers->sup->loop;
}

static struct inquiry *inquiry_free(struct asker *asker, struct inquiry *q) {
        TAILQ_REMOVE(&asker->inquiries, q, link);
        asker->n--;
        free(q->id);
        free(q->sandbox);
        free(q->namespace);
        free(q->path);
        free(q);
        return NULL;
}

/* asked NULL = nothing is known. */
static void finish(struct asker *asker, const struct msg_asked *asked) {
        struct inquiry *q = TAILQ_FIRST(&asker->inquiries);

        containers_on_answer(asker->containers, q->mntns, q->id, asked);
        inquiry_free(asker, q);
}

static int on_timer(struct loop_timer *timer);

/* Later, and the first question again unless it has been tried often enough. */
static void back_off(struct asker *asker, const char *why) {
        struct inquiry *q = TAILQ_FIRST(&asker->inquiries);

        asker->is_busy = false;
        asker->delay_ns = asker->delay_ns == 0 ? DELAY_FIRST : MIN(2 * asker->delay_ns, DELAY_LAST);
        (void)loop_timer_set(loop_of(asker), &asker->timer, asker->delay_ns, "ask", on_timer);
        if (!q)
                return;
        if (++q->n_tries < TRIES_MAX) {
                log_debug("'%s' is asked again in %llu ms: %s", q->path,
                          (unsigned long long)(asker->delay_ns / NSEC_PER_MSEC), why);
                return;
        }
        log_warning("'%s' does not say what container '%.64s' is: %s", q->path, q->id, why);
        finish(asker, NULL);
}

/* --- the process --- */

static void release(struct asker *asker) {
        asker->channel = channel_free(asker->channel);
        if (asker->pidfd >= 0)
                (void)pidfd_send_signal(asker->pidfd, SIGKILL, NULL, 0);
        loop_io_remove(&asker->log_io);
        close_fd(&asker->log_fd);
        close_fd(&asker->pidfd);
        asker->pid = 0; /* the reaper takes an unknown child for an orphan */
}

static int on_log(struct loop_io *io, uint32_t events) {
        struct asker *asker = container_of(io, struct asker, log_io);
        uint8_t record[1 + LIMIT_LOG_TEXT_MAX];

        (void)events;
        for (unsigned int i = 0; i < LOG_RECORDS_PER_CALL; i++) {
                ssize_t n = recv(asker->log_fd, record, sizeof(record), MSG_DONTWAIT);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n <= 0) {
                        loop_io_remove(&asker->log_io);
                        return 0;
                }
                if (n > 1)
                        log_relay("gadget-ask", BYTES(record, (size_t)n));
        }
        return 0;
}

static bool permit(void *owner, enum message_type type) {
        const struct asker *asker = owner;

        return type == MSG_ASKED && asker->is_busy;
}

static bool is_worth_a_retry(uint32_t failure) {
        return failure == ETIMEDOUT || failure == EPROTO;
}

static int on_message(void *owner, struct received *received) {
        struct asker *asker = owner;
        const struct msg_asked *asked = &received->msg->asked;

        if (asked->job != asker->job)
                return -EPROTO;
        if (is_worth_a_retry(asked->failure)) {
                back_off(asker, strerror((int)asked->failure));
                return 0;
        }
        asker->is_busy = false;
        asker->delay_ns = 0;
        loop_timer_clear(&asker->timer);
        if (!TAILQ_EMPTY(&asker->inquiries))
                finish(asker, asked);
        next_inquiry(asker);
        return 0;
}

static void on_closed(void *owner, int r, const struct error *err) {
        struct asker *asker = owner;

        if (r < 0)
                log_error("gadget-ask broke the protocol: %s", error_text(err));
        release(asker);
        if (asker->is_busy)
                back_off(asker, "gadget-ask has ended");
}

static int start(struct asker *asker) {
        static const struct channel_ops ops = { permit, on_message, on_closed };
        cleanup_close int channel_fd = -1, child_channel_fd = -1, child_log_fd = -1;
        uint32_t slot;
        char uid[16];
        const char *const argv[] = { "gadget-ask", "--uid", uid, NULL };
        struct proc_spec spec = { .path = asker->containers->sup->paths.asker,
                                  .argv = argv,
                                  .death_signal = SIGKILL };
        int r;

        if (asker->pid > 0)
                return 0;
        if (getrandom(&slot, sizeof(slot), 0) != sizeof(slot))
                abort();
        snprintf(uid, sizeof(uid), "%u", FETCHER_UID_BASE + slot % UID_SLOTS);
        r = socket_pair(SOCK_SEQPACKET, &channel_fd, &child_channel_fd);
        if (r == 0)
                r = socket_pair(SOCK_SEQPACKET, &asker->log_fd, &child_log_fd);
        spec.fds[CHILD_FD_CHANNEL] = child_channel_fd;
        spec.fds[CHILD_FD_LOG] = child_log_fd;
        if (r == 0)
                r = proc_spawn(&spec, &asker->pid, &asker->pidfd);
        if (r == 0)
                r = loop_io_add(loop_of(asker), &asker->log_io, asker->log_fd, EPOLLIN, "ask log",
                                on_log);
        if (r == 0)
                r = channel_new(loop_of(asker), TAKE_FD(channel_fd), "gadget-ask", &ops, asker,
                                QUEUE_MAX, &asker->channel);
        if (r < 0) {
                log_error_errno(r, "cannot start '%s'", spec.path);
                release(asker);
        }
        return r;
}

/* --- questions --- */

static int connect_to(const char *path) {
        cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (fd < 0)
                return -errno;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static const char *or_null(const char *text) {
        return text[0] ? text : NULL;
}

static int send_inquiry(struct asker *asker, const struct inquiry *q) {
        const struct msg_ask ask = { .job = ++asker->job ?: ++asker->job,
                                     .api = asker->api,
                                     .id = q->id,
                                     .sandbox = or_null(q->sandbox),
                                     .namespace = or_null(q->namespace) };
        int fds[ASK_FDS], r = 0;
        size_t n = 0;

        while (r == 0 && n < ASK_FDS) {
                fds[n] = connect_to(q->path);
                if (fds[n] < 0)
                        r = fds[n];
                else
                        n++;
        }
        if (r == 0)
                r = start(asker);
        if (r == 0)
                r = channel_send(asker->channel, MSG_ASK, &ask, fds, n);
        if (r == 0)
                r = loop_timer_set(loop_of(asker), &asker->timer, ANSWER_TIMEOUT, "ask", on_timer);
        while (n > 0)
                close_fd(&fds[--n]);
        return r;
}

static void next_inquiry(struct asker *asker) {
        while (!asker->is_busy && asker->timer.index == 0 && !TAILQ_EMPTY(&asker->inquiries)) {
                int r = send_inquiry(asker, TAILQ_FIRST(&asker->inquiries));

                if (r == 0)
                        asker->is_busy = true;
                else if (r == -ENOENT)
                        finish(asker, NULL); /* there is no such runtime */
                else
                        back_off(asker, strerror(-r));
        }
}

static int on_timer(struct loop_timer *timer) {
        struct asker *asker = container_of(timer, struct asker, timer);

        if (asker->is_busy) {
                release(asker);
                back_off(asker, "no answer in time");
        } else {
                next_inquiry(asker);
        }
        return 0;
}

enum api asker_choose(const struct msg_container_added *info) {
        static const struct {
                const char *runtime;
                enum api api;
        } known[] = {
                { "docker", API_DOCKER },
                { "podman", API_PODMAN },
                { "containerd", API_CONTAINERD },
                { "cri-o", API_CRI },
        };

        if (!info->id || !info->runtime)
                return _API_MAX;
        if (info->image && info->digest && (info->k8s_labels || !info->k8s_sandbox))
                return _API_MAX; /* there is nothing to learn */
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (str_eq(info->runtime, known[i].runtime))
                        return known[i].api == API_CONTAINERD && info->k8s_sandbox ? API_CRI
                                                                                   : known[i].api;
        return _API_MAX;
}

static const char *choose_path(const struct asker *asker, const struct msg_container_added *info) {
        char *const *sockets = asker->containers->sup->config.containers.sockets;
        enum api api = asker->api;

        /* containerd has its CRI on the same socket. */
        if (api == API_CRI && !sockets[API_CRI] && str_eq(info->runtime, "containerd"))
                api = API_CONTAINERD;
        return sockets[api] ?: usual_sockets[api];
}

bool asker_ask(struct asker *asker, const struct msg_container_added *info) {
        struct inquiry *q;

        TAILQ_FOREACH(q, &asker->inquiries, link)
        if (q->mntns == info->mntns && str_eq(q->id, info->id))
                return true;
        if (asker->n >= LIMIT_CONTAINERS_MAX)
                return false;
        q = calloc(1, sizeof(*q));
        if (!q)
                return false;
        q->mntns = info->mntns;
        q->id = strdup(info->id);
        q->sandbox = strdup(info->k8s_sandbox ?: "");
        q->namespace = strdup(info->containerd_namespace ?: "");
        q->path = strdup(choose_path(asker, info));
        TAILQ_INSERT_TAIL(&asker->inquiries, q, link);
        asker->n++;
        if (!q->id || !q->path || !q->sandbox || !q->namespace) {
                inquiry_free(asker, q);
                return false;
        }
        /* Not at once: the caller is in the middle of it. */
        if (!asker->is_busy && asker->timer.index == 0)
                (void)loop_timer_set(loop_of(asker), &asker->timer, 0, "ask", on_timer);
        return true;
}

void askers_forget(struct asker *askers, uint64_t mntns) {
        for (size_t i = 0; i < _API_MAX; i++) {
                struct asker *asker = &askers[i];
                struct inquiry *q, *next;

                for (q = TAILQ_FIRST(&asker->inquiries); q; q = next) {
                        next = TAILQ_NEXT(q, link);
                        /* The one that is being asked is answered first. */
                        if (q->mntns == mntns &&
                            !(asker->is_busy && q == TAILQ_FIRST(&asker->inquiries)))
                                inquiry_free(asker, q);
                }
        }
}

bool askers_on_exit(struct asker *askers, pid_t pid) {
        for (size_t i = 0; i < _API_MAX; i++) {
                struct asker *asker = &askers[i];

                if (asker->pid != pid)
                        continue;
                if (asker->log_io.loop)
                        (void)on_log(&asker->log_io, EPOLLIN);
                release(asker);
                if (asker->is_busy)
                        back_off(asker, "gadget-ask has ended");
                return true;
        }
        return false;
}

void askers_init(struct asker *askers, struct containers *containers) {
        for (size_t i = 0; i < _API_MAX; i++) {
                askers[i] = (struct asker){
                        .containers = containers, .api = (enum api)i, .pidfd = -1, .log_fd = -1
                };
                TAILQ_INIT(&askers[i].inquiries);
        }
}

void askers_done(struct asker *askers) {
        for (size_t i = 0; i < _API_MAX; i++) {
                struct asker *asker = &askers[i];

                loop_timer_clear(&asker->timer);
                release(asker);
                while (!TAILQ_EMPTY(&asker->inquiries))
                        inquiry_free(asker, TAILQ_FIRST(&asker->inquiries));
        }
}
