/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of users, groups and interfaces of the host, for workers, which see no file. Lines are
 * "name:x:id:..."; what NSS would ask other services for has no name here, because a broker speaks
 * to nobody.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/parse.h"
#include "broker/broker.h"

/* A name longer than this is as good as none. */
#define NAME_MAX_LEN 64
#define FILE_MAX (4u << 20)

/* Finds the line whose third field is the id; the name's length, or -ENOENT. Lines are cut in
 * place. */
static int find_name(char *text, uint32_t id, char *out) {
        char *line;

        while ((line = strsep(&text, "\n"))) {
                const char *name = strsep(&line, ":"), *number;
                uint32_t value;

                (void)strsep(&line, ":");
                number = strsep(&line, ":");
                if (!number || parse_u32(number, 0, UINT32_MAX, &value) < 0 || value != id)
                        continue;
                if (strlen(name) > NAME_MAX_LEN)
                        return -ENOENT;
                memcpy(out, name, strlen(name));
                return (int)strlen(name);
        }
        return -ENOENT;
}

static int read_all(const char *path, struct buf *b) {
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        ssize_t n;

        if (fd < 0)
                return -errno;
        do {
                uint8_t *p = buf_reserve(b, 4096);

                if (!p)
                        return buf_result(b);
                n = read(fd, p, 4096);
                if (n > 0)
                        b->len += (size_t)n;
        } while (n > 0);
        return n < 0 ? -errno : buf_append(b, "", 1);
}

static int find_in(const char *path, uint32_t id, char *out) {
        cleanup_buf struct buf text = BUF_INIT(FILE_MAX);
        int r = read_all(path, &text);

        return r < 0 ? r : find_name((char *)text.data, id, out);
}

/* Indexes are those of a network namespace: elsewhere than in ours they mean other interfaces. */
static int find_interface(uint32_t netns, uint32_t index, char *out) {
        struct ifreq request = { .ifr_ifindex = (int)index };
        cleanup_close int fd = -1;
        struct stat st;
        size_t n;

        if (netns != 0 && (stat("/proc/self/ns/net", &st) < 0 || st.st_ino != netns))
                return -ENOENT;
        fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (ioctl(fd, SIOCGIFNAME, &request) < 0)
                return -ENOENT;
        n = strnlen(request.ifr_name, sizeof(request.ifr_name));
        memcpy(out, request.ifr_name, n);
        return (int)n;
}

int on_id_name(struct broker *b, const struct request *request, struct reply *reply,
               struct error *err) {
        const struct broker_id_name *want = request->body;
        char name[NAME_MAX_LEN];
        int r = -ENOENT;

        if (want->kind >= _BROKER_ID_KIND_MAX)
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "the worker's request 'id name' is for nothing that has a name");
        switch ((enum broker_id_kind)want->kind) {
        case BROKER_ID_USER:
                r = find_in("/etc/passwd", want->id, name);
                break;
        case BROKER_ID_GROUP:
                r = find_in("/etc/group", want->id, name);
                break;
        case BROKER_ID_INTERFACE:
                r = find_interface(want->netns, want->id, name);
                break;
        case _BROKER_ID_KIND_MAX:
                break;
        }
        if (r > 0)
                buf_append(&reply->payload, name, (size_t)r);
        reply->result = r;
        return 0;
}
