/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/host.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/trim.h"
#include "gadget/container-row.h"
#include "worker/host-link.h"
#include "worker/id-names.h"
#include "worker/sandbox.h"

#define FDS_MAX 4     /* that come with one message */
#define CPUS_MAX 8192 /* more than any kernel is built for */

static struct {
        int fd;
        int poll_fd; /* the channel, and the anchor for a STOP that came while a reply was awaited
                      */
        uint32_t seq;
        bool is_stopping;
        bool is_running;
        void (*on_container)(const uint8_t *data, size_t len);
        bool is_direct; /* bpf() may read maps by itself */
        struct broker_hello hello;
} host = { .fd = -1, .poll_fd = -1 };

uint32_t host_n_cpus(void) {
        return host.hello.n_cpus;
}

bool host_reads_maps_directly(void) {
        return host.is_direct;
}

/* A worker without its broker has nobody to tell, and nothing to do. */
static void lost(void) {
        _exit(1);
}

/* The part of the message that lies in [begin, begin + n). */
static size_t cut(const struct host_call *call, size_t begin, size_t n, struct iovec *out) {
        size_t at = 0, n_out = 0;

        for (size_t i = 0; i < call->n_parts && n > 0; i++) {
                size_t len = call->parts[i].iov_len;

                if (begin < at + len) {
                        size_t skip = begin - at, take = MIN(len - skip, n);

                        out[n_out].iov_base = (uint8_t *)call->parts[i].iov_base + skip;
                        out[n_out].iov_len = take;
                        n_out++;
                        begin += take;
                        n -= take;
                }
                at += len;
        }
        return n_out;
}

static void send_request(const struct host_call *call) {
        struct broker_frame frame = { .type = (uint16_t)call->type, .seq = ++host.seq };
        size_t total = 0;

        for (size_t i = 0; i < call->n_parts; i++)
                total += call->parts[i].iov_len;
        frame.total = (uint32_t)total;
        do {
                size_t chunk = MIN(total - frame.offset, (size_t)BROKER_CHUNK_MAX);
                struct iovec iov[1 + HOST_PARTS_MAX] = { PART(&frame, sizeof(frame)) };
                struct msghdr msg = { .msg_iov = iov };
                ssize_t n;

                msg.msg_iovlen = 1 + cut(call, frame.offset, chunk, iov + 1);
                do
                        n = sendmsg(host.fd, &msg, MSG_NOSIGNAL);
                while (n < 0 && errno == EINTR);
                if (n < 0)
                        lost();
                frame.offset += (uint32_t)chunk;
        } while (frame.offset < total);
}

/* One chunk: its frame, what is behind the frame into body and out, fds. Bytes behind the frame;
 * -EAGAIN, or -ECONNRESET at the end. */
static ssize_t receive_chunk(struct broker_frame *frame, void *body, size_t body_size, void *out,
                             size_t out_size, int *fds, int flags) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov[] = { PART(frame, sizeof(*frame)), PART(body, body_size),
                               PART(out, out_size) };
        struct msghdr msg = { .msg_iov = iov,
                              .msg_iovlen = ARRAY_SIZE(iov),
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        struct cmsghdr *c;
        ssize_t n;

        do
                n = recvmsg(host.fd, &msg, MSG_CMSG_CLOEXEC | flags);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -EAGAIN : -ECONNRESET;
        if (n < (ssize_t)sizeof(*frame))
                return -ECONNRESET;
        c = CMSG_FIRSTHDR(&msg);
        if (c && c->cmsg_type == SCM_RIGHTS)
                memcpy(fds, CMSG_DATA(c), MIN(c->cmsg_len - CMSG_LEN(0), FDS_MAX * sizeof(int)));
        return n - (ssize_t)sizeof(*frame);
}

/* STOP may cross a request. It is kept, and the anchor makes host_fd() readable again. */
static void note_stop(void) {
        host.is_stopping = true;
        (void)eventfd_write(host_fd_anchor(), 1);
}

/* True when a container was taken; false when there is something else, or nothing. */
static bool take_container(int flags) {
        uint8_t data[BROKER_CONTAINER_SIZE_MAX];
        int fds[FDS_MAX] = { -1, -1, -1, -1 };
        struct broker_frame frame;
        struct iovec iov = PART(&frame, sizeof(frame));
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        do
                n = recvmsg(host.fd, &msg, MSG_PEEK | flags);
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof(frame) || frame.type != BROKER_CONTAINER)
                return false;
        n = receive_chunk(&frame, data, sizeof(data), NULL, 0, fds, MSG_DONTWAIT);
        if (n >= 0 && host.on_container)
                host.on_container(data, (size_t)n);
        return n >= 0;
}

