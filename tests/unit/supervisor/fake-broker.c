/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker for tests of gadgetd: speaks ipc/message.h, writes rows into the event ring itself, and
 * misbehaves on demand. The parameters of the run say how: rows=N, size=BYTES, batch=N   rows
 * written when RUNNING begins; SIGUSR1 writes as many again source=N                      data
 * source of the rows drop=N                        counted as kernel-full drops
 *   fault=start|run|stop          says FAULT then
 *   die=start|run|stop|stopping   kills itself with SIGKILL then
 *   hang=start|stop               does nothing then
 *   end=run                       comes to its own end once the rows are written
 *   unclean=1                     says STOPPED without having drained
 *   corrupt=1                     overwrites the ring with nonsense after the rows
 *   log=N                         log records
 *   rogue=state|bytes             a message out of its state, bytes that are no message
 *   sockets=1                     asks for the map of sockets first, and logs the answer
 * A child stands for the worker; it dies with us.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/parse.h"
#include "gadget/schema.h"
#include "ipc/channel.h"
#include "ipc/mp.h"
#include "ipc/ring.h"

static struct fake {
        struct loop *loop;
        struct channel *channel;
        struct ring_writer ring;
        int ring_fd;
        int bell_fd;
        int signals_fd;
        struct loop_io signals_io;
        uint8_t *params;
        size_t params_len;
        pid_t worker_pid;
} fake;

static bool find_param(const char *key, struct bytes *ret) {
        struct mp_reader reader = mp_reader_of(BYTES(fake.params, fake.params_len));
        struct bytes name;
        uint32_t n;

        if (mp_read_map(&reader, &n) < 0)
                return false;
        for (; n > 0; n--)
                if (mp_read_str(&reader, &name) < 0 || mp_read_str(&reader, ret) < 0)
                        return false;
                else if (bytes_eq(name, key))
                        return true;
        return false;
}

static bool param_is(const char *key, const char *value) {
        struct bytes text;

        return find_param(key, &text) && bytes_eq(text, value);
}

static uint64_t param_number(const char *key, uint64_t preset) {
        struct bytes text;
        char copy[24];
        uint64_t n;

        if (!find_param(key, &text))
                return preset;
        snprintf(copy, sizeof(copy), "%.*s", (int)text.len, (const char *)text.data);
        return parse_u64(copy, 0, UINT64_MAX, &n) < 0 ? preset : n;
}

static void die(void) {
        raise(SIGKILL);
}

static void say(enum message_type type, const void *msg) {
        if (channel_send(fake.channel, type, msg, NULL, 0) < 0)
                _exit(3);
}

static void say_fault(void) {
        say(MSG_FAULT, &(struct msg_fault){ .code = "unavailable",
                                            .message = "the fake fails as it was told",
                                            .detail = "first line\nsecond line" });
}

/* --- rows --- */

/* [sequence number, filler]: clients of the test check that none is missing. */
static uint32_t put_row(uint8_t *p, uint64_t seq, uint32_t filler) {
        uint8_t *start = p;

        p = mp_put_array(p, 2);
        p = mp_put_uint(p, seq);
        p = mp_put_bin_header(p, filler);
        memset(p, 'x', filler);
        return (uint32_t)(p + filler - start);
}

static void write_rows(void) {
        uint64_t n = param_number("rows", 0), batch = param_number("batch", 100);
        uint32_t filler = (uint32_t)param_number("size", 100);
        uint16_t source = (uint16_t)param_number("source", 0);
        uint64_t seq = fake.ring.header->streams[source].rows, one = 1;

        while (n > 0) {
                uint8_t *payload = ring_writer_begin(&fake.ring, source, 0);
                uint32_t length = 0, in_frame = 0;

                while (n > 0 && in_frame < batch && length + filler + 32 <= fake.ring.frame_max) {
                        length += put_row(payload + length, seq++, filler);
                        in_frame++;
                        n--;
                }
                ring_writer_commit(&fake.ring, length, in_frame, clock_ns(CLOCK_REALTIME));
        }
        if (param_number("drop", 0) > 0)
                ring_writer_drop(&fake.ring, source, DROP_KERNEL_FULL, param_number("drop", 0));
        if (param_number("corrupt", 0)) {
                ((struct event_ring_header *)fake.ring.header)->tail = 3;
                memset(fake.ring.data, 0xff, fake.ring.size);
        }
        if (write(fake.bell_fd, &one, sizeof(one)) != sizeof(one))
                _exit(4);
}

/* --- life --- */

static void start_worker(void) {
        pid_t broker = getpid();

        fake.worker_pid = fork();
        if (fake.worker_pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (getppid() == broker) /* it may have died before the kernel knew */
                        pause();
                _exit(0);
        }
        say(MSG_STARTED, &(struct msg_started){ .worker_pid = (uint32_t)fake.worker_pid });
}

