/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are attached to a place of the host: an interface, the root cgroup, the network
 * namespace, a map of sockets, many functions, a hook of the packet filter. What goes to where the
 * containers are is in broker/attach-netns.c. The broker finds the place by itself; the worker says
 * the program and, for some, a name. Each is a link or a socket: what closes it detaches the
 * program, also when we are killed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "broker/bpf.h"
#include "broker/place.h"

/* Looked up by a socket that can be made here anyway. -ENODEV when there is no such interface. */
static int interface_index(const char *name) {
        cleanup_close int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        struct ifreq request = { 0 };

        if (fd < 0)
                return -errno;
        memcpy(request.ifr_name, name, strlen(name));
        return ioctl(fd, SIOCGIFINDEX, &request) < 0 ? -errno : request.ifr_ifindex;
}

/* Where cgroup2 is mounted differs, and nobody is asked to mount it. */
static int open_root_cgroup(void) {
        struct mntent entry;
        char text[4096];
        FILE *mounts;
        int fd = -ENOENT;

        mounts = setmntent("/proc/self/mounts", "re");
        if (!mounts)
                return -errno;
        while (fd == -ENOENT && getmntent_r(mounts, &entry, text, sizeof(text)))
                if (str_eq(entry.mnt_type, "cgroup2")) {
                        fd = open(entry.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        fd = fd < 0 ? -errno : fd;
                }
        endmntent(mounts);
        return fd;
}

static int link_to(const struct place *place, uint32_t target) {
        union bpf_attr attr = { .link_create = { .prog_fd = (uint32_t)place->prog->fd,
                                                 .target_fd = target,
                                                 .attach_type = place->type->attach_type } };

        return sys_bpf(BPF_LINK_CREATE, &attr);
}

static int link_interface(const struct place *place) {
        int index = interface_index(place->interface);

        int r = index < 0 ? index : link_to(place, (uint32_t)index);

        /* What a kernel before 6.6 says of a tc program. */
        if (r == -EINVAL && place->type->type == BPF_PROG_TYPE_SCHED_CLS)
                return clsact_link(&place->broker->clsact, place->prog->fd, index,
                                   place->type->attach_type == ATTACH_TYPE_TCX_EGRESS);
        return r;
}

static int link_cgroup(const struct place *place) {
        cleanup_close int fd = open_root_cgroup();

        return fd < 0 ? fd : link_to(place, (uint32_t)fd);
}

static int link_netns(const struct place *place) {
        cleanup_close int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : link_to(place, (uint32_t)fd);
}

static int link_socket_map(const struct place *place) {
        return link_to(place, (uint32_t)place->map_fd);
}

static const struct {
        int (*attach)(const struct place *place);
        bool may_name_interface;
        bool has_map;
        const char *hook_chars; /* a hook is named, by what names are made of and these */
} ways[_PROGRAM_HOW_MAX] = {
        [PROGRAM_BY_SOCKET] = { .may_name_interface = true },
        [PROGRAM_BY_INTERFACE] = { link_interface, .may_name_interface = true },
        [PROGRAM_BY_CGROUP] = { link_cgroup },
        [PROGRAM_BY_NETNS] = { link_netns },
        [PROGRAM_BY_SOCKET_MAP] = { link_socket_map, .has_map = true },
        [PROGRAM_BY_PATTERN] = { link_functions, .hook_chars = "*?." },
        [PROGRAM_BY_NETFILTER] = { link_netfilter, .hook_chars = "/" },
};

static int take_interface(const struct request *request, struct place *place, struct error *err) {
        struct bytes name = BYTES(request->payload, request->payload_len);

        /* Only one XDP program fits on an interface: it does not go to those of others unasked. */
        if (name.len == 0 && place->type->type != BPF_PROG_TYPE_XDP)
                return 0;
        if (!ways[place->type->how].may_name_interface || name.len >= IFNAMSIZ ||
            !broker_is_name(name, ".-:@"))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "program '%s' wants to be attached to an interface whose name is "
                                 "none",
                                 place->prog->name);
        memcpy(place->interface, name.data, name.len);
        return 0;
}

