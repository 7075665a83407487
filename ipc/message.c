/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/message.h"

#include "gadget/api.h"

#define REQUIRED FIELD_REQUIRED
#define ID_LEN 64

/* clang-format off */
static const struct field prepare_fields[] = {
        F_STR(struct msg_prepare, id, REQUIRED, ID_LEN, "Instance id, 64 hex digits."),
        F_U32(struct msg_prepare, worker_uid, REQUIRED, UINT32_MAX - 1, "Host uid and gid of the worker, never 0."),
        F_STR(struct msg_prepare, kernel_btf, 0, 4096, "BTF file used in place of the running kernel's."),
};

static const struct field start_fields[] = {
        F_STR(struct msg_start, image, 0, LIMIT_IMAGE_REF_MAX, "Image reference, for messages only."),
        F_STR(struct msg_start, definition_name, 0, LIMIT_IMAGE_REF_MAX, "What messages call the definition."),
        F_ANY(struct msg_start, params, 0, LIMIT_FRAME_MAX / 2, "Parameters of the run, a map str to str."),
        F_BOOL(struct msg_start, inspect, 0, "Load, report and exit: nothing is attached."),
        F_BOOL(struct msg_start, allow_unsafe, 0, "Grant the helpers of the denied list."),
        F_BOOL(struct msg_start, is_host_wide, 0, "Do not filter by container."),
        F_BOOL(struct msg_start, offers_map, 0, "The gadget fills the map that others read."),
};

static const struct field stop_fields[] = {
        F_BOOL(struct msg_stop, kill, 0, "Do not drain the kernel's buffers first."),
};

static const struct field started_fields[] = {
        F_U32(struct msg_started, worker_pid, REQUIRED, INT32_MAX, "Pid of the worker in the host's pid namespace."),
};

static const struct field ready_fields[] = {
        F_BIN(struct msg_ready, schema, REQUIRED, LIMIT_SCHEMA_SIZE_MAX, "Encoded schema of the gadget's rows, passed on unread."),
        F_ANY(struct msg_ready, permissions, 0, LIMIT_FRAME_MAX / 2, "What the gadget's programs may do, as the broker saw it."),
        F_STR(struct msg_ready, note, 0, 255, "What it will not see, because of where gadgetd runs; absent = nothing."),
};

static const struct field fault_fields[] = {
        F_STR(struct msg_fault, code, REQUIRED, 32, "Stable name of the error's class."),
        F_STR(struct msg_fault, message, REQUIRED, 1024, "One line for the user: what failed and where."),
        F_STR(struct msg_fault, detail, 0, LIMIT_ERROR_DETAIL_MAX, "More lines, such as the end of a verifier log."),
};

static const struct field stopped_fields[] = {
        F_U32(struct msg_stopped, worker_status, 0, UINT32_MAX, "Wait status of the worker."),
        F_BOOL(struct msg_stopped, is_clean, 0, "The worker drained everything and said so."),
};

static const struct field fetch_open_fields[] = {
        F_STR(struct msg_fetch_open, host, REQUIRED, 255, "Registry as HOST[:PORT]."),
        F_STR(struct msg_fetch_open, repository, REQUIRED, 255, "Repository inside the registry."),
        F_STR(struct msg_fetch_open, username, 0, 255, "User, absent for anonymous access."),
        F_STR(struct msg_fetch_open, password, 0, 4096, "Password or access token."),
        F_STR(struct msg_fetch_open, identity_token, 0, 8192, "OAuth2 refresh token in place of a password."),
        F_STR(struct msg_fetch_open, proxy, 0, 1024, "URL of the proxy."),
        F_STR(struct msg_fetch_open, no_proxy, 0, 4096, "Hosts reached without the proxy, separated by commas."),
        F_BIN(struct msg_fetch_open, client_cert, 0, 64 << 10, "Client certificate, PEM."),
        F_BIN(struct msg_fetch_open, client_key, 0, 64 << 10, "Key of the client certificate, PEM."),
        F_BOOL(struct msg_fetch_open, is_plain_http, 0, "Speak http instead of https."),
        F_BOOL(struct msg_fetch_open, is_insecure, 0, "Do not verify the registry's certificate."),
        F_BOOL(struct msg_fetch_open, is_push, 0, "Ask for the right to push as well."),
};

