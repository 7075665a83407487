/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts on the host by system calls, without the filter (what else holds?) and with it. */
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/system/probe/probe.h"

#define PIDS_MAX 65536

int try_open_host_file(void) {
        return errno_of(open("/etc/passwd", O_RDONLY));
}

int try_open_proc_mem(void) {
        return errno_of(open("/proc/self/mem", O_RDWR));
}

int try_open_above_root(void) {
        return errno_of(open("/../../../../etc/passwd", O_RDONLY));
}

int try_open_dev_mem(void) {
        return errno_of(open("/dev/mem", O_RDWR));
}

int try_create_file(void) {
        return errno_of(open("/here", O_WRONLY | O_CREAT, 0600));
}

int try_make_directory(void) {
        return errno_of(mkdir("/here", 0700));
}

int try_make_device(void) {
        return errno_of(mknod("/mem", S_IFCHR | 0600, 0x101));
}

int try_remount_root(void) {
        return errno_of(mount(NULL, "/", NULL, MS_REMOUNT, NULL));
}

int try_mount_tmpfs(void) {
        return errno_of(mount("none", "/", "tmpfs", 0, NULL));
}

int try_mount_by_fs_context(void) {
        return errno_of(syscall(SYS_fsopen, "proc", 0));
}

int try_unmount_root(void) {
        return errno_of(umount2("/", MNT_DETACH));
}

int try_change_root(void) {
        return errno_of(chroot("/"));
}

int try_pivot_to_root(void) {
        return errno_of(syscall(SYS_pivot_root, "/", "/"));
}

int try_open_by_handle(void) {
        struct {
                struct file_handle handle;
                uint64_t inode;
        } h = { .handle = { .handle_bytes = 8, .handle_type = 1 }, .inode = 2 };

        return errno_of(open_by_handle_at(probe_fds[0], &h.handle, O_RDONLY));
}

int try_execute_shell(void) {
        char *argv[] = { (char *)"sh", NULL };

        return errno_of(execv("/bin/sh", argv));
}

/* Everybody that it sees but itself: nobody. */
int try_signal_everybody(void) {
        return errno_of(kill(-1, SIGKILL));
}

int try_signal_broker(void) {
        for (pid_t pid = 2; pid < PIDS_MAX; pid++)
                if (kill(pid, 0) == 0 || errno != ESRCH)
                        return errno_of(-1) == -EPERM ? -EPERM : 0;
        return -ESRCH;
}

int try_trace_broker(void) {
        for (pid_t pid = 2; pid < PIDS_MAX; pid++)
                if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0)
                        return 0;
        return -ESRCH;
}

int try_read_broker_memory(void) {
        struct iovec iov = { .iov_base = &iov, .iov_len = sizeof(iov) };

        for (pid_t pid = 2; pid < PIDS_MAX; pid++)
                if (process_vm_readv(pid, &iov, 1, &iov, 1, 0) >= 0)
                        return 0;
        return -ESRCH;
}

int try_open_broker_pidfd(void) {
        for (pid_t pid = 2; pid < PIDS_MAX; pid++)
                if (syscall(SYS_pidfd_open, pid, 0) >= 0)
                        return 0;
        return -ESRCH;
}

int try_fork_once(void) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        return errno_of(pid);
}

int try_fork_bomb(void) {
        for (int i = 0; i < 10000; i++) {
                pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

                if (pid == 0)
                        for (;;)
                                pause();
                if (pid < 0 && errno != EAGAIN)
                        return -errno;
                if (pid > 0)
                        return 0;
        }
        return -EAGAIN;
}

int try_memory_bomb(void) {
        for (;;) {
                uint8_t *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

                if (p == MAP_FAILED)
                        return -errno;
                memset(p, 1, 1 << 20);
        }
}

