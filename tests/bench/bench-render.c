/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gadgetctl costs a row: rows of trace_open come through a socket as "events" notifications of
 * 64 KiB, are rendered in every mode and written to a file in /dev/shm (or the file named by the
 * argument). One JSON line a mode: CPU nanoseconds of the reading thread a row, receiving and
 * writing included.
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

static void measure(enum output_mode mode, const struct schema *schema, const struct buf *batch,
                    const char *path) {
        struct render_options options = { .mode = mode };
        cleanup(connection_freep) struct connection *connection = NULL;
        cleanup(renderer_freep) struct renderer *renderer = NULL;
        cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        struct server server = { .batch = *batch };
        struct error err = { 0 };
        uint64_t start, cpu, n;
        struct out out;
        pthread_t thread;
        int pair[2];

        if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                die(path);
        server.fd = pair[1];
        pthread_create(&thread, NULL, serve, &server);
        if (out_init(&out, fd, OUT_SIZE) < 0 ||
            connection_new(pair[0], "bench", -1, &connection, &err) < 0 ||
            renderer_new(schema, &options, &out, &renderer, &err) < 0) {
                fprintf(stderr, "%s\n", error_text(&err));
                exit(1);
        }
        start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        n = receive(connection, renderer, &out);
        cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
        pthread_join(thread, NULL);
        printf("{\"name\":\"render.%s\",\"value\":%.1f,\"unit\":\"ns/"
               "row\",\"n\":%llu,\"bytes_per_row\":%.1f}\n",
               output_mode_names[mode], (double)cpu / (double)n, (unsigned long long)n,
               (double)lseek(fd, 0, SEEK_CUR) / (double)n);
        fflush(stdout);
        out_done(&out);
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
        for (enum output_mode mode = 0; mode < _OUTPUT_MODE_MAX; mode++)
                measure(mode, schema, &batch, path);
        if (argc == 1)
                unlink(path);
        return 0;
}