static const struct field fetch_get_fields[] = {
        F_U32(struct msg_fetch_get, job, REQUIRED, UINT32_MAX, "Number of this transfer."),
        F_U32(struct msg_fetch_get, kind, 0, _FETCH_KIND_MAX - 1, "Manifest, blob or referrers."),
        F_STR(struct msg_fetch_get, reference, REQUIRED, 160, "Tag or digest."),
        F_U64(struct msg_fetch_get, offset, 0, INT64_MAX, "Bytes already in the fd."),
        F_U64(struct msg_fetch_get, max, REQUIRED, INT64_MAX, "Most bytes accepted."),
};

static const struct field fetch_put_fields[] = {
        F_U32(struct msg_fetch_put, job, REQUIRED, UINT32_MAX, "Number of this transfer."),
        F_U32(struct msg_fetch_put, kind, 0, _FETCH_KIND_MAX - 1, "Manifest or blob."),
        F_STR(struct msg_fetch_put, reference, REQUIRED, 160, "Tag or digest."),
        F_STR(struct msg_fetch_put, media_type, 0, 127, "Content-Type of a manifest."),
        F_STR(struct msg_fetch_put, mount_from, 0, 255, "Repository to mount the blob from."),
        F_U64(struct msg_fetch_put, size, 0, INT64_MAX, "Bytes to send."),
};

static const struct field fetch_cancel_fields[] = {
        F_U32(struct msg_fetch_cancel, job, REQUIRED, UINT32_MAX, "Number of the transfer."),
};

static const struct field fetch_progress_fields[] = {
        F_U32(struct msg_fetch_progress, job, REQUIRED, UINT32_MAX, "Number of the transfer."),
        F_U64(struct msg_fetch_progress, bytes, 0, INT64_MAX, "Bytes so far."),
};

static const struct field fetch_result_fields[] = {
        F_U32(struct msg_fetch_result, job, REQUIRED, UINT32_MAX, "Number of the transfer."),
        F_STR(struct msg_fetch_result, code, 0, 32, "Stable name of the error's class; absent when it worked."),
        F_STR(struct msg_fetch_result, message, 0, 1024, "What failed."),
        F_U32(struct msg_fetch_result, status, 0, 999, "Last HTTP status."),
        F_U64(struct msg_fetch_result, bytes, 0, INT64_MAX, "Bytes in the fd, or sent."),
        F_STR(struct msg_fetch_result, media_type, 0, 127, "Content-Type of a manifest."),
        F_STR(struct msg_fetch_result, digest, 0, 160, "Digest that the registry claims."),
        F_STR(struct msg_fetch_result, warning, 0, 256, "A Warning header's text."),
        F_BOOL(struct msg_fetch_result, was_present, 0, "The registry had the blob already."),
        F_BOOL(struct msg_fetch_result, spoke_tls, 0, "The registry speaks TLS."),
};

static const struct field watch_ready_fields[] = {
        F_U64(struct msg_watch_ready, mntns, REQUIRED, UINT32_MAX, "Mount namespace of the host."),
        F_U64(struct msg_watch_ready, netns, REQUIRED, UINT32_MAX, "Network namespace of the host."),
};