int try_file_bomb(void) {
        for (int i = 0; i < LIMIT_BROKER_OBJECTS_MAX + 256; i++)
                if (fcntl(CHILD_FD_LOG, F_DUPFD, 0) < 0)
                        return -errno;
        return 0;
}

int try_become_root(void) {
        return errno_of(setresuid(0, 0, 0));
}

int try_become_neighbour(void) {
        uid_t uid = getuid() + 1;

        return errno_of(setresuid(uid, uid, uid));
}

int try_raise_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct all[_LINUX_CAPABILITY_U32S_3] = {
                { .effective = ~0U, .permitted = ~0U, .inheritable = ~0U },
        };

        return errno_of(syscall(SYS_capset, &header, all));
}

int try_set_groups(void) {
        gid_t gid = 0;

        return errno_of(syscall(SYS_setgroups, 1, &gid));
}

int try_raise_limits(void) {
        struct rlimit more = { 2, 2 };

        return errno_of(setrlimit(RLIMIT_NPROC, &more));
}

int try_set_host_name(void) {
        return errno_of(sethostname("mine", 4));
}

int try_set_clock(void) {
        struct timeval tv = { .tv_sec = 1 };

        return errno_of(settimeofday(&tv, NULL));
}

int try_load_module(void) {
        return errno_of(syscall(SYS_finit_module, probe_fds[0], "", 0));
}

int try_reboot_machine(void) {
        return errno_of(syscall(SYS_reboot, 0, 0, 0, NULL));
}

int try_use_io_ports(void) {
#ifdef SYS_ioperm
        return errno_of(syscall(SYS_ioperm, 0x80, 1, 1));
#else
        return -ENOSYS;
#endif
}

int try_read_kernel_log(void) {
        char text[16];

        return errno_of(klogctl(4, text, sizeof(text)));
}

int try_connect_abstract(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX,
                                       .sun_path = "\0" PROBE_ABSTRACT_NAME };
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                    strlen(PROBE_ABSTRACT_NAME));
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        return errno_of(connect(fd, (struct sockaddr *)&address, len));
}

int try_connect_inet(void) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons(PROBE_INET_PORT),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        return errno_of(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

int try_open_packet_socket(void) {
        return errno_of(socket(AF_PACKET, SOCK_RAW, 0));
}

int try_open_shared_memory(void) {
        return errno_of(shmget(PROBE_SHM_KEY, 0, 0));
}

int try_shrink_ring(void) {
        return errno_of(ftruncate(probe_fds[2], 0));
}

int try_grow_ring(void) {
        return errno_of(ftruncate(probe_fds[2], 1 << 30));
}

int try_unseal_ring(void) {
        return errno_of(fcntl(probe_fds[2], F_ADD_SEALS, F_SEAL_WRITE));
}

int try_map_object_writable(void) {
        return mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, probe_fds[0], 0) == MAP_FAILED
                       ? -errno
                       : 0;
}

int try_write_object(void) {
        return errno_of(write(probe_fds[0], "x", 1));
}

/* Nothing that this process writes may make a file longer. */
int try_write_with_no_space(void) {
        int fd = (int)syscall(SYS_memfd_create, "x", 0);

        return fd < 0 ? -errno : errno_of(write(fd, "x", 1));
}

/* --- under the filter --- */

int try_call_openat(void) {
        return errno_of(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY, 0));
}

int try_call_openat2(void) {
        uint64_t how[3] = { 0 };

        return errno_of(syscall(SYS_openat2, AT_FDCWD, "/", how, sizeof(how)));
}

int try_call_socket(void) {
        return errno_of(socket(AF_UNIX, SOCK_STREAM, 0));
}

