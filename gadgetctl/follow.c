/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/follow.h"

#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "client/render.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/losses.h"
#include "gadgetctl/signals.h"
#include "ipc/mp.h"

/* How long gadgetd may take to stop an instance after we have asked for it. */
#define STOP_TIMEOUT (15 * NSEC_PER_SEC)

struct follow {
        struct session *session;
        const struct follow_options *options;
        struct schema *schema;
        struct renderer *renderer;
        struct out out;
        struct losses losses;
        char id[80];
        uint32_t stream;
        uint64_t n_skip;      /* rows of the past that come because batches are not cut, and are not
                                 printed */
        uint64_t deadline_ns; /* CLOCK_MONOTONIC, UINT64_MAX = none */
        bool is_stopping;     /* INSTANCE_STOP is on its way, its answer and "done" are awaited */
        bool is_stopped;      /* answered */
        uint32_t stop_id;
        bool is_done;  /* nothing comes any more */
        bool is_muted; /* nobody reads our output */
        int exit_code;
};

static uint32_t terminal_width(void) {
        struct winsize size;

        if (!isatty(STDOUT_FILENO))
                return 0;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return 80;
        return size.ws_col;
}

static enum output_mode mode_of(const struct args *args) {
        for (enum output_mode mode = 0; args->output && mode < _OUTPUT_MODE_MAX; mode++)
                if (str_eq(args->output, output_mode_names[mode]))
                        return mode;
        return OUTPUT_COLUMNS;
}

static int attach(struct follow *f, const struct args *args, struct error *err) {
        struct req_instance_attach request = { .instance = f->options->instance,
                                               .tail = f->options->tail };
        struct render_options options = {
                .mode = mode_of(args),
                .fields = args->fields,
                .terminal = terminal_width(),
                .clear_screen = isatty(STDOUT_FILENO),
        };
        struct rep_instance_attach reply;
        int r;

        r = connection_call(f->session->connection, METHOD_INSTANCE_ATTACH, &request, &reply, err);
        if (r < 0)
                return r;
        f->stream = reply.stream;
        f->n_skip = reply.replay > request.tail ? reply.replay - request.tail : 0;
        snprintf(f->id, sizeof(f->id), "%s", reply.id);
        r = schema_new(reply.schema, &f->schema, err);
        if (r < 0)
                return r;
        r = out_init(&f->out, STDOUT_FILENO, OUT_SIZE);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "out of memory");
        f->out.give_up = &signals_count;
        return renderer_new(f->schema, &options, &f->out, &f->renderer, err);
}

/* Ends what we began: an instance of ours is stopped, another's is left alone. */
static void leave(struct follow *f) {
        struct req_instance_ref request = { .instance = f->id };
        struct error err = { 0 };

        if (f->is_stopping || f->is_done)
                return;
        if (!f->options->is_owner) {
                f->is_done = true;
                return;
        }
        if (connection_send(f->session->connection, METHOD_INSTANCE_STOP, &request, &f->stop_id,
                            &err) < 0) {
                f->is_done = true;
                return;
        }
        f->is_stopping = true;
        f->deadline_ns = now_ns() + STOP_TIMEOUT;
}

/* Standard output is gone (quietly: `| head` has read enough) or full. */
static void on_output_error(struct follow *f) {
        if (f->is_muted)
                return;
        f->is_muted = true;
        if (f->out.error != -EPIPE && f->out.error != -EINTR) {
                diag("cannot write to standard output: %s", strerror(-f->out.error));
                f->exit_code = EXIT_FAILED;
        }
        leave(f);
}

static void flush(struct follow *f) {
        if (out_flush(&f->out) < 0)
                on_output_error(f);
}

/* The rows that were asked for: those at the front that are older than --tail are left out. Arrays
 * stay whole. */
static struct bytes wanted_rows(struct follow *f, const struct incoming *in) {
        struct mp_reader r = mp_reader_of(in->rows);

        f->n_skip -= MIN(f->n_skip, in->lost);
        if (in->flags != 0)
                return in->rows;
        for (; f->n_skip > 0 && r.pos < r.end && mp_skip(&r) == 0; f->n_skip--) {
        }
        return BYTES(r.pos, r.end - r.pos);
}

static void on_events(struct follow *f, const struct incoming *in) {
        int64_t n;

        losses_add(&f->losses, in->source, in->lost);
        if (f->is_muted)
                return;
        n = render_rows(f->renderer, in->source, in->flags, wanted_rows(f, in));
        if (n < 0) {
                diag("rows arrived that do not match the gadget's schema: stopping");
                f->exit_code = EXIT_FAILED;
                f->is_muted = true;
                leave(f);
        }
        if (f->out.error)
                on_output_error(f);
}