static int receive_reply(struct host_call *call) {
        struct broker_reply reply = { 0 };
        struct broker_frame frame;
        int fds[FDS_MAX] = { -1, -1, -1, -1 };
        size_t got = 0, wanted;
        ssize_t n;

        call->out_len = 0;
        do {
                bool is_first = got == 0;
                size_t done = is_first ? 0 : got - sizeof(reply);
                size_t room = call->out_size > done ? call->out_size - done : 0;

                /* Containers come unasked for, before and behind a STOP too. */
                while (is_first && host.is_running && take_container(0))
                        ;

                n = receive_chunk(&frame, &reply, is_first ? sizeof(reply) : 0,
                                  (uint8_t *)call->out + MIN(done, call->out_size), room, fds, 0);
                if (n < 0)
                        lost();
                if (frame.type == BROKER_STOP) {
                        note_stop();
                        wanted = got + 1;
                        continue;
                }
                wanted = frame.total;
                if (wanted < sizeof(reply))
                        lost();
                /* Counted as sent: what did not fit is skipped. */
                got += MIN(wanted - got, (size_t)BROKER_CHUNK_MAX);
        } while (got < wanted);
        call->out_len = MIN(got - sizeof(reply), call->out_size);
        call->handle = reply.handle;
        call->fd = fds[0];
        return reply.result;
}

void host_on_container(void (*handler)(const uint8_t *data, size_t len)) {
        host.on_container = handler;
}

void host_take_containers(void) {
        while (take_container(MSG_DONTWAIT))
                ;
}

int host_call(struct host_call *call) {
        send_request(call);
        return receive_reply(call);
}

void host_tell(const struct host_call *call) {
        send_request(call);
}

/* A whole message that the broker sends by itself; *ret_data is malloc'd. */
static int receive_message(enum broker_type type, uint8_t **ret_data, size_t *ret_len, int *fds) {
        cleanup_free uint8_t *data = malloc(BROKER_CHUNK_MAX);
        struct broker_frame frame;
        size_t len = 0;
        ssize_t n;

        do {
                uint8_t *grown;

                if (!data)
                        return -ENOMEM;
                n = receive_chunk(&frame, NULL, 0, data + len, BROKER_CHUNK_MAX, fds, 0);
                if (n < 0)
                        return (int)n;
                if (frame.type != type || frame.offset != len)
                        return -EPROTO;
                len += (size_t)n;
                if (len >= frame.total)
                        break;
                grown = realloc(data, len + BROKER_CHUNK_MAX);
                if (!grown)
                        return -ENOMEM;
                TAKE_PTR(data);
                data = grown;
        } while (true);
        *ret_data = TAKE_PTR(data);
        *ret_len = len;
        return 0;
}

static int receive_hello(struct error *err) {
        cleanup_free uint8_t *data = NULL;
        int fds[FDS_MAX] = { -1, -1, -1, -1 }, r;
        size_t len;

        r = receive_message(BROKER_HELLO, &data, &len, fds);
        if (r < 0 || len != sizeof(host.hello))
                return error_set(err, ERROR_INTERNAL, -EPROTO, "the broker did not say hello");
        memcpy(&host.hello, data, len);
        /* What per-CPU values are read into is made for so many. */
        if (host.hello.n_cpus == 0 || host.hello.n_cpus > CPUS_MAX)
                return error_set(err, ERROR_INTERNAL, -EPROTO,
                                 "the broker says that this machine has %" PRIu32 " CPUs",
                                 host.hello.n_cpus);
        host_btf_init(fds[0]);
        return 0;
}

static int receive_start(struct host_start *ret, struct error *err) {
        int fds[FDS_MAX] = { -1, -1, -1, -1 }, r;
        struct broker_start start;
        cleanup_free uint8_t *data = NULL;
        char *image, *definition_name;
        size_t len, names;

        r = receive_message(BROKER_START, &data, &len, fds);
        if (r == -ECONNRESET)
                lost();
        if (r < 0 || len < sizeof(start) || fds[FDS_MAX - 1] < 0)
                return error_set(err, ERROR_INTERNAL, -EPROTO, "the broker's start is malformed");
        r = host_btf_read();
        if (r < 0)
                log_warning_errno(r, "cannot read the kernel's BTF, going on without");
        memcpy(&start, data, sizeof(start));
        names = (size_t)start.image_len + start.definition_name_len;
        if (names > len - sizeof(start))
                return error_set(err, ERROR_INTERNAL, -EPROTO, "the broker's start is malformed");
        image = strndup((char *)data + sizeof(start), start.image_len);
        definition_name =
                strndup((char *)data + sizeof(start) + start.image_len, start.definition_name_len);
        if (!image || !definition_name)
                return error_set(err, ERROR_INTERNAL, -ENOMEM, "no memory");
        *ret = (struct host_start){
                .image = image,
                .definition_name = definition_name[0] ? definition_name : "gadget.yaml",
                .params = BYTES(data + sizeof(start) + names, len - sizeof(start) - names),
                .inspect = start.inspect,
                .is_host_wide = start.is_host_wide,
                .object_fd = fds[0],
                .definition_fd = fds[1],
                .ring_fd = fds[2],
                .bell_fd = fds[3],
                .btf_fd = host_btf_fd(),
                .n_cpus = host.hello.n_cpus,
        };
        /* The parameters live on in it. */
        TAKE_PTR(data);
        return 0;
}