int try_call_ptrace(void) {
        return errno_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

int try_call_kill(void) {
        return errno_of(kill(1, 0));
}

int try_call_setns(void) {
        return errno_of(setns(CHILD_FD_LOG, 0));
}

int try_call_unshare(void) {
        return errno_of(unshare(CLONE_NEWUSER));
}

int try_call_mount(void) {
        return errno_of(mount("none", "/", "tmpfs", 0, NULL));
}

int try_call_clone(void) {
        return errno_of(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

int try_call_clone3(void) {
        struct clone_args args = { .exit_signal = SIGCHLD };

        return errno_of(syscall(SYS_clone3, &args, sizeof(args)));
}

int try_call_execve(void) {
        return try_execute_shell();
}

int try_call_execveat(void) {
        char *argv[] = { (char *)"x", NULL };

        return errno_of(syscall(SYS_execveat, probe_fds[0], "", argv, argv + 1, AT_EMPTY_PATH));
}

static int call_bpf(enum bpf_cmd cmd) {
        union bpf_attr attr = { 0 };

        return errno_of(syscall(SYS_bpf, cmd, &attr, sizeof(attr)));
}

int try_call_bpf_prog_load(void) {
        return call_bpf(BPF_PROG_LOAD);
}

int try_call_bpf_map_create(void) {
        return call_bpf(BPF_MAP_CREATE);
}

int try_call_bpf_fd_by_id(void) {
        return call_bpf(BPF_MAP_GET_FD_BY_ID);
}

int try_call_perf_event_open(void) {
        struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr) };

        return errno_of(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

int try_call_io_uring(void) {
        uint8_t params[120] = { 0 };

        return errno_of(syscall(SYS_io_uring_setup, 1, params));
}

int try_call_keyctl(void) {
        return errno_of(syscall(SYS_keyctl, 0, -3, 0));
}

int try_call_userfaultfd(void) {
        return errno_of(syscall(SYS_userfaultfd, 0));
}

int try_call_process_vm_readv(void) {
        return errno_of(process_vm_readv(1, NULL, 0, NULL, 0, 0));
}

int try_call_memfd_create(void) {
        return errno_of(syscall(SYS_memfd_create, "x", 0));
}

int try_call_personality(void) {
        return errno_of(personality(READ_IMPLIES_EXEC));
}

int try_call_ioctl(void) {
        return errno_of(ioctl(0, TIOCSTI, "x"));
}

int try_call_setuid(void) {
        return errno_of(syscall(SYS_setuid, 0));
}

int try_call_mmap_exec(void) {
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                               MAP_FAILED
                       ? -errno
                       : 0;
}

int try_call_mprotect_exec(void) {
        return errno_of(mprotect((void *)((uintptr_t)probe_fds & ~UINT64_C(4095)), 4096,
                                 PROT_READ | PROT_WRITE | PROT_EXEC));
}

int try_call_outlive_broker(void) {
        return errno_of(prctl(PR_SET_PDEATHSIG, 0));
}

int try_call_signal_owner(void) {
        return errno_of(fcntl(CHILD_FD_LOG, F_SETOWN, 1));
}

int try_call_foreign_arch(void) {
#ifdef __x86_64__
        int64_t r;

        /* The 32-bit entry: number 20 is getpid there, writev here. */
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
        return r < 0 ? (int)r : 0;
#else
        return -ENOSYS; /* a 64-bit program reaches no other entry */
#endif
}

int try_call_x32(void) {
        return errno_of(syscall(0x40000000 | SYS_getpid));
}

/* --- under the steady-state filter --- */

int try_call_fcntl_later(void) {
        return errno_of(fcntl(CHILD_FD_LOG, F_DUPFD, 0));
}

int try_call_epoll_ctl_later(void) {
        return errno_of(epoll_ctl(3, EPOLL_CTL_DEL, 4, NULL));
}

int try_call_bpf_update_later(void) {
        return call_bpf(BPF_MAP_UPDATE_ELEM);
}

int try_call_seccomp_later(void) {
        return errno_of(syscall(SYS_seccomp, 2, 0, NULL));
}

int try_call_prctl_later(void) {
        return errno_of(prctl(PR_SET_DUMPABLE, 1));
}
