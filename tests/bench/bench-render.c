/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gadgetctl costs a row of trace_open, in CPU nanoseconds of the reading thread, one JSON line
 * each:
 *
 *   render.MODE    rows in memory to text, which goes to /dev/null
 *   client.MODE    rows come through a socket as "events" notifications of 64 KiB, and their text
 * is written to a file in /dev/shm (or the file named by the argument) baseline.MODE  as
 * client.MODE by the usual means: msgpack-c and fprintf() with a large buffer. It prints raw values
 * only: no names for errors and flags, no times as text
 *
 * "ratio" is the baseline of the same mode and call divided by this.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file.h"
#include "client/connection.h"
#include "client/render.h"
#include "ipc/mp.h"
#include "tests/bench/print-plain.h"
#include "tests/unit/client/sample.h"

#define ROWS_A_BATCH 512u
#define BATCHES 4000u

struct server {
        int fd;
        struct buf batch;
};

static void die(const char *what) {
        perror(what);
        exit(1);
}

/* Answers hello, then sends the batches and hangs up. */
static void *serve(void *userdata) {
        struct server *server = userdata;
        struct rep_hello hello = { .protocol = 1, .server = "bench", .version = "0" };
        cleanup_buf struct buf out = BUF_INIT(1 << 20);
        uint8_t in[4096];

        if (read(server->fd, in, sizeof(in)) <= 0)
                die("read");
        rpc_put_reply(&out, 0, METHOD_HELLO, &hello);
        write_all(server->fd, out.data, out.len);
        for (uint32_t i = 0; i < BATCHES; i++)
                if (write_all(server->fd, server->batch.data, server->batch.len) < 0)
                        break;
        close(server->fd);
        return NULL;
}

static uint64_t receive(struct connection *connection, struct renderer *renderer, struct out *out) {
        uint64_t n = 0;

        for (;;) {
                struct pollfd p = { .fd = connection_fd(connection), .events = POLLIN };
                struct error err = { 0 };
                struct incoming in;
                int r = connection_next(connection, &in, &err);

                if (r < 0)
                        break;
                if (r == 0) {
                        out_flush(out);
                        poll(&p, 1, -1);
                } else if (in.kind == RPC_NOTIFICATION && in.type == NOTIFY_EVENTS) {
                        int64_t rows = render_rows(renderer, in.source, in.flags, in.rows);

                        if (rows < 0)
                                exit(1);
                        n += (uint64_t)rows;
                }
        }
        out_flush(out);
        return n;
}

static uint64_t receive_plain(struct connection *connection, struct plain *plain) {
        uint64_t n = 0;

        for (;;) {
                struct pollfd p = { .fd = connection_fd(connection), .events = POLLIN };
                struct error err = { 0 };
                struct incoming in;
                int r = connection_next(connection, &in, &err);

                if (r < 0)
                        return n;
                if (r == 0)
                        poll(&p, 1, -1);
                else if (in.kind == RPC_NOTIFICATION && in.type == NOTIFY_EVENTS)
                        n += plain_print(plain, in.rows);
        }
}

static void fail(const struct error *err) {
        fprintf(stderr, "%s\n", error_text(err));
        exit(1);
}

static int open_file(const char *path) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0)
                die(path);
        return fd;
}

static void report(const char *what, enum output_mode mode, double ns, uint64_t n, double bytes,
                   double baseline) {
        printf("{\"name\":\"%s.%s\",\"value\":%.1f,\"unit\":\"ns/row\",\"n\":%llu", what,
               output_mode_names[mode], ns, (unsigned long long)n);
        if (bytes > 0)
                printf(",\"bytes_per_row\":%.1f", bytes);
        if (baseline > 0)
                printf(",\"ratio\":%.1f", baseline / ns);
        printf("}\n");
        fflush(stdout);
}

/* baseline: ns a row of the usual means, 0 = none. */
static void measure_render(enum output_mode mode, const struct schema *schema,
                           const struct buf *rows, double baseline) {
        struct render_options options = { .mode = mode };
        cleanup(renderer_freep) struct renderer *renderer = NULL;
        cleanup_close int fd = open_file("/dev/null");
        struct error err = { 0 };
        uint64_t start, n = 0;
        struct out out;

        if (out_init(&out, fd, OUT_SIZE) < 0 ||
            renderer_new(schema, &options, &out, &renderer, &err) < 0)
                fail(&err);
        start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (uint32_t i = 0; i < BATCHES; i++)
                n += (uint64_t)render_rows(renderer, 0, 0, BYTES(rows->data, rows->len));
        out_flush(&out);
        report("render", mode, (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / (double)n, n,
               0, baseline);
        out_done(&out);
}

/* Receiving and writing, too: by our renderer, or by the usual means. Returns ns a row. */
static double measure_client(enum output_mode mode, const struct schema *schema,
                             const struct buf *batch, const char *path, bool is_plain,
                             double baseline) {
        struct render_options options = { .mode = mode };
        cleanup(connection_freep) struct connection *connection = NULL;
        cleanup(renderer_freep) struct renderer *renderer = NULL;
        cleanup_close int fd = open_file(path);
        struct server server = { .batch = *batch };
        struct error err = { 0 };
        struct plain plain;
        struct out out;
        uint64_t start, n;
        pthread_t thread;
        double ns;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                die("socketpair");
        server.fd = pair[1];
        pthread_create(&thread, NULL, serve, &server);
        if (out_init(&out, fd, OUT_SIZE) < 0 ||
            connection_new(pair[0], "bench", -1, &connection, &err) < 0 ||
            renderer_new(schema, &options, &out, &renderer, &err) < 0 ||
            plain_init(&plain, &schema->streams[0], mode, fd, OUT_SIZE) < 0)
                fail(&err);
        start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        n = is_plain ? receive_plain(connection, &plain) : receive(connection, renderer, &out);
        plain_done(&plain);
        ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / (double)n;
        pthread_join(thread, NULL);
        report(is_plain ? "baseline" : "client", mode, ns, n,
               (double)lseek(fd, 0, SEEK_CUR) / (double)n, baseline);
        out_done(&out);
        return ns;
}

int main(int argc, char **argv) {
        const char *path = argc > 1 ? argv[1] : "/dev/shm/gadget-bench-render";
        cleanup_buf struct buf encoded = BUF_INIT(1 << 20), rows = BUF_INIT(1 << 20),
                               batch = BUF_INIT(1 << 20);
        cleanup(schema_freep) struct schema *schema = NULL;
        struct error err = { 0 };

        sample_schema(&encoded, &sample_open, 1, NULL, 0);
        if (schema_new(BYTES(encoded.data, encoded.len), &schema, &err) < 0)
                return 1;
        for (uint32_t i = 0; i < ROWS_A_BATCH; i++)
                sample_open_row(&rows, i);
        rpc_put_events_header(&batch, 1, 0, 0, 0, 0, (uint32_t)rows.len);
        buf_append(&batch, rows.data, rows.len);
        buf_reserve(&rows, RENDER_SLACK);
        for (enum output_mode mode = 0; mode < _OUTPUT_MODE_MAX; mode++) {
                double baseline = 0;

                if (plain_prints(mode))
                        baseline = measure_client(mode, schema, &batch, path, true, 0);
                measure_client(mode, schema, &batch, path, false, baseline);
                measure_render(mode, schema, &rows, baseline);
        }
        if (argc == 1)
                unlink(path);
        return 0;
}