static int open_poll(void) {
        struct epoll_event event = { .events = EPOLLIN };

        host.poll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (host.poll_fd < 0 || epoll_ctl(host.poll_fd, EPOLL_CTL_ADD, host.fd, &event) < 0 ||
            epoll_ctl(host.poll_fd, EPOLL_CTL_ADD, host_fd_anchor(), &event) < 0)
                return -errno;
        return 0;
}

int host_init(int channel_fd, struct host_start *ret, struct error *err) {
        int r;

        /* Before a single foreign byte is read. */
        r = sandbox_enter(SANDBOX_LOADING, true, err);
        if (r < 0)
                return r;
        host.fd = channel_fd;
        r = host_fd_init();
        if (r == 0)
                r = open_poll();
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "cannot make the worker's own fds");
        r = receive_hello(err);
        if (r < 0)
                return r;
        /* The gadget may come much later. */
        trim_memory();
        return receive_start(ret, err);
}

static int map_fd(int placeholder_fd, bool writable, int *ret_fd) {
        const struct host_object *map = host_fd_find(placeholder_fd);
        struct broker_map_fd want = { .writable = writable };
        struct host_call call = CALL(BROKER_MAP_FD, PART(&want, sizeof(want)));
        struct host_object real;
        int r;

        if (!map || !map->is_map)
                return -EBADF;
        real = *map;
        real.is_real = true;
        want.map = map->handle;
        r = host_call(&call);
        if (r < 0)
                return r;
        r = host_fd_add(&real, call.fd);
        if (r < 0)
                return r;
        *ret_fd = r;
        return 0;
}

int host_map_fd(int placeholder_fd, int *ret_fd) {
        return map_fd(placeholder_fd, false, ret_fd);
}

int host_map_fd_writable(int placeholder_fd, int *ret_fd) {
        return map_fd(placeholder_fd, true, ret_fd);
}

int host_iter_create(int link_placeholder_fd, uint32_t *netns, int *ret_fd) {
        struct broker_pair pair = { .object = host_fd_handle(link_placeholder_fd),
                                    .other = *netns };
        struct host_call call = CALL(BROKER_ITER_CREATE, PART(&pair, sizeof(pair)));
        int r;

        if (!host_fd_find(link_placeholder_fd))
                return -EBADF;
        r = host_call(&call);
        if (r < 0)
                return r;
        *netns = call.handle;
        *ret_fd = call.fd;
        return 0;
}

int host_attach(const struct host_place *place) {
        struct broker_attach attach = {
                .prog = host_fd_handle(place->prog_fd),
                .attach_type = place->attach_type,
                .map = place->map_fd < 0 ? BROKER_HANDLE_NONE : host_fd_handle(place->map_fd),
                .flags = place->is_return ? BROKER_ATTACH_RETURN : 0,
        };
        struct host_call call = CALL(BROKER_ATTACH, PART(&attach, sizeof(attach)),
                                     PART(place->name, strlen(place->name)));

        return host_call(&call);
}

int host_shared_map(bool with_paths, struct broker_shared_map *ret, char *why, size_t room) {
        struct broker_shared_want body = { .with_paths = with_paths };
        struct host_call want = CALL(BROKER_SHARED_WANT, PART(&body, sizeof(body)));
        struct host_call get = CALL(BROKER_SHARED_MAP, PART(NULL, 0));
        char out[512];
        int r;

        r = host_call(&want);
        if (r < 0)
                return r;
        get.out = out;
        get.out_size = sizeof(out) - 1;
        r = host_call(&get);
        out[get.out_len] = '\0';
        if (r == 0 && get.out_len != sizeof(*ret))
                r = -EPROTO;
        if (r == 0)
                memcpy(ret, out, sizeof(*ret));
        else
                snprintf(why, room, "%s", out);
        return r;
}

