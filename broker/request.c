/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table: what a worker may ask, when, how much it may bring along, and who answers. A worker
 * that asks for anything else, or for this at another time, is ended.
 */
#include "broker/broker.h"

#define LOADING PHASE_LOADING
#define ANY (PHASE_LOADING | PHASE_RUNNING)
#define KEY_MAX (64u << 10)
#define TEXT_MAX 256u

/* clang-format off */
#define ROW(_type, _name, _phases, _body, _payload_max, _handler) \
        [_type] = { _name, _phases, _body, _payload_max, false, _handler }
#define ROW_NO_REPLY(_type, _name, _phases, _body, _payload_max, _handler) \
        [_type] = { _name, _phases, _body, _payload_max, true, _handler }

const struct request_info request_table[_BROKER_REQUEST_MAX] = {
        ROW(BROKER_MAP_CREATE,     "map create",       LOADING, sizeof(struct broker_map_create), 0, on_map_create),
        ROW(BROKER_MAP_LOOKUP,     "map lookup",       ANY,     sizeof(struct broker_map_elem), KEY_MAX, on_map_lookup),
        ROW(BROKER_MAP_LOOKUP_DELETE, "map lookup and delete", ANY, sizeof(struct broker_map_elem), KEY_MAX, on_map_lookup),
        ROW(BROKER_MAP_UPDATE,     "map update",       LOADING, sizeof(struct broker_map_elem), LIMIT_BROKER_PAYLOAD_MAX, on_map_update),
        ROW(BROKER_MAP_DELETE,     "map delete",       ANY,     sizeof(struct broker_map_elem), KEY_MAX, on_map_delete),
        ROW(BROKER_MAP_NEXT_KEY,   "map next key",     ANY,     sizeof(struct broker_map_elem), KEY_MAX, on_map_next_key),
        ROW(BROKER_MAP_BATCH,      "map batch",        ANY,     sizeof(struct broker_map_batch), LIMIT_BROKER_PAYLOAD_MAX, on_map_batch),
        ROW(BROKER_MAP_FREEZE,     "map freeze",       LOADING, sizeof(struct broker_pair), 0, on_map_freeze),
        ROW(BROKER_PROG_LOAD,      "program load",     LOADING, sizeof(struct broker_prog_load), LIMIT_BROKER_PAYLOAD_MAX, on_prog_load),
        ROW(BROKER_PROG_BIND_MAP,  "program bind map", LOADING, sizeof(struct broker_pair), 0, on_prog_bind_map),
        ROW(BROKER_BTF_LOAD,       "BTF load",         LOADING, sizeof(struct broker_btf_load), LIMIT_BROKER_PAYLOAD_MAX, on_btf_load),
        ROW(BROKER_OBJECT_INFO,    "object info",      ANY,     sizeof(struct broker_object_info), 0, on_object_info),
        ROW(BROKER_LINK_CREATE,    "link create",      LOADING, sizeof(struct broker_link_create), 0, on_link_create),
        ROW(BROKER_RAW_TRACEPOINT, "raw tracepoint",   LOADING, sizeof(struct broker_raw_tracepoint), TEXT_MAX, on_raw_tracepoint),
        ROW(BROKER_ATTACH,         "attach",           LOADING, sizeof(struct broker_attach), TEXT_MAX, on_attach),
        ROW(BROKER_ITER_CREATE,    "iterator create",  ANY,     sizeof(struct broker_pair), 0, on_iter_create),
        ROW(BROKER_BPF_OTHER,      "bpf",              ANY,     sizeof(struct broker_bpf_other), 0, on_bpf_other),
        ROW(BROKER_PERF_OPEN,      "perf event open",  LOADING, sizeof(struct broker_perf_open), TEXT_MAX, on_perf_open),
        ROW(BROKER_PERF_CONTROL,   "perf event control", LOADING, sizeof(struct broker_perf_control), 0, on_perf_control),
        ROW(BROKER_TRACEPOINT_ID,  "tracepoint id",    LOADING, 0, TEXT_MAX, on_tracepoint_id),
        ROW(BROKER_PMU,            "event source",     LOADING, sizeof(struct broker_pmu_request), 0, on_pmu),
        ROW(BROKER_TARGET,         "target",           ANY,     sizeof(struct broker_target), TEXT_MAX, on_target),
        ROW(BROKER_TARGET_NEXT,    "next target",      LOADING, sizeof(struct broker_target_next), 0, on_target_next),
        ROW(BROKER_UPROBE,         "uprobe",           ANY,     sizeof(struct broker_uprobe), 0, on_uprobe),
        ROW(BROKER_USDT_SPEC,      "usdt spec",        ANY,     sizeof(struct broker_map_elem), KEY_MAX, on_usdt_spec),
        ROW_NO_REPLY(BROKER_CLOSE, "close",            ANY,     sizeof(struct broker_pair), 0, on_close),
        ROW(BROKER_MAP_FD,         "map fd",           LOADING, sizeof(struct broker_map_fd), 0, on_map_fd),
        ROW(BROKER_ID_NAME,        "id name",          PHASE_RUNNING, sizeof(struct broker_id_name), 0, on_id_name),
        ROW(BROKER_KERNEL_SYMBOLS, "kernel symbols",   PHASE_RUNNING, 0, LIMIT_STACK_FRAMES_MAX * sizeof(uint64_t), on_kernel_symbols),
        ROW(BROKER_SHARED_WANT,    "shared map want",  LOADING, sizeof(struct broker_shared_want), 0, on_shared_want),
        ROW(BROKER_SHARED_MAP,     "shared map",       LOADING, 0, 0, on_shared_map),
        ROW(BROKER_PROCESS,        "process",          PHASE_RUNNING, sizeof(struct broker_pair), 0, on_process),
        ROW(BROKER_MAPPED_FILE,    "mapped file",      PHASE_RUNNING, sizeof(struct broker_mapped_file), 0, on_mapped_file),
        ROW(BROKER_HOOK,           "hook",             LOADING, 0, TEXT_MAX, on_hook),
        ROW(BROKER_READY,          "ready",            LOADING, 0, LIMIT_SCHEMA_SIZE_MAX, on_ready),
        ROW_NO_REPLY(BROKER_FAULT, "fault",            ANY,     sizeof(struct broker_fault), 1024 + LIMIT_ERROR_DETAIL_MAX, on_fault),
        ROW_NO_REPLY(BROKER_DONE,  "done",             PHASE_RUNNING, 0, 0, on_done),
};
/* clang-format on */

_Static_assert(sizeof(struct broker_frame) % 8 == 0 && sizeof(struct broker_prog_load) % 8 == 0 &&
                       sizeof(struct broker_map_batch) % 8 == 0,
               "payloads are aligned to 8");