static int stop(void) {
        int status = 0;

        if (param_is("die", "stop"))
                die();
        if (param_is("fault", "stop")) {
                say_fault();
                return 0;
        }
        if (param_is("hang", "stop"))
                return 0;
        kill(fake.worker_pid, SIGKILL);
        waitpid(fake.worker_pid, &status, 0);
        say(MSG_STOPPED, &(struct msg_stopped){ .worker_status = (uint32_t)status,
                                                .is_clean = !param_number("unclean", 0) });
        if (param_is("die", "stopping"))
                die();
        loop_exit(fake.loop, 0);
        return 0;
}

static uint8_t *put_key(uint8_t *p, const char *key) {
        return mp_put_str(p, key, (uint32_t)strlen(key));
}

static void say_ready(void) {
        uint8_t schema[256], permissions[64], *p = schema, *q = permissions;

        p = mp_put_map(p, 2);
        p = mp_put_uint(put_key(p, "version"), 1);
        p = mp_put_array(put_key(p, "streams"), 1);
        p = mp_put_map(p, 2);
        p = put_key(put_key(p, "name"), "fake");
        p = mp_put_array(put_key(p, "fields"), 0);
        q = mp_put_map(q, 1);
        q = mp_put_array(put_key(q, "helpers"), 0);
        say(MSG_READY,
            &(struct msg_ready){ .schema = { schema, (size_t)(p - schema) },
                                 .permissions = { permissions, (size_t)(q - permissions) } });
}

static void run(void) {
        for (uint64_t i = 0; i < param_number("log", 0); i++)
                log_info("record %d with a control \x1b[31m character", (int)i);
        if (param_is("die", "start"))
                die();
        if (param_is("hang", "start"))
                return;
        if (param_is("fault", "start")) {
                say_fault();
                return;
        }
        say_ready();
        if (param_is("rogue", "state"))
                say_ready();
        if (param_is("rogue", "bytes") && send(CHILD_FD_CHANNEL, "nonsense", 8, 0) < 0)
                _exit(5);
        if (!param_number("wait", 0))
                write_rows();
        if (param_is("die", "run"))
                die();
        if (param_is("fault", "run"))
                say_fault();
        if (param_is("end", "run"))
                stop();
}

/* Where the next gadgetd finds the brokers of a dead one. */
static int listen_at(int dir_fd) {
        const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "broker.sock" };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        if (fd < 0 || fchdir(dir_fd) < 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return listen(fd, 1) < 0 ? -errno : 0;
}

static int on_prepare(struct received *received) {
        if (listen_at(received->fds[PREPARE_FD_DIR]) < 0)
                return -EPROTO;
        start_worker();
        say(MSG_PREPARED, NULL);
        return 0;
}

static int on_start(struct received *received) {
        const struct msg_start *start = &received->msg->start;

        fake.params = malloc(start->params.len);
        memcpy(fake.params, start->params.data, start->params.len);
        fake.params_len = start->params.len;
        fake.ring_fd = TAKE_FD(received->fds[START_FD_RING]);
        fake.bell_fd = TAKE_FD(received->fds[START_FD_BELL]);
        if (ring_writer_init(&fake.ring, fake.ring_fd) < 0)
                return -EPROTO;
        if (param_number("sockets", 0))
                say(MSG_SHARED_MAP_WANT, &(struct msg_shared_map_want){});
        else
                run();
        return 0;
}

static int on_shared_map(const struct received *received) {
        log_info("%s: %s", received->n_fds > 0 ? "a map" : "no map",
                 received->msg->shared_map.message ?: "");
        run();
        return 0;
}

static bool permit(void *owner, enum message_type type) {
        (void)owner;
        return type == MSG_PREPARE || type == MSG_START || type == MSG_STOP ||
               type == MSG_SHARED_MAP;
}

static int on_message(void *owner, struct received *received) {
        (void)owner;
        return received->type == MSG_PREPARE      ? on_prepare(received)
               : received->type == MSG_START      ? on_start(received)
               : received->type == MSG_SHARED_MAP ? on_shared_map(received)
                                                  : stop();
}

static void on_closed(void *owner, int r, const struct error *err) {
        (void)owner;
        (void)r;
        (void)err;
        loop_exit(fake.loop, 0);
}

static int on_signal(struct loop_io *io, uint32_t events) {
        struct signalfd_siginfo info;

        (void)io;
        (void)events;
        if (read(fake.signals_fd, &info, sizeof(info)) == sizeof(info))
                write_rows();
        return 0;
}

static int init(void) {
        static const struct channel_ops ops = { permit, on_message, on_closed };
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        r = loop_new(&fake.loop);
        if (r < 0)
                return r;
        fake.signals_fd = loop_signal_fd(&set);
        if (fake.signals_fd < 0)
                return fake.signals_fd;
        r = loop_io_add(fake.loop, &fake.signals_io, fake.signals_fd, EPOLLIN, "signals",
                        on_signal);
        if (r < 0)
                return r;
        return channel_new(fake.loop, CHILD_FD_CHANNEL, "gadgetd", &ops, NULL, 1 << 20,
                           &fake.channel);
}

int main(void) {
        int r;

        log_init("fake-broker", CHILD_FD_LOG);
        r = init();
        if (r == 0)
                r = loop_run(fake.loop);
        return r < 0 ? 1 : 0;
}
