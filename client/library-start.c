/* SPDX-License-Identifier: Apache-2.0 */
/* How a client comes to its gadget, and comes back to it when gadgetd was restarted. */
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "client/library-client.h"

/* Between two looks for a gadgetd that is away. */
#define LOOK_NS (100 * NSEC_PER_MSEC)

static const struct {
        const char *key;
        size_t offset; /* in struct req_instance_run */
} selections[_CLIENT_SELECT_MAX] = {
        [CLIENT_SELECT_NAME] = { "container", offsetof(struct req_instance_run, container_name) },
        [CLIENT_SELECT_RUNTIME] = { "runtimes",
                                    offsetof(struct req_instance_run, container_runtime) },
        [CLIENT_SELECT_IMAGE] = { "container-image",
                                  offsetof(struct req_instance_run, container_image) },
        [CLIENT_SELECT_DIGEST] = { "container-digest",
                                   offsetof(struct req_instance_run, container_digest) },
        [CLIENT_SELECT_ID] = { "container-id", offsetof(struct req_instance_run, container_id) },
        [CLIENT_SELECT_K8S_NAMESPACE] = { "k8s-namespace",
                                          offsetof(struct req_instance_run, k8s_namespace) },
        [CLIENT_SELECT_K8S_POD] = { "k8s-podname", offsetof(struct req_instance_run, k8s_pod) },
        [CLIENT_SELECT_K8S_CONTAINER] = { "k8s-containername",
                                          offsetof(struct req_instance_run, k8s_container) },
};

static int oom(struct gadget_client *client) {
        return error_set(&client->err, ERROR_INTERNAL, -ENOMEM, "out of memory");
}

/* --- connections --- */

int client_watch(struct gadget_client *client) {
        struct epoll_event event = { .events = EPOLLIN };

        if (epoll_ctl(client->poll_fd, EPOLL_CTL_ADD, connection_fd(client->connection), &event) <
            0)
                return error_set(&client->err, ERROR_INTERNAL, -errno, "epoll: %m");
        return 0;
}

static int open_connection(struct gadget_client *client) {
        int r = connection_open(client->begun.path, client->name, -1, &client->connection,
                                &client->err);

        return r < 0 ? r : client_watch(client);
}

int gadget_client_connect(struct gadget_client *client, const char *path) {
        if (client->connection || client->is_away)
                return error_set(&client->err, ERROR_INVALID, -EISCONN, "connected already");
        if (!path)
                path = getenv("GADGETD_SOCKET");
        if (!path || !path[0])
                path = GADGET_RUNDIR "/gadgetd.sock";
        client->err = (struct error){ 0 };
        free(client->begun.path);
        client->begun.path = strdup(path);
        return client->begun.path ? open_connection(client) : oom(client);
}

void client_start_done(struct gadget_client *client) {
        struct client_request *begun = &client->begun;

        close_fd(&client->poll_fd);
        close_fd(&client->timer_fd);
        for (size_t i = 0; i < ARRAY_SIZE(client->selection); i++)
                free(client->selection[i]);
        free(begun->path);
        free(begun->image);
        free(begun->instance);
        buf_done(&begun->object);
        buf_done(&begun->definition);
        buf_done(&begun->params);
}

/* --- what is begun --- */

/* 0 when a gadget can be started. */
static int check_free(struct gadget_client *client) {
        client->err = (struct error){ 0 };
        if (!client->connection)
                return error_set(&client->err, ERROR_INVALID, -ENOTCONN,
                                 "gadget_client_connect() comes first");
        if (client->is_running)
                return error_set(&client->err, ERROR_INVALID, -EBUSY,
                                 "this client has a gadget: use another one");
        return 0;
}

