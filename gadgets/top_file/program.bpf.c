/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much each process reads from and writes to each file by the read() and write() family, at
 * their return, where the result is known. What needs no such call (mmap(), io_uring, sendfile())
 * is not seen. A file's path is looked up once, when its entry is made.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define GADGET_NO_BUF_RESERVE
#include <gadget/buffer.h>
#include <gadget/filesystem.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/syscall.h>
#include <gadget/types.h>

#define FILES_MAX 16384
#define TYPE_SHIFT 12 /* of i_mode */

enum file_type {
        PIPE = 1,
        CHARACTER_DEVICE = 2,
        DIRECTORY = 4,
        BLOCK_DEVICE = 6,
        REGULAR = 8,
        SYMLINK = 10,
        SOCKET = 12,
};

struct file_key {
        gadget_mntns_id mntns_id;
        __u64 inode;
        __u32 dev;
        gadget_pid pid;
};

struct file_stats {
        gadget_comm comm[TASK_COMM_LEN];
        gadget_counter__u64 reads;
        gadget_counter__u64 writes;
        gadget_bytes read_bytes_raw;
        gadget_bytes written_bytes_raw;
        enum file_type type_raw;
        char file[GADGET_PATH_MAX];
};

const volatile __u32 stats_max_entries = 0;
GADGET_PARAM(stats_max_entries);

const volatile bool all_files = false;
GADGET_PARAM(all_files);

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, FILES_MAX);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, struct file_key);
        __type(value, struct file_stats);
} stats SEC(".maps");
GADGET_LOST_COUNTER(stats);

GADGET_MAPITER(files, stats);

GADGET_SCRATCH(new_stats, struct file_stats);

static __always_inline struct file_stats *make_entry(const struct file_key *key, struct file *file,
                                                     enum file_type type) {
        struct path path = BPF_CORE_READ(file, f_path);
        struct file_stats *fresh = new_stats();
        void *text = get_path_str(&path);

        if (!fresh || !text)
                return NULL;
        __builtin_memset(fresh, 0, sizeof(*fresh));
        bpf_get_current_comm(fresh->comm, sizeof(fresh->comm));
        fresh->type_raw = type;
        bpf_probe_read_kernel_str(fresh->file, sizeof(fresh->file), text);
        return gadget_map_lookup_or_init(&stats, key, fresh);
}

/* A function of its own, which the verifier looks at once for all callers. */
__noinline int count(int fd, long result, int is_write) {
        struct file_stats *value;
        struct file_key key = {};
        enum file_type type;
        struct inode *inode;
        struct file *file;

        file = get_struct_file_for_fd(fd);
        if (!file)
                return 0;
        inode = BPF_CORE_READ(file, f_inode);
        type = BPF_CORE_READ(inode, i_mode) >> TYPE_SHIFT;
        if (type != REGULAR && !all_files)
                return 0;
        key.mntns_id = gadget_get_current_mntns_id();
        key.inode = BPF_CORE_READ(inode, i_ino);
        key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
        key.pid = bpf_get_current_pid_tgid() >> 32;
        value = bpf_map_lookup_elem(&stats, &key);
        if (!value)
                value = make_entry(&key, file, type);
        if (!value)
                return 0;
        if (is_write) {
                __sync_fetch_and_add(&value->writes, 1);
                __sync_fetch_and_add(&value->written_bytes_raw, result);
        } else {
                __sync_fetch_and_add(&value->reads, 1);
                __sync_fetch_and_add(&value->read_bytes_raw, result);
        }
        return 0;
}

static __always_inline int on_exit(struct syscall_trace_exit *ctx, int is_write) {
        if (ctx->ret < 0 || gadget_should_discard_data_current())
                return 0;
        count(gadget_syscall_arg(gadget_syscall_regs(), 0), ctx->ret, is_write);
        return 0;
}

#define ON_EXIT(_syscall, _is_write)                                                               \
        SEC("tracepoint/syscalls/sys_exit_" #_syscall)                                             \
        int on_##_syscall(struct syscall_trace_exit *ctx) {                                        \
                return on_exit(ctx, _is_write);                                                    \
        }

ON_EXIT(read, 0)
ON_EXIT(pread64, 0)
ON_EXIT(readv, 0)
ON_EXIT(preadv, 0)
ON_EXIT(preadv2, 0)
ON_EXIT(write, 1)
ON_EXIT(pwrite64, 1)
ON_EXIT(writev, 1)
ON_EXIT(pwritev, 1)
ON_EXIT(pwritev2, 1)

char LICENSE[] SEC("license") = "Dual BSD/GPL";