static const struct field container_added_fields[] = {
        F_U32(struct msg_container_added, serial, 0, UINT32_MAX, "A process is held until this number comes back."),
        F_U64(struct msg_container_added, mntns, REQUIRED, UINT32_MAX, "Inode of its mount namespace."),
        F_U64(struct msg_container_added, netns, 0, UINT32_MAX, "Inode of its network namespace."),
        F_U32(struct msg_container_added, pid, REQUIRED, INT32_MAX, "Its first process, in the host's pid namespace."),
        F_U64(struct msg_container_added, started_ns, 0, UINT64_MAX, "When that process began, in nanoseconds since the epoch."),
        F_U64(struct msg_container_added, cgroup_id, 0, UINT64_MAX, "Inode of its cgroup2 directory."),
        F_BOOL(struct msg_container_added, host_network, 0, "Its network is the host's."),
        F_STR(struct msg_container_added, cgroup, 0, 4096, "Path of its cgroup."),
        F_STR(struct msg_container_added, id, 0, LIMIT_CONTAINER_TEXT_MAX, "Id that the runtime gave it."),
        F_STR(struct msg_container_added, name, 0, LIMIT_CONTAINER_TEXT_MAX, "Name, or the id where there is no other."),
        F_STR(struct msg_container_added, runtime, 0, LIMIT_CONTAINER_TEXT_MAX, "Runtime: runc, crun, docker, containerd, podman, cri-o; absent = not known."),
        F_STR(struct msg_container_added, image, 0, LIMIT_CONTAINER_TEXT_MAX, "Name of its image."),
        F_STR(struct msg_container_added, digest, 0, LIMIT_CONTAINER_TEXT_MAX, "Digest of its image."),
        F_STR(struct msg_container_added, k8s_namespace, 0, LIMIT_CONTAINER_TEXT_MAX, "Kubernetes namespace."),
        F_STR(struct msg_container_added, k8s_pod, 0, LIMIT_CONTAINER_TEXT_MAX, "Kubernetes pod."),
        F_STR(struct msg_container_added, k8s_container, 0, LIMIT_CONTAINER_TEXT_MAX, "Name of the container in its pod."),
        F_STR(struct msg_container_added, k8s_labels, 0, LIMIT_CONTAINER_LABELS_MAX, "Labels of its pod, as a=b,c=d."),
        F_STR(struct msg_container_added, k8s_sandbox, 0, LIMIT_CONTAINER_TEXT_MAX, "Id of its pod's sandbox."),
        F_STR(struct msg_container_added, containerd_namespace, 0, LIMIT_CONTAINER_TEXT_MAX, "Namespace that containerd has it in."),
        F_BOOL(struct msg_container_added, has_netns_fd, 0, "The first fd is its network namespace."),
        F_BOOL(struct msg_container_added, has_root_fd, 0, "The last fd is its root directory."),
};

static const struct field container_removed_fields[] = {
        F_U64(struct msg_container_removed, mntns, REQUIRED, UINT32_MAX, "Inode of its mount namespace."),
};

static const struct field watch_full_fields[] = {
        F_BOOL(struct msg_watch_full, is_full, 0, "There are containers that are not listed for want of room."),
};

static const struct field watch_gate_fields[] = {
        F_BOOL(struct msg_watch_gate, hold, 0, "Hold the first exec of a new container until it is known."),
};

static const struct field watch_pass_fields[] = {
        F_U32(struct msg_watch_pass, serial, REQUIRED, UINT32_MAX, "Number of the message that is done with."),
};