static int attach(struct gadget_client *client, const char *instance, uint64_t tail) {
        struct req_instance_attach request = { .instance = instance, .tail = tail };
        struct rep_instance_attach reply;
        int r;

        r = connection_call(client->connection, METHOD_INSTANCE_ATTACH, &request, &reply,
                            &client->err);
        if (r < 0)
                return r;
        client->stream = reply.stream;
        snprintf(client->id, sizeof(client->id), "%s", reply.id);
        schema_free(client->schema);
        client->schema = NULL;
        r = schema_new(reply.schema, &client->schema, &client->err);
        client->is_running = r == 0;
        return r;
}

int gadget_client_attach(struct gadget_client *client, const char *instance, uint64_t tail) {
        int r = check_free(client);

        if (r < 0)
                return r;
        free(client->begun.instance);
        client->begun.instance = strdup(instance);
        client->begun.tail = tail;
        return client->begun.instance ? attach(client, instance, tail) : oom(client);
}

static int encode_params(const struct gadget_client_param *params, size_t n, struct buf *b) {
        uint8_t *p = buf_reserve(b, MP_HEADER_MAX);

        if (!p || n > LIMIT_PARAMS_MAX)
                return -E2BIG;
        b->len = (size_t)(mp_put_map(p, (uint32_t)n) - b->data);
        for (size_t i = 0; i < n; i++) {
                size_t n_key = strlen(params[i].key), n_value = strlen(params[i].value);

                if (n_key > LIMIT_PARAM_KEY_MAX || n_value > LIMIT_PARAM_VALUE_MAX)
                        return -E2BIG;
                p = buf_reserve(b, n_key + n_value + 2 * MP_HEADER_MAX);
                if (!p)
                        return -ENOMEM;
                p = mp_put_str(p, params[i].key, (uint32_t)n_key);
                p = mp_put_str(p, params[i].value, (uint32_t)n_value);
                b->len = (size_t)(p - b->data);
        }
        return 0;
}

int gadget_client_select(struct gadget_client *client, const char *key, const char *value) {
        if (str_eq(key, "host")) {
                client->wants_host = !str_eq(value, "false");
                client->is_host_said = true;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(selections); i++) {
                char *copy;

                if (!str_eq(selections[i].key, key))
                        continue;
                copy = strdup(value);
                if (!copy)
                        return oom(client);
                free(client->selection[i]);
                client->selection[i] = copy;
                return 0;
        }
        return error_set(&client->err, ERROR_INVALID, -EINVAL,
                         "containers are not chosen by '%.64s'", key);
}

/* Who chooses nothing wants everything. */
static void put_selection(const struct gadget_client *client, struct req_instance_run *request) {
        bool is_choosy = false;

        for (size_t i = 0; i < ARRAY_SIZE(selections); i++) {
                *(const char **)(void *)((char *)request + selections[i].offset) =
                        client->selection[i];
                is_choosy |= client->selection[i] != NULL;
        }
        request->host = client->is_host_said ? client->wants_host : !is_choosy;
}

/* Runs what was begun, now or under another gadgetd. */
static int run(struct gadget_client *client) {
        const struct client_request *begun = &client->begun;
        struct req_instance_run request = {
                .image = begun->image,
                .object = BYTES(begun->object.data, begun->object.len),
                .definition = BYTES(begun->definition.data, begun->definition.len),
                .params = BYTES(begun->params.data, begun->params.len),
        };
        struct rep_instance_run reply;
        char id[80];
        int r;

        put_selection(client, &request);
        r = connection_call(client->connection, METHOD_INSTANCE_RUN, &request, &reply,
                            &client->err);
        if (r < 0)
                return r;
        client->is_owner = true;
        snprintf(id, sizeof(id), "%s", reply.id);
        return attach(client, id, UINT64_MAX);
}

/* Empties what an earlier try has left. */
static int begin(struct gadget_client *client, const struct gadget_client_param *params,
                 size_t n_params) {
        struct client_request *begun = &client->begun;
        int r = check_free(client);

        if (r < 0)
                return r;
        free(TAKE_PTR(begun->image));
        buf_reset(&begun->object);
        buf_reset(&begun->definition);
        buf_reset(&begun->params);
        r = encode_params(params, n_params, &begun->params);
        return r < 0 ? error_set(&client->err, ERROR_LIMIT, r, "the parameters are too large") : 0;
}

