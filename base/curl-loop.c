/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One loop_io for each socket that curl has open, one timer for its own deadlines. curl calls back
 * from inside curl_multi_socket_action(), so finished transfers are handed out by a deferred call:
 * their owner may then add and remove handles.
 */
#include "base/curl-loop.h"

struct curl_loop {
        struct loop *loop;
        CURLM *multi;
        curl_done_func on_done;
        void *userdata;
        struct loop_timer timer;
        struct loop_defer harvest;
};

struct curl_socket {
        struct curl_loop *curl;
        struct loop_io io;
};

static void on_harvest_needed(struct curl_loop *curl);

static int on_socket_ready(struct loop_io *io, uint32_t events) {
        struct curl_loop *curl = container_of(io, struct curl_socket, io)->curl;
        int mask = 0, n_running;

        if (events & EPOLLIN)
                mask |= CURL_CSELECT_IN;
        if (events & EPOLLOUT)
                mask |= CURL_CSELECT_OUT;
        if (events & (EPOLLERR | EPOLLHUP))
                mask |= CURL_CSELECT_ERR;
        /* May free this very source through on_socket(): io is not touched afterwards. */
        curl_multi_socket_action(curl->multi, io->fd, mask, &n_running);
        on_harvest_needed(curl);
        return 0;
}

static int on_timer(struct loop_timer *timer) {
        struct curl_loop *curl = container_of(timer, struct curl_loop, timer);
        int n_running;

        curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
        on_harvest_needed(curl);
        return 0;
}

static int on_harvest(struct loop_defer *defer) {
        struct curl_loop *curl = container_of(defer, struct curl_loop, harvest);
        CURLMsg *msg;
        int n_left;

        while ((msg = curl_multi_info_read(curl->multi, &n_left))) {
                CURL *easy = msg->easy_handle;
                CURLcode result = msg->data.result;

                if (msg->msg != CURLMSG_DONE)
                        continue;
                curl_multi_remove_handle(curl->multi, easy);
                curl->on_done(curl->userdata, easy, result);
        }
        return 0;
}

static void on_harvest_needed(struct curl_loop *curl) {
        loop_defer(curl->loop, &curl->harvest, on_harvest);
}

static int socket_update(struct curl_loop *curl, struct curl_socket *sock, curl_socket_t fd,
                         uint32_t events) {
        if (sock->io.loop)
                return loop_io_modify(&sock->io, events);
        return loop_io_add(curl->loop, &sock->io, fd, events, "http", on_socket_ready);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data) {
        struct curl_loop *curl = userdata;
        struct curl_socket *sock = socket_data;
        uint32_t events = 0;

        if (what == CURL_POLL_REMOVE) {
                if (sock)
                        loop_io_remove(&sock->io);
                curl_multi_assign(curl->multi, fd, NULL);
                free(sock);
                return 0;
        }
        if (!sock) {
                sock = calloc(1, sizeof(*sock));
                if (!sock)
                        return -1;
                sock->curl = curl;
                curl_multi_assign(curl->multi, fd, sock);
        }
        if (what & CURL_POLL_IN)
                events |= EPOLLIN;
        if (what & CURL_POLL_OUT)
                events |= EPOLLOUT;
        return socket_update(curl, sock, fd, events) < 0 ? -1 : 0;
}

static int on_timeout_change(CURLM *multi, long timeout_ms, void *userdata) {
        struct curl_loop *curl = userdata;

        if (timeout_ms < 0) {
                loop_timer_clear(&curl->timer);
                return 0;
        }
        return loop_timer_set(curl->loop, &curl->timer, (uint64_t)timeout_ms * NSEC_PER_MSEC,
                              "http timer", on_timer) < 0
                       ? -1
                       : 0;
}

int curl_loop_new(struct loop *loop, curl_done_func on_done, void *userdata,
                  struct curl_loop **ret) {
        struct curl_loop *curl = calloc(1, sizeof(*curl));

        if (!curl)
                return -ENOMEM;
        *curl = (struct curl_loop){ .loop = loop, .on_done = on_done, .userdata = userdata };
        curl->multi = curl_multi_init();
        if (!curl->multi) {
                free(curl);
                return -ENOMEM;
        }
        curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
        curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change);
        curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
        *ret = curl;
        return 0;
}

struct curl_loop *curl_loop_free(struct curl_loop *curl) {
        if (!curl)
                return NULL;
        loop_timer_clear(&curl->timer);
        loop_defer_cancel(&curl->harvest);
        curl_multi_cleanup(curl->multi);
        loop_timer_clear(&curl->timer);
        free(curl);
        return NULL;
}

int curl_loop_add(struct curl_loop *curl, CURL *easy) {
        return curl_multi_add_handle(curl->multi, easy) == CURLM_OK ? 0 : -ENOMEM;
}

void curl_loop_remove(struct curl_loop *curl, CURL *easy) {
        curl_multi_remove_handle(curl->multi, easy);
}
