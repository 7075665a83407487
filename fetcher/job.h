/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One GET or PUT that gadgetd asked for: the HTTP exchanges it takes, in order, and one RESULT at
 * the end. A blob is pushed as HEAD (is it there?), POST (mount or begin), PATCH per chunk
 * following each Location, PUT with the digest.
 */
#pragma once

#include "fetcher/request.h"
#include "ipc/channel.h"

#define JOBS_MAX 8
#define PUSH_CHUNK (5u << 20)
#define PROGRESS_STEP (256u << 10) /* bytes between two PROGRESS messages of a job */

struct job;

/* What the jobs of a process share. */
struct job_set {
        struct session *session;
        struct channel *channel;
        struct job *first;
        size_t n;
};

/* take_fd becomes the job's. A failure to begin is reported as RESULT as well; the return value is
 * only for a dead channel. */
int job_get(struct job_set *set, const struct msg_fetch_get *get, int take_fd);
int job_put(struct job_set *set, const struct msg_fetch_put *put, int take_fd);
void job_cancel(struct job_set *set, uint32_t id);
void job_set_done(struct job_set *set);