static const struct field container_set_fields[] = {
        F_U32(struct msg_container_set, serial, 0, UINT32_MAX, "Number to answer with; absent = no answer."),
        F_U64(struct msg_container_set, mntns, REQUIRED, UINT32_MAX, "Inode of its mount namespace."),
        F_U64(struct msg_container_set, netns, 0, UINT32_MAX, "Inode of its network namespace, unless that is the host's."),
        F_U32(struct msg_container_set, pid, 0, INT32_MAX, "Its first process."),
        F_U64(struct msg_container_set, started_ns, 0, UINT64_MAX, "When that process began."),
        F_BOOL(struct msg_container_set, has_ended, 0, "It has ended: the filter forgets it, its name stays for late events."),
        F_BOOL(struct msg_container_set, is_gone, 0, "It has ended a while ago: its name is forgotten as well."),
        F_STR(struct msg_container_set, id, 0, LIMIT_CONTAINER_TEXT_MAX, "Id that the runtime gave it."),
        F_STR(struct msg_container_set, name, 0, LIMIT_CONTAINER_TEXT_MAX, "Name, or the id where there is no other."),
        F_STR(struct msg_container_set, runtime, 0, LIMIT_CONTAINER_TEXT_MAX, "Runtime: runc, crun, docker, containerd, podman, cri-o; absent = not known."),
        F_STR(struct msg_container_set, image, 0, LIMIT_CONTAINER_TEXT_MAX, "Name of its image."),
        F_STR(struct msg_container_set, digest, 0, LIMIT_CONTAINER_TEXT_MAX, "Digest of its image."),
        F_STR(struct msg_container_set, k8s_namespace, 0, LIMIT_CONTAINER_TEXT_MAX, "Kubernetes namespace."),
        F_STR(struct msg_container_set, k8s_pod, 0, LIMIT_CONTAINER_TEXT_MAX, "Kubernetes pod."),
        F_STR(struct msg_container_set, k8s_container, 0, LIMIT_CONTAINER_TEXT_MAX, "Name of the container in its pod."),
        F_STR(struct msg_container_set, k8s_labels, 0, LIMIT_CONTAINER_LABELS_MAX, "Labels of its pod, as a=b,c=d."),
        F_STR(struct msg_container_set, k8s_node, 0, LIMIT_CONTAINER_TEXT_MAX, "Kubernetes node, this host."),
        F_BOOL(struct msg_container_set, host_network, 0, "Its network is the host's."),
        F_BOOL(struct msg_container_set, has_netns_fd, 0, "The first fd is its network namespace."),
        F_BOOL(struct msg_container_set, has_root_fd, 0, "The last fd is its root directory."),
};

static const struct field container_done_fields[] = {
        F_U32(struct msg_container_done, serial, REQUIRED, UINT32_MAX, "Number of the message that is done with."),
};

static const struct field container_want_fields[] = {
        F_BOOL(struct msg_container_want, netns, 0, "Network namespaces of containers are entered."),
        F_BOOL(struct msg_container_want, roots, 0, "Files of containers are looked up."),
};

static const struct field shared_map_want_fields[] = {
        F_BOOL(struct msg_shared_map_want, with_paths, 0, "Of the values with the optional fields."),
};

static const struct field shared_map_fields[] = {
        F_STR(struct msg_shared_map, message, 0, 1024, "Why there is no map."),
};

static const struct field ask_fields[] = {
        F_U32(struct msg_ask, job, REQUIRED, UINT32_MAX, "Number of the question."),
        F_U32(struct msg_ask, api, 0, _API_MAX - 1, "Which runtime's API."),
        F_STR(struct msg_ask, id, REQUIRED, LIMIT_CONTAINER_TEXT_MAX, "Id of the container."),
        F_STR(struct msg_ask, sandbox, 0, LIMIT_CONTAINER_TEXT_MAX, "Id of its pod's sandbox."),
        F_STR(struct msg_ask, namespace, 0, LIMIT_CONTAINER_TEXT_MAX, "Namespace that containerd has it in."),
};

static const struct field asked_fields[] = {
        F_U32(struct msg_asked, job, REQUIRED, UINT32_MAX, "Number of the question."),
        F_U32(struct msg_asked, failure, 0, 4095, "errno of what failed."),
        F_STR(struct msg_asked, name, 0, LIMIT_CONTAINER_TEXT_MAX, "Name of the container."),
        F_STR(struct msg_asked, image, 0, LIMIT_CONTAINER_TEXT_MAX, "Name of its image."),
        F_STR(struct msg_asked, digest, 0, LIMIT_CONTAINER_TEXT_MAX, "Digest of its image."),
        F_STR(struct msg_asked, k8s_namespace, 0, LIMIT_CONTAINER_TEXT_MAX, "Kubernetes namespace."),
        F_STR(struct msg_asked, k8s_pod, 0, LIMIT_CONTAINER_TEXT_MAX, "Kubernetes pod."),
        F_STR(struct msg_asked, k8s_container, 0, LIMIT_CONTAINER_TEXT_MAX, "Name of the container in its pod."),
        F_STR(struct msg_asked, k8s_labels, 0, LIMIT_CONTAINER_LABELS_MAX, "Labels of its pod, as a=b,c=d."),
};