void host_declare_hook(const char *section) {
        struct host_call call = CALL(BROKER_HOOK, PART(section, MIN(strlen(section), (size_t)256)));

        (void)host_call(&call);
}

/* Since 5.19 whoever holds a map's fd may use it; before, it takes a capability. Asked with an fd
 * that cannot be. */
static bool may_read_maps(void) {
        union bpf_attr attr = { .map_fd = UINT32_MAX };

        return raw_syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, (uint64_t)(uintptr_t)&attr, sizeof(attr),
                           0, 0, 0) == -EBADF;
}

int host_ready(struct bytes schema, struct error *err) {
        struct host_call call = CALL(BROKER_READY, PART(schema.data, schema.len));
        int r;

        host_btf_done();
        host.is_running = true; /* containers come before the answer */
        r = host_call(&call);
        if (r < 0)
                return error_set(err, ERROR_INTERNAL, r, "the broker does not take the schema");
        host.is_direct = may_read_maps();
        r = sandbox_enter(SANDBOX_RUNNING, host.is_direct, err);
        return r;
}

int host_id_name(const struct named_id *id, char *out, size_t room) {
        struct broker_id_name want = { .kind = id->kind, .id = id->id, .netns = id->netns };
        struct host_call call = CALL(BROKER_ID_NAME, PART(&want, sizeof(want)));
        int r;

        call.out = out;
        call.out_size = room;
        r = host_call(&call);
        return r < 0 ? r : (int)call.out_len;
}

int host_kernel_symbols(const uint64_t *addresses, size_t n, uint8_t *out, size_t room) {
        struct host_call call =
                CALL(BROKER_KERNEL_SYMBOLS, PART(addresses, n * sizeof(*addresses)));
        int r;

        call.out = out;
        call.out_size = room;
        r = host_call(&call);
        return r < 0 ? r : (int)call.out_len;
}

int host_process(uint32_t pid, struct broker_process *ret, struct broker_mapping *out) {
        static uint8_t data[sizeof(*ret) + LIMIT_MAPPINGS_MAX * sizeof(*out)];
        struct broker_pair want = { .object = pid };
        struct host_call call = CALL(BROKER_PROCESS, PART(&want, sizeof(want)));
        int r;

        call.out = data;
        call.out_size = sizeof(data);
        r = host_call(&call);
        if (r < 0)
                return r;
        memcpy(ret, data, sizeof(*ret));
        if (call.out_len < sizeof(*ret) ||
            call.out_len != sizeof(*ret) + ret->n_mappings * sizeof(*out))
                return -EPROTO;
        memcpy(out, data + sizeof(*ret), call.out_len - sizeof(*ret));
        return 0;
}

int host_mapped_file(const struct broker_mapped_file *want, struct broker_file *ret) {
        struct host_call call = CALL(BROKER_MAPPED_FILE, PART(want, sizeof(*want)));
        int r;

        call.out = ret;
        call.out_size = sizeof(*ret);
        r = host_call(&call);
        return r < 0 ? r : call.fd < 0 ? -EPROTO : call.fd;
}

void host_fault(const struct error *err, const char *detail) {
        const char *text = error_text(err);
        struct broker_fault fault = {
                .code = err->code == ERROR_NONE ? ERROR_INTERNAL : err->code,
                .message_len = (uint32_t)strlen(text),
        };
        size_t len = detail ? strlen(detail) : 0;
        size_t skip = len > LIMIT_ERROR_DETAIL_MAX ? len - LIMIT_ERROR_DETAIL_MAX : 0;
        struct host_call call =
                CALL(BROKER_FAULT, PART(&fault, sizeof(fault)), PART(text, fault.message_len),
                     PART(detail ? detail + skip : "", len - skip));

        host_tell(&call);
}

int host_fd(void) {
        return host.poll_fd;
}

enum host_event host_next(void) {
        int fds[FDS_MAX] = { -1, -1, -1, -1 };
        struct broker_frame frame;
        ssize_t n;

        if (host.is_stopping)
                return HOST_STOP;
        if (take_container(MSG_DONTWAIT)) {
                host_take_containers();
                return HOST_CONTAINER;
        }
        n = receive_chunk(&frame, NULL, 0, NULL, 0, fds, MSG_DONTWAIT);
        if (n == -EAGAIN)
                return HOST_NONE;
        if (n < 0)
                return HOST_CLOSED;
        host.is_stopping = frame.type == BROKER_STOP;
        return host.is_stopping ? HOST_STOP : HOST_NONE;
}

void host_done(void) {
        struct host_call call = { .type = BROKER_DONE, .fd = -1 };

        host_tell(&call);
}
