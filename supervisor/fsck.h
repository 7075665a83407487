/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One check of the local store: every blob is hashed and compared with its name, a slice a turn of
 * the loop, so that everybody else goes on meanwhile. What is damaged is moved to quarantine at
 * once. One check runs at a time; it ends with its client.
 */
#pragma once

#include "supervisor/client-routes.h"

struct fsck;
struct supervisor;

/* -EBUSY when one runs already. The call is answered at the end. */
int fsck_start(struct call *call, struct error *err);
struct fsck *fsck_free(struct fsck *fsck);
void fsck_on_client_gone(struct client *client);
void fsck_stop(struct supervisor *sup); /* for the end of gadgetd */
