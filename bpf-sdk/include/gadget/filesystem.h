/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Paths of files, as seen from the root of their mount namespace. A path is put together backwards,
 * name by name and mount by mount, at the end of a buffer of this CPU.
 */
#pragma once

#include <gadget/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define GADGET_PATH_MAX 512
#define GADGET_PATH_COMPONENTS_MAX 80

/* Half of it takes the path. The other half is what the verifier must believe could be written past
 * its end. A power of two, of at least 1024. */
#ifndef GADGET_PATH_BUFFER_SIZE
#define GADGET_PATH_BUFFER_SIZE 32768
#endif
/* get_path_str() takes the first one. More are for programs that can be preempted by each other. */
#ifndef GADGET_PATH_BUFFERS
#define GADGET_PATH_BUFFERS 1
#endif
#define GADGET_PATH_SPACE (GADGET_PATH_BUFFER_SIZE / 2)
#define GADGET_NAME_MASK 255

/* Where the path begins is kept in the map, not in a register: the verifier then knows nothing
 * about it that differs from one turn of the loop to the next, and need not follow every
 * combination of lengths. */
struct gadget_path_buffer {
        char data[GADGET_PATH_BUFFER_SIZE - sizeof(__u64)];
        __u64 start;
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, GADGET_PATH_BUFFERS);
        __type(key, __u32);
        __type(value, struct gadget_path_buffer);
} bufs SEC(".maps");

/* Puts "/name" before what is there. false when there is no room, or no name. */
static __always_inline bool gadget_path_prepend(struct gadget_path_buffer *buffer,
                                                struct dentry *dentry) {
        const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
        __u64 len = BPF_CORE_READ(dentry, d_name.len) & GADGET_NAME_MASK;
        __u64 start = buffer->start;

        if (start < len + 1)
                return false;
        start = (start - len - 1) & (GADGET_PATH_SPACE - 1);
        if (bpf_probe_read_kernel(&buffer->data[start + 1], len, name) < 0)
                return false;
        buffer->data[start] = '/';
        buffer->start = start;
        return true;
}

/* The root of a file system is called "/", an unnamed file is called nothing. */
static __always_inline bool gadget_is_root_name(struct dentry *dentry) {
        char first = '\0';

        bpf_probe_read_kernel(&first, sizeof(first), BPF_CORE_READ(dentry, d_name.name));
        return first == '/' || first == '\0';
}

/* One step up: false at the top, or when there is no more room. */
static __always_inline bool gadget_path_step(struct gadget_path_buffer *buffer,
                                             struct dentry **dentry, struct mount **mount) {
        if (*dentry == BPF_CORE_READ(*mount, mnt.mnt_root)) {
                struct mount *below = BPF_CORE_READ(*mount, mnt_parent);

                if (below == *mount)
                        return false; /* the namespace's own root */
                *dentry = BPF_CORE_READ(*mount, mnt_mountpoint);
                *mount = below;
        } else {
                struct dentry *parent = BPF_CORE_READ(*dentry, d_parent);

                if (parent == *dentry) { /* connected to nothing: a memfd has a name all the same */
                        if (!gadget_is_root_name(*dentry))
                                gadget_path_prepend(buffer, *dentry);
                        return false;
                }
                if (!gadget_path_prepend(buffer, *dentry))
                        return false;
                *dentry = parent;
        }
        return true;
}

/* The path as a string of less than GADGET_PATH_SPACE bytes, which stays until the next call for
 * that buffer of this CPU. "/" for the root; NULL only when there is no such buffer. What has more
 * than 80 components, mounts on the way included, loses the first ones. */
static __always_inline void *gadget_path_str(struct path *path, __u32 index) {
        struct dentry *dentry = BPF_CORE_READ(path, dentry);
        struct vfsmount *vfsmount = BPF_CORE_READ(path, mnt);
        struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
        struct gadget_path_buffer *buffer;

        buffer = bpf_map_lookup_elem(&bufs, &index);
        if (!buffer)
                return NULL;
        buffer->start = GADGET_PATH_SPACE - 1;
        buffer->data[GADGET_PATH_SPACE - 1] = '\0';

        for (int i = 0; i < GADGET_PATH_COMPONENTS_MAX; i++) {
                if (!gadget_path_step(buffer, &dentry, &mount))
                        break;
        }

        if (buffer->start == GADGET_PATH_SPACE - 1) { /* nothing but a root has no name */
                buffer->start--;
                buffer->data[GADGET_PATH_SPACE - 2] = '/';
        }
        return &buffer->data[buffer->start & (GADGET_PATH_SPACE - 1)];
}

static __always_inline void *get_path_str(struct path *path) {
        return gadget_path_str(path, 0);
}

/* The open file behind a descriptor of the current process; NULL when it has none. */
static __always_inline struct file *get_struct_file_for_fd(int fd) {
        struct task_struct *task = (struct task_struct *)bpf_get_current_task();
        struct fdtable *table = BPF_CORE_READ(task, files, fdt);
        struct file **files = BPF_CORE_READ(table, fd);
        struct file *file = NULL;

        if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
                return NULL;
        bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
        return file;
}

/* Copies the path of an open file into buf. The string's length with its NUL, or a negative number.
 */
static __always_inline long read_full_path_of_open_file_fd(int fd, char *buf, __u64 len) {
        struct file *file = get_struct_file_for_fd(fd);
        struct path path;
        void *text;

        if (!file)
                return -1;
        path = BPF_CORE_READ(file, f_path);
        text = get_path_str(&path);
        if (!text)
                return -1;
        return bpf_probe_read_kernel_str(buf, len, text);
}