int gadget_client_run_image(struct gadget_client *client, const char *image,
                            const struct gadget_client_param *params, size_t n_params) {
        int r = begin(client, params, n_params);

        if (r < 0)
                return r;
        client->begun.image = strdup(image);
        return client->begun.image ? run(client) : oom(client);
}

int gadget_client_run_object(struct gadget_client *client, const void *object, size_t n_object,
                             const void *definition, size_t n_definition,
                             const struct gadget_client_param *params, size_t n_params) {
        int r = begin(client, params, n_params);

        if (r < 0)
                return r;
        if (buf_append(&client->begun.object, object, n_object) < 0 ||
            buf_append(&client->begun.definition, definition, n_definition) < 0)
                return error_set(&client->err, ERROR_LIMIT, -E2BIG,
                                 "the object or its definition is too large");
        return run(client);
}

/* --- when gadgetd is away --- */

void gadget_client_set_patience(struct gadget_client *client, int timeout_ms) {
        client->patience_ns =
                timeout_ms < 0 ? UINT64_MAX / 2 : (uint64_t)timeout_ms * NSEC_PER_MSEC;
}

unsigned int gadget_client_restarts(const struct gadget_client *client) {
        return client->n_restarts;
}

static void set_timer(struct gadget_client *client, uint64_t ns) {
        struct itimerspec spec = { .it_value.tv_nsec = (long)ns, .it_interval.tv_nsec = (long)ns };

        (void)timerfd_settime(client->timer_fd, 0, &spec, NULL);
}

bool client_lose(struct gadget_client *client) {
        struct epoll_event event = { .events = EPOLLIN };

        if (client->patience_ns == 0 || client->is_stopping || !client->begun.path)
                return false;
        client->connection = connection_free(client->connection); /* which leaves the epoll, too */
        client->rows = BYTES(NULL, 0);
        for (size_t i = 0; i < ARRAY_SIZE(client->lost); i++) {
                client->lost_before += client->lost[i];
                client->lost[i] = 0;
        }
        client->is_away = true;
        client->give_up_ns = now_ns() + client->patience_ns;
        (void)epoll_ctl(client->poll_fd, EPOLL_CTL_ADD, client->timer_fd, &event);
        set_timer(client, LOOK_NS);
        return true;
}

/* As it was begun. An instance that somebody else runs may come a little later than gadgetd. */
static int begin_again(struct gadget_client *client) {
        int r = client->begun.instance ? attach(client, client->begun.instance, client->begun.tail)
                                       : run(client);

        if (r == 0)
                return 0;
        client->connection = connection_free(client->connection);
        if (r == -ECONNRESET || (client->begun.instance && client->err.code == ERROR_NOT_FOUND))
                return -EAGAIN;
        return r;
}

int client_return(struct gadget_client *client) {
        uint64_t n_ticks;
        int r;

        /* Each look at its time. */
        if (read(client->timer_fd, &n_ticks, sizeof(n_ticks)) < 0)
                return 0;
        r = open_connection(client);
        if (r == 0)
                r = begin_again(client);
        if (r == 0) {
                (void)epoll_ctl(client->poll_fd, EPOLL_CTL_DEL, client->timer_fd, NULL);
                set_timer(client, 0);
                client->err = (struct error){ 0 };
                client->is_away = false;
                client->n_restarts++;
                return 0;
        }
        if (r == -EACCES || (r == -EREMOTEIO && client->err.code != ERROR_NOT_FOUND))
                return r;
        if (now_ns() < client->give_up_ns)
                return 0;
        return error_set(&client->err, ERROR_UNAVAILABLE, -ECONNRESET,
                         "gadgetd closed the connection and has not come back");
}
