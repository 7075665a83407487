/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/message.h"

#include "gadget/api.h"

#define REQUIRED FIELD_REQUIRED
#define ID_LEN 64

/* clang-format off */
static const struct field start_fields[] = {
        F_STR(struct msg_start, id, REQUIRED, ID_LEN, "Instance id, 64 hex digits."),
        F_STR(struct msg_start, image, 0, LIMIT_IMAGE_REF_MAX, "Image reference, for messages only."),
        F_ANY(struct msg_start, params, 0, LIMIT_FRAME_MAX / 2, "Parameters of the run, a map str to str."),
        F_U32(struct msg_start, worker_uid, 0, UINT32_MAX - 1, "Host uid and gid of the worker; 0 = the one of the instance's slot."),
        F_BOOL(struct msg_start, inspect, 0, "Load, report and exit: nothing is attached."),
        F_BOOL(struct msg_start, allow_unsafe, 0, "Grant the helpers of the denied list."),
        F_BOOL(struct msg_start, is_host_wide, 0, "Do not filter by container."),
        F_STR(struct msg_start, kernel_btf, 0, 4096, "BTF file used in place of the running kernel's."),
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

const struct message_info message_types[_MSG_MAX] = {
        [MSG_NONE]    = { RECORD_EMPTY("none"), 0, 0 },
        [MSG_START]   = { RECORD("start", struct msg_start, start_fields), START_FDS_MIN, START_FDS_MAX },
        [MSG_STOP]    = { RECORD("stop", struct msg_stop, stop_fields), 0, 0 },
        [MSG_STARTED] = { RECORD("started", struct msg_started, started_fields), 0, 0 },
        [MSG_READY]   = { RECORD("ready", struct msg_ready, ready_fields), 0, 0 },
        [MSG_FAULT]   = { RECORD("fault", struct msg_fault, fault_fields), 0, 0 },
        [MSG_STOPPED] = { RECORD("stopped", struct msg_stopped, stopped_fields), 0, 0 },
};
/* clang-format on */