static int take_hook(const struct request *request, struct place *place, struct error *err) {
        struct bytes name = BYTES(request->payload, request->payload_len);

        if (name.len >= sizeof(place->hook) ||
            !broker_is_name(name, ways[place->type->how].hook_chars))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "program '%s' wants to be attached to a hook whose name is none",
                                 place->prog->name);
        memcpy(place->hook, name.data, name.len);
        return 0;
}

/* What it may, and what it is: the type was checked at load, but for the one that libbpf asks
 * with. */
static int check_place(struct broker *b, const struct broker_attach *want,
                       const struct request *request, struct place *ret, struct error *err) {
        struct object *prog, *map = NULL;
        int r;

        r = broker_object(b, want->prog, OBJECT_PROG, &prog, err);
        if (r < 0)
                return r;
        *ret = (struct place){ .broker = b,
                               .prog = prog,
                               .is_return = (want->flags & BROKER_ATTACH_RETURN) != 0,
                               .type = broker_program_type(prog->prog.type, want->attach_type) };
        if (!ret->type || (!ways[ret->type->how].attach && ret->type->how != PROGRAM_BY_SOCKET))
                return error_set(err, ERROR_INVALID, -EPROTO,
                                 "program '%s' of type %s has no place of type %" PRIu32
                                 " on the host",
                                 prog->name, prog_type_name(prog->prog.type) ?: "unknown",
                                 want->attach_type);
        r = broker_may_have(b, ret->type, prog->name, err);
        if (r == 0)
                r = broker_may_attach(b, prog, err);
        if (r == 0)
                r = ways[ret->type->how].hook_chars ? take_hook(request, ret, err)
                                                    : take_interface(request, ret, err);
        if (r == 0 && ways[ret->type->how].has_map)
                r = broker_object(b, want->map, OBJECT_MAP, &map, err);
        ret->map_fd = map ? map->fd : -1;
        return r;
}

/* The section with what the author would have written there: "kprobe.multi/vfs_*", "tc:lo". */
static char *describe(const struct place *place) {
        size_t literal = strcspn(place->type->section, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        char *hook;
        int r;

        if (place->hook[0])
                r = asprintf(&hook, "%s%.*s%s", place->is_return ? "return of " : "", (int)literal,
                             place->type->section, place->hook);
        else
                r = asprintf(&hook, "%s%s%s", place->type->section, place->interface[0] ? ":" : "",
                             place->interface);
        return r < 0 ? NULL : hook;
}

/* Socket filters and tc programs go to where the containers are, unless an interface of the host is
 * named. */
static bool is_for_namespaces(const struct place *place) {
        return place->type->how == PROGRAM_BY_SOCKET ||
               (place->type->how == PROGRAM_BY_INTERFACE && !place->interface[0]);
}

static int attach_in_namespaces(struct broker *b, const struct place *place, struct reply *reply,
                                struct error *err) {
        int index = place->interface[0] ? interface_index(place->interface) : 0;
        int r;

        reply->result = index;
        if (index < 0)
                return 0;
        r = broker_add_link(b, -1, describe(place), reply, err);
        if (r < 0)
                return r;
        reply->result = netns_add_program(b, place->prog, place->type, reply->handle, index);
        if (reply->result < 0) {
                objects_remove(&b->objects, objects_find(&b->objects, reply->handle));
                reply->handle = BROKER_HANDLE_NONE;
        }
        return 0;
}

int on_attach(struct broker *b, const struct request *request, struct reply *reply,
              struct error *err) {
        struct place place;
        int r;

        r = check_place(b, request->body, request, &place, err);
        if (r < 0)
                return r;
        if (is_for_namespaces(&place))
                return attach_in_namespaces(b, &place, reply, err);
        reply->result = ways[place.type->how].attach(&place);
        if (reply->result < 0)
                return 0;
        return broker_add_link(b, reply->result, describe(&place), reply, err);
}
