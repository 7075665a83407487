/* SPDX-License-Identifier: Apache-2.0 */
/* What the probe's files share: one function an attempt, and the broker's protocol by hand. */
#pragma once

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "gadget/broker.h"
#include "tests/system/probe/attempts.h"

/* Things of the host that test-sandbox.c makes for the probe to find. */
#define PROBE_ABSTRACT_NAME "gadgetd-sandbox-probe"
#define PROBE_SHM_KEY 0x67646770
#define PROBE_INET_PORT 17112 /* below the ephemeral ones */

/* The fds that came with START. */
extern int probe_fds[4];

#define ATTEMPT_FUNC(_name, _stage, _expect) int try_##_name(void);
ATTEMPTS(ATTEMPT_FUNC)
#undef ATTEMPT_FUNC

/* An attempt's result: 0 = it succeeded, which it must not, else -errno. */
static inline int errno_of(int64_t r) {
        return r < 0 ? -errno : 0;
}

/* --- wire.c --- */

/* One datagram as it is. */
void wire_send(const void *data, size_t len);
/* One chunk with this frame. */
void wire_chunk(uint32_t type, uint32_t seq, uint32_t total, uint32_t offset, const void *data,
                size_t len);
/* A request as it should be; waits for the reply: its result. */
int wire_call(uint32_t type, const void *body, size_t body_len, const void *payload,
              size_t payload_len);
uint32_t wire_handle(void); /* of the last reply */
/* Sends without waiting. */
void wire_tell(uint32_t type, const void *body, size_t body_len, const void *payload,
               size_t payload_len);
/* Waits for HELLO and START; the image's name. */
const char *wire_start(void);
/* The next number that is due. */
uint32_t wire_seq(void);
/* After a bad message: waits for the end, or for an answer that must not come: its result. */
int wire_await(void);
