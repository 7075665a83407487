/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/follow.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/recording.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/losses.h"
#include "gadgetctl/row-output.h"
#include "gadgetctl/signals.h"
#include "ipc/mp.h"

/* How long gadgetd may take to stop an instance after we have asked for it. */
#define STOP_TIMEOUT (15 * NSEC_PER_SEC)

struct follow {
        struct session *session;
        const struct follow_options *options;
        struct row_output output;
        struct out record; /* --record */
        int record_fd;     /* -1 = none */
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

/* The file named by --record, which is new or emptied, and its header. */
static int begin_record(struct follow *f, const struct args *args,
                        const struct rep_instance_attach *reply, struct error *err) {
        struct recording_header header = {
                .writer = "gadgetctl " GADGET_VERSION,
                .image = reply->image,
                .name = reply->name,
                .created = clock_ns(CLOCK_REALTIME),
                .schema = reply->schema,
        };
        int r;

        f->record_fd = open(args->record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (f->record_fd < 0)
                return error_set(err, ERROR_UNAVAILABLE, -errno, "--record '%s': %m", args->record);
        r = out_init(&f->record, f->record_fd, OUT_SIZE);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "out of memory");
        recording_put_header(&f->record, &header);
        return 0;
}

static int attach(struct follow *f, const struct args *args, struct error *err) {
        struct req_instance_attach request = { .instance = f->options->instance,
                                               .tail = f->options->tail };
        struct rep_instance_attach reply;
        int r = 0;

        if (args->record && str_eq(args->record, "-"))
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "--record needs a file; standard output is for the rows");
        r = connection_call(f->session->connection, METHOD_INSTANCE_ATTACH, &request, &reply, err);
        if (r < 0)
                return r;
        f->stream = reply.stream;
        f->n_skip = reply.replay > request.tail ? reply.replay - request.tail : 0;
        snprintf(f->id, sizeof(f->id), "%s", reply.id);
        if (args->record)
                r = begin_record(f, args, &reply, err);
        if (r < 0)
                return r;
        /* Rows of an instance of ours have been selected by its worker. */
        return row_output_init(&f->output, args, reply.schema,
                               f->options->is_owner ? 0 : ROW_OUTPUT_SELECTS, err);
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
        if (f->output.out.error != -EPIPE && f->output.out.error != -EINTR) {
                diag("cannot write to standard output: %s", strerror(-f->output.out.error));
                f->exit_code = EXIT_FAILED;
        }
        leave(f);
}

static void flush(struct follow *f) {
        if (out_flush(&f->output.out) < 0)
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

static void flush_record(struct follow *f) {
        if (f->record_fd < 0 || out_flush(&f->record) == 0)
                return;
        diag("cannot write the recording: %s", strerror(-f->record.error));
        f->exit_code = EXIT_FAILED;
        close_fd(&f->record_fd);
        leave(f);
}

static void record(struct follow *f, const struct incoming *in, struct bytes rows) {
        if (f->record_fd < 0)
                return;
        recording_put(&f->record, in, rows);
        if (f->record.error)
                flush_record(f);
}

static void on_events(struct follow *f, const struct incoming *in) {
        struct bytes rows = wanted_rows(f, in);

        losses_add(&f->losses, in->source, in->lost);
        record(f, in, rows);
        if (f->is_muted)
                return;
        if (row_output_add(&f->output, in->source, in->flags, rows) < 0) {
                diag("rows arrived that do not match the gadget's schema: stopping");
                f->exit_code = EXIT_FAILED;
                f->is_muted = true;
                leave(f);
        }
        if (f->output.out.error)
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
        record(f, in, BYTES(NULL, 0));
        f->is_done = true;
        flush_record(f);
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

static void on_losses(struct follow *f, const struct incoming *in) {
        losses_set(&f->losses, in->source, in->ledger);
        record(f, in, BYTES(NULL, 0));
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
                on_losses(f, in);
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
                flush_record(f);
                wait(f);
        }
        if (!f->is_muted)
                flush(f);
        return f->exit_code;
}

static void follow_done(struct follow *f) {
        row_output_done(&f->output);
        if (f->record_fd >= 0)
                (void)out_flush(&f->record);
        out_done(&f->record);
        close_fd(&f->record_fd);
}

int follow(struct session *session, const struct args *args, const struct follow_options *options) {
        struct follow f = {
                .session = session,
                .options = options,
                .record_fd = -1,
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
        r = loop(&f);
        losses_print(&f.losses, f.output.schema);
        follow_done(&f);
        return r;
}
