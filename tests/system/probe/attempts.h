/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile worker may try, and what must come of it. probe.c runs in the worker's place and
 * makes one attempt; test-sandbox.c starts it for each and compares what the broker reports with
 * the text here ('|' separates what is equally good).
 *
 *   BARE     without the seccomp filter: what namespaces, ids, limits and the empty root stop by
 * themselves. The probe survives and reports the errno. FILTER   under the loading filter: the
 * kernel ends the probe, the broker names the call. STEADY   under the steady-state filter. REQUEST
 * a message to the broker: the broker ends the probe and names the request. INSPECT  the same, of a
 * gadget that is only inspected.
 */
#pragma once

/* clang-format off */
#define ATTEMPTS(X)                                                                                                      \
        /* the host's files */                                                                                           \
        X(open_host_file,        BARE,    "ENOENT")                                                                      \
        X(open_proc_mem,         BARE,    "ENOENT")                                                                      \
        X(open_above_root,       BARE,    "ENOENT")                                                                      \
        X(open_dev_mem,          BARE,    "ENOENT")                                                                      \
        X(create_file,           BARE,    "EROFS|EACCES")                                                                \
        X(make_directory,        BARE,    "EROFS|EACCES")                                                                \
        X(make_device,           BARE,    "EPERM|EROFS")                                                                 \
        X(remount_root,          BARE,    "EPERM")                                                                       \
        X(mount_tmpfs,           BARE,    "EPERM")                                                                       \
        X(mount_by_fs_context,   BARE,    "EPERM")                                                                       \
        X(unmount_root,          BARE,    "EPERM|EINVAL")                                                                \
        X(change_root,           BARE,    "EPERM")                                                                       \
        X(pivot_to_root,         BARE,    "EPERM")                                                                       \
        X(open_by_handle,        BARE,    "EPERM|EBADF|EINVAL")                                                          \
        X(execute_shell,         BARE,    "ENOENT")                                                                      \
        /* other processes */                                                                                            \
        X(signal_everybody,      BARE,    "ESRCH")                                                                       \
        X(signal_broker,         BARE,    "ESRCH")                                                                       \
        X(trace_broker,          BARE,    "ESRCH|EPERM")                                                                 \
        X(read_broker_memory,    BARE,    "ESRCH|EPERM")                                                                 \
        X(open_broker_pidfd,     BARE,    "ESRCH")                                                                       \
        X(fork_once,             BARE,    "EAGAIN")                                                                      \
        X(fork_bomb,             BARE,    "EAGAIN")                                                                      \
        X(memory_bomb,           BARE,    "reached its memory limit|ENOMEM")                                                \
        X(file_bomb,             BARE,    "EMFILE")                                                                      \
        /* privileges */                                                                                                 \
        X(become_root,           BARE,    "EINVAL|EPERM")                                                                \
        X(become_neighbour,      BARE,    "EINVAL|EPERM")                                                                \
        X(raise_capabilities,    BARE,    "EPERM")                                                                       \
        X(set_groups,            BARE,    "EPERM")                                                                       \
        X(raise_limits,          BARE,    "EPERM")                                                                       \
        X(set_host_name,         BARE,    "EPERM")                                                                       \
        X(set_clock,             BARE,    "EPERM")                                                                       \
        X(load_module,           BARE,    "EPERM|ENOSYS")                                                                \
        X(reboot_machine,        BARE,    "EPERM|EINVAL")                                                                \
        X(use_io_ports,          BARE,    "EPERM|ENOSYS")                                                                \
        X(read_kernel_log,       BARE,    "EPERM")                                                                       \
        /* the network, and IPC of the host */                                                                           \
        X(connect_abstract,      BARE,    "ECONNREFUSED")                                                                \
        X(connect_inet,          BARE,    "ENETUNREACH")                                                                 \
        X(open_packet_socket,    BARE,    "EPERM")                                                                       \
        X(open_shared_memory,    BARE,    "ENOENT")                                                                      \
        /* what it was handed */                                                                                         \
        X(shrink_ring,           BARE,    "EPERM")                                                                       \
        X(grow_ring,             BARE,    "EPERM|EFBIG")                                                                 \
        X(unseal_ring,           BARE,    "EPERM")                                                                       \
        X(write_object,          BARE,    "EPERM|EFBIG")                                                                 \
        X(map_object_writable,   BARE,    "EPERM|EACCES")                                                                \
        X(write_with_no_space,   BARE,    "killed by SIGXFSZ|EFBIG")                                                     \
        /* system calls that no worker makes */                                                                          \
        X(call_openat,           FILTER,  "system call openat ")                                                         \
        X(call_openat2,          FILTER,  "system call openat2 ")                                                        \
        X(call_socket,           FILTER,  "system call socket ")                                                         \
        X(call_ptrace,           FILTER,  "system call ptrace ")                                                         \
        X(call_kill,             FILTER,  "system call kill ")                                                           \
        X(call_setns,            FILTER,  "system call setns ")                                                          \
        X(call_unshare,          FILTER,  "system call unshare ")                                                        \
        X(call_mount,            FILTER,  "system call mount ")                                                          \
        X(call_clone,            FILTER,  "system call clone ")                                                          \
        X(call_clone3,           FILTER,  "system call clone3 ")                                                         \
        X(call_execve,           FILTER,  "system call execve ")                                                         \
        X(call_execveat,         FILTER,  "system call execveat ")                                                       \
        X(call_bpf_prog_load,    FILTER,  "system call bpf ")                                                            \
        X(call_bpf_map_create,   FILTER,  "system call bpf ")                                                            \
        X(call_bpf_fd_by_id,     FILTER,  "system call bpf ")                                                            \
        X(call_perf_event_open,  FILTER,  "system call perf_event_open ")                                                \
        X(call_io_uring,         FILTER,  "system call io_uring_setup ")                                                 \
        X(call_keyctl,           FILTER,  "system call keyctl ")                                                         \
        X(call_userfaultfd,      FILTER,  "system call userfaultfd ")                                                    \
        X(call_process_vm_readv, FILTER,  "system call process_vm_readv ")                                               \
        X(call_memfd_create,     FILTER,  "system call memfd_create ")                                                   \
        X(call_personality,      FILTER,  "system call personality ")                                                    \
        X(call_ioctl,            FILTER,  "system call ioctl ")                                                          \
        X(call_setuid,           FILTER,  "system call setuid ")                                                         \
        X(call_mmap_exec,        FILTER,  "system call mmap ")                                                           \
        X(call_mprotect_exec,    FILTER,  "system call mprotect ")                                                       \
        X(call_outlive_broker, FILTER, "system call prctl ") \
        X(call_signal_owner, FILTER, "system call fcntl ") \
        X(call_foreign_arch,     FILTER,  "another architecture|SIGSEGV|ENOSYS")                                               \
        X(call_x32,              FILTER,  "SIGSYS")                                                                      \
        X(call_fcntl_later,      STEADY,  "system call fcntl ")                                                          \
        X(call_epoll_ctl_later,  STEADY,  "system call epoll_ctl ")                                                      \
        X(call_bpf_update_later, STEADY,  "system call bpf ")                                                            \
        X(call_seccomp_later,    STEADY,  "system call seccomp ")                                                        \
        X(call_prctl_later,      STEADY,  "system call prctl ")                                                          \
        /* frames */                                                                                                     \
        X(send_short_frame,      REQUEST, "which is no request")                                                         \
        X(send_empty_frame,      REQUEST, "which is no request")                                                         \
        X(send_unknown_type,     REQUEST, "unknown type 777")                                                            \
        X(send_type_none,        REQUEST, "unknown type 0")                                                              \
        X(send_broker_type,      REQUEST, "unknown type")                                                                \
        X(send_reserved_bits,    REQUEST, "'map create' sets reserved bits")                                             \
        X(send_replay,           REQUEST, "'tracepoint id' has number 1 where 2 is due")                                 \
        X(send_future_number,    REQUEST, "has number 9 where 1 is due")                                                 \
        X(send_short_struct,     REQUEST, "'map create' is too short")                                                   \
        X(send_huge_total,       REQUEST, "are the most")                                                                \
        X(send_huge_schema,      REQUEST, "'ready' announces")                                                           \
        X(send_wrong_offset,     REQUEST, "begins in its middle")                                                        \
        X(send_short_chunk,      REQUEST, "has a chunk of 10 bytes where 65536 are due")                                 \
        X(send_long_chunk,       REQUEST, "has a chunk of")                                                              \
        X(send_interrupted,      REQUEST, "'BTF load' is interrupted by another")                                        \
        X(send_gap,              REQUEST, "does not follow the one before")                                              \
        X(send_fd,               REQUEST, "tried to pass file descriptors")                                              \
        X(send_done_early,       REQUEST, "'done' is not allowed while loading")                                         \
        X(send_load_late,        REQUEST, "'program load' is not allowed once the gadget runs")                          \
        X(send_attach_late,      REQUEST, "'link create' is not allowed once the gadget runs")                           \
        X(send_map_create_late,  REQUEST, "'map create' is not allowed once the gadget runs")                            \
        X(send_batch_late,       REQUEST, "would write map 'probe' once the gadget runs")                                \
        X(send_ready_twice,      REQUEST, "'ready' is not allowed once the gadget runs")                                 \
        /* handles */                                                                                                    \
        X(use_forged_handle,     REQUEST, "named object 77 where a map is due, but there is none")                       \
        X(use_closed_handle,     REQUEST, "but there is none")                                                           \
        X(use_bad_handle,        REQUEST, "named object 4294967295")                                                     \
        X(use_map_as_program,    REQUEST, "which is a map, where a program is due")                                      \
        X(use_map_as_link,       REQUEST, "which is a map, where a link is due")                                         \
        X(use_btf_as_map,        REQUEST, "which is BTF, where a map is due")                                            \
        X(use_map_in_btf_slot,   REQUEST, "which is a map, where BTF is due")                                            \
        X(close_unknown,         REQUEST, "'close' names object 5, which does not exist")                                \
        X(info_of_nothing,       REQUEST, "'object info' names object 3, which is nothing")                              \
        X(info_too_long,         REQUEST, "'object info' wants 4096 bytes")                                              \
        /* bpf commands */                                                                                               \
        X(ask_map_by_id,         REQUEST, "BPF_MAP_GET_FD_BY_ID")                                                        \
        X(ask_prog_by_id,        REQUEST, "BPF_PROG_GET_FD_BY_ID")                                                       \
        X(ask_next_id,           REQUEST, "BPF_PROG_GET_NEXT_ID")                                                        \
        X(ask_pinned_object,     REQUEST, "BPF_OBJ_GET")                                                                 \
        X(ask_pin,               REQUEST, "BPF_OBJ_PIN")                                                                 \
        X(ask_test_run,          REQUEST, "BPF_PROG_TEST_RUN")                                                           \
        X(ask_enable_stats,      REQUEST, "BPF_ENABLE_STATS")                                                            \
        X(ask_unknown_command,   REQUEST, "an unknown operation (bpf command 99)")                                       \
        /* maps */                                                                                                       \
        X(map_of_other_type,     REQUEST, "is of type devmap")                                                           \
        X(map_of_no_type,        REQUEST, "is of type unknown (9999)")                                                   \
        X(map_too_large,         REQUEST, "bytes of kernel memory")                                                      \
        X(map_name_without_end,  REQUEST, "has a name without an end")                                                   \
        X(map_flood,             REQUEST, "1024 programs, maps, links and events|bytes of kernel memory")                \
        X(map_short_key,         REQUEST, "on map 'probe' brings 2 bytes where 4 are due")                               \
        X(map_long_value,        REQUEST, "on map 'probe' brings 4096 bytes where 12 are due")                           \
        X(map_batch_overflow,    REQUEST, "is for 4294967295 elements")                                                  \
        X(filter_map_update,     REQUEST, "tried to write 'gadget_mntns_filter_map'")                                    \
        X(filter_map_delete,     REQUEST, "tried to delete from 'gadget_mntns_filter_map'")                              \
        X(filter_map_batch,      REQUEST, "tried to write 'gadget_mntns_filter_map'")                                    \
        X(filter_map_freeze,     REQUEST, "tried to freeze 'gadget_mntns_filter_map'")                                   \
        X(filter_map_fd,         REQUEST, "tried to get a writable fd of 'gadget_mntns_filter_map'")                     \
        X(prog_array_of_maps,    REQUEST, "which is a map, where a program is due")                                      \
        /* programs */                                                                                                   \
        X(load_denied_helper,    REQUEST, "bpf_probe_write_user")                                                        \
        X(load_send_signal,      REQUEST, "bpf_send_signal")                                                             \
        X(load_lsm,              REQUEST, "--allow-unsafe")                                                              \
        X(load_modify_return,    REQUEST, "--allow-unsafe")                                                              \
        X(load_syscall_type,     REQUEST, "which gadgets are not given")                                                 \
        X(load_struct_ops,       REQUEST, "which gadgets are not given")                                                 \
        X(load_unknown_type,     REQUEST, "which gadgets are not given")                                                 \
        X(load_wrong_sum,        REQUEST, "its parts do not add up")                                                     \
        X(load_overflowing_sum,  REQUEST, "its parts do not add up")                                                     \
        X(load_without_insns,    REQUEST, "it has no instructions")                                                      \
        X(load_too_many_insns,   REQUEST, "1000000 are the most")                                                        \
        X(load_license_no_end,   REQUEST, "its license has no end")                                                      \
        X(load_half_instruction, REQUEST, "its last instruction is incomplete")                                          \
        X(load_by_fd_array,      REQUEST, "refers to something by an unknown way")                                       \
        X(load_forged_map,       REQUEST, "named object 40 where a map is due")                                          \
        X(load_program_as_map,   REQUEST, "which is a program, where a map is due")                                      \
        X(btf_wrong_size,        REQUEST, "'BTF load' is malformed")                                                     \
        /* attaching, perf events */                                                                                     \
        X(attach_xdp,            REQUEST, "wants to be attached in a way")                                               \
        X(attach_unsafe,         REQUEST, "which can decide over what the host does")                                    \
        X(attach_to_map,         REQUEST, "which is a map, where a perf event is due")                                   \
        X(raw_tp_with_slash,     REQUEST, "whose name is none")                                                          \
        X(tracepoint_dots,       REQUEST, "does not name a CATEGORY/NAME")                                               \
        X(tracepoint_deep,       REQUEST, "does not name a CATEGORY/NAME")                                               \
        X(tracepoint_with_nul,   REQUEST, "does not name a CATEGORY/NAME")                                               \
        X(load_tc,                REQUEST, "--allow-unsafe")                                                             \
        X(load_writable,          REQUEST, "--allow-unsafe")                                                             \
        X(load_sk_reuseport,      REQUEST, "which gadgets are not given")                                                \
        X(map_of_sockets,         REQUEST, "--allow-unsafe")                                                             \
        X(attach_asking_program,  REQUEST, "--allow-unsafe")                                                             \
        X(attach_to_no_place,     REQUEST, "has no place of type 2 on the host")                                         \
        X(attach_interface_path,  REQUEST, "an interface whose name is none")                                            \
        X(uprobe_into_secret,     REQUEST, "for a file that was never asked for")                                         \
        X(target_without_name,    REQUEST, "does not name a file")                                                       \
        X(perf_unasked_id,       REQUEST, "whose id was never asked for")                                                \
        X(perf_of_process,       REQUEST, "is not for one CPU of the host")                                              \
        X(perf_of_no_cpu,        REQUEST, "is not for one CPU of the host")                                              \
        X(perf_too_often,        REQUEST, "would sample too often")                                                      \
        X(perf_breakpoint,       REQUEST, "wants a perf event of type 5")                                                \
        X(perf_unknown_op,       REQUEST, "'perf event control' is malformed")                                           \
        X(pmu_unknown,           REQUEST, "'event source' is malformed")                                                 \
        X(hook_when_running,     REQUEST, "names a hook although")                                                       \
        X(attach_when_inspected, INSPECT, "while the gadget is only inspected")                                          \
        /* its own reports */                                                                                            \
        X(fault_malformed,       REQUEST, "'fault' is malformed")                                                        \
        X(fault_with_escapes,    REQUEST, "\\x1b[31mred")                                                                \
        X(exit_silently,         REQUEST, "exited with status 42")                                                       \
        X(crash,                 REQUEST, "killed by SIGILL|SIGTRAP")                                                      \
        X(log_garbage, REQUEST, "exited with status 3") \
        X(log_flood,             REQUEST, "exited with status 7")
/* clang-format on */

enum attempt_stage { BARE, FILTER, STEADY, REQUEST, INSPECT };