/* A copy for printing; what does not fit is cut. */
static const char *text_of(struct bytes b, char *buf, size_t n) {
        size_t len = MIN(b.len, n - 1);

        if (len > 0)
                memcpy(buf, b.data, len);
        buf[len] = '\0';
        return buf;
}

static void on_done(struct follow *f, const struct incoming *in) {
        char message[1024];
        static char detail[LIMIT_ERROR_DETAIL_MAX + 1];

        losses_set_all(&f->losses, in->ledger);
        f->is_done = true;
        flush(f);
        if (bytes_eq(in->cause, "failed")) {
                diag("the gadget failed: %s", text_of(in->message, message, sizeof(message)));
                diag_detail(text_of(in->detail, detail, sizeof(detail)));
                f->exit_code = EXIT_FAILED;
        }
}

static void on_response(struct follow *f, const struct incoming *in) {
        if (!f->is_stopping || in->id != f->stop_id)
                return;
        f->is_stopped = true;
        /* It may have ended by itself while our request was on its way. */
        if (in->is_error)
                f->is_done = true;
}

static void on_incoming(struct follow *f, const struct incoming *in) {
        if (in->kind == RPC_RESPONSE) {
                on_response(f, in);
                return;
        }
        if (in->type == _NOTIFY_MAX || in->stream != f->stream)
                return;
        if (in->type == NOTIFY_EVENTS)
                on_events(f, in);
        else if (in->type == NOTIFY_LOSSES)
                losses_set(&f->losses, in->source, in->ledger);
        else if (in->type == NOTIFY_DONE)
                on_done(f, in);
}

static int poll_timeout(const struct follow *f) {
        uint64_t now = now_ns();

        if (f->deadline_ns == UINT64_MAX)
                return -1;
        if (f->deadline_ns <= now)
                return 0;
        return (int)MIN((f->deadline_ns - now) / NSEC_PER_MSEC + 1, (uint64_t)INT32_MAX);
}

/* Until the connection, a signal, the deadline or the end of our reader has something to say. */
static void wait(struct follow *f) {
        struct pollfd fds[] = {
                { .fd = connection_fd(f->session->connection), .events = POLLIN },
                { .fd = f->is_stopping ? -1 : signals_fd(), .events = POLLIN },
                { .fd = f->is_muted ? -1 : STDOUT_FILENO, .events = 0 },
        };

        if (poll(fds, ARRAY_SIZE(fds), poll_timeout(f)) < 0)
                return;
        if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) {
                f->is_muted = true;
                leave(f);
        }
}

static void on_deadline(struct follow *f) {
        if (f->is_stopping) {
                diag("gadgetd has not stopped the instance in time");
                f->exit_code = EXIT_FAILED;
                f->is_done = f->is_stopped = true;
        } else {
                leave(f);
        }
}

static bool is_over(const struct follow *f) {
        return f->is_done && (!f->is_stopping || f->is_stopped);
}

static int loop(struct follow *f) {
        while (!is_over(f)) {
                struct error err = { 0 };
                struct incoming in;
                int r;

                if (signals_count > 0)
                        leave(f);
                /* Twice: the user does not want to wait for the clean end. */
                if (signals_count > 1)
                        break;
                if (f->deadline_ns != UINT64_MAX && now_ns() >= f->deadline_ns) {
                        on_deadline(f);
                        continue;
                }
                r = connection_next(f->session->connection, &in, &err);
                if (r < 0) {
                        flush(f);
                        return diag_failure(&err, r, NULL);
                }
                if (r > 0) {
                        on_incoming(f, &in);
                        continue;
                }
                if (!f->is_muted)
                        flush(f);
                wait(f);
        }
        if (!f->is_muted)
                flush(f);
        return f->exit_code;
}

static void follow_done(struct follow *f) {
        renderer_free(f->renderer);
        schema_free(f->schema);
        out_done(&f->out);
}

int follow(struct session *session, const struct args *args, const struct follow_options *options) {
        struct follow f = {
                .session = session,
                .options = options,
                .deadline_ns = options->timeout_ns ? now_ns() + options->timeout_ns : UINT64_MAX,
        };
        struct error err = { 0 };
        int r;

        r = attach(&f, args, &err);
        if (r < 0) {
                int code = diag_failure(&err, r, session->connection);

                follow_done(&f);
                return r == -EINVAL ? EXIT_USAGE : code;
        }
        render_header(f.renderer);
        r = loop(&f);
        losses_print(&f.losses, f.schema);
        follow_done(&f);
        return r;
}
