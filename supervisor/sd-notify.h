/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's readiness protocol, spoken by hand: one datagram to $NOTIFY_SOCKET. */
#pragma once

/* "READY=1", "STOPPING=1"; does nothing when nobody asked to be told. */
void sd_notify_send(const char *state);
