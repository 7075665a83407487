/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/transfer-state.h"

#define NO _TRANSFER_STATE_MAX

/* clang-format off */
static const enum transfer_state table[_TRANSFER_STATE_MAX][_TRANSFER_EVENT_MAX] = {
        /*                       START             SWITCH              FAULT            COMPLETE         EXITED */
        [TRANSFER_IDLE]      = { TRANSFER_RUNNING, NO,                 TRANSFER_ENDING, TRANSFER_ENDING, NO },
        [TRANSFER_RUNNING]   = { NO,               TRANSFER_SWITCHING, TRANSFER_ENDING, TRANSFER_ENDING, NO },
        [TRANSFER_SWITCHING] = { NO,               NO,                 TRANSFER_ENDING, NO,              TRANSFER_RUNNING },
        [TRANSFER_ENDING]    = { NO,               NO,                 TRANSFER_ENDING, NO,              TRANSFER_OVER },
        [TRANSFER_OVER]      = { NO,               NO,                 NO,              NO,              NO },
};
/* clang-format on */

enum transfer_state transfer_state_next(enum transfer_state state, enum transfer_event event) {
        return table[state][event];
}

const char *transfer_state_name(enum transfer_state state) {
        static const char *const names[_TRANSFER_STATE_MAX] = {
                [TRANSFER_IDLE] = "idle",           [TRANSFER_RUNNING] = "running",
                [TRANSFER_SWITCHING] = "switching", [TRANSFER_ENDING] = "ending",
                [TRANSFER_OVER] = "over",
        };

        return state < _TRANSFER_STATE_MAX ? names[state] : "?";
}