const struct message_info message_types[_MSG_MAX] = {
        [MSG_NONE]    = { RECORD_EMPTY("none"), 0, 0 },
        [MSG_PREPARE] = { RECORD("prepare", struct msg_prepare, prepare_fields), PREPARE_FDS_MIN, PREPARE_FDS_MAX },
        [MSG_START]   = { RECORD("start", struct msg_start, start_fields), START_FDS, START_FDS },
        [MSG_STOP]    = { RECORD("stop", struct msg_stop, stop_fields), 0, 0 },
        [MSG_STARTED] = { RECORD("started", struct msg_started, started_fields), 0, 0 },
        [MSG_PREPARED] = { RECORD_EMPTY("prepared"), 0, 0 },
        [MSG_READY]   = { RECORD("ready", struct msg_ready, ready_fields), 0, 0 },
        [MSG_FAULT]   = { RECORD("fault", struct msg_fault, fault_fields), 0, 0 },
        [MSG_STOPPED] = { RECORD("stopped", struct msg_stopped, stopped_fields), 0, 0 },
        [MSG_FETCH_OPEN]     = { RECORD("fetch-open", struct msg_fetch_open, fetch_open_fields), 1, 1 },
        [MSG_FETCH_GET]      = { RECORD("fetch-get", struct msg_fetch_get, fetch_get_fields), 1, 1 },
        [MSG_FETCH_PUT]      = { RECORD("fetch-put", struct msg_fetch_put, fetch_put_fields), 1, 1 },
        [MSG_FETCH_CANCEL]   = { RECORD("fetch-cancel", struct msg_fetch_cancel, fetch_cancel_fields), 0, 0 },
        [MSG_FETCH_PROGRESS] = { RECORD("fetch-progress", struct msg_fetch_progress, fetch_progress_fields), 0, 0 },
        [MSG_FETCH_RESULT]   = { RECORD("fetch-result", struct msg_fetch_result, fetch_result_fields), 0, 0 },
        [MSG_WATCH_READY]       = { RECORD("watch-ready", struct msg_watch_ready, watch_ready_fields), 0, 0 },
        [MSG_CONTAINER_ADDED]   = { RECORD("container-added", struct msg_container_added, container_added_fields), 0, CONTAINER_FDS_MAX },
        [MSG_CONTAINER_REMOVED] = { RECORD("container-removed", struct msg_container_removed, container_removed_fields), 0, 0 },
        [MSG_WATCH_FULL]        = { RECORD("watch-full", struct msg_watch_full, watch_full_fields), 0, 0 },
        [MSG_WATCH_GATE]        = { RECORD("watch-gate", struct msg_watch_gate, watch_gate_fields), 0, 0 },
        [MSG_WATCH_PASS]        = { RECORD("watch-pass", struct msg_watch_pass, watch_pass_fields), 0, 0 },
        [MSG_CONTAINER_SET]     = { RECORD("container-set", struct msg_container_set, container_set_fields), 0, CONTAINER_FDS_MAX },
        [MSG_CONTAINER_DONE]    = { RECORD("container-done", struct msg_container_done, container_done_fields), 0, 0 },
        [MSG_CONTAINER_WANT]    = { RECORD("container-want", struct msg_container_want, container_want_fields), 0, 0 },
        [MSG_CONTAINER_ALL]     = { RECORD_EMPTY("container-all"), 0, 0 },
        [MSG_ASK]   = { RECORD("ask", struct msg_ask, ask_fields), ASK_FDS, ASK_FDS },
        [MSG_ASKED] = { RECORD("asked", struct msg_asked, asked_fields), 0, 0 },
        [MSG_SHARED_MAP_OFFER]  = { RECORD_EMPTY("shared-map-offer"), 1, 1 },
        [MSG_SHARED_MAP_WANT]   = { RECORD("shared-map-want", struct msg_shared_map_want, shared_map_want_fields), 0, 0 },
        [MSG_SHARED_MAP]        = { RECORD("shared-map", struct msg_shared_map, shared_map_fields), 0, 1 },
};
/* clang-format on */
