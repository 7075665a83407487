/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One broker with its worker, started, confined and put into its cgroups before anybody asks: most
 * of the time that a gadget takes to start is spent on that. The next run takes it, with the id it
 * was made under. A new one is made when gadgetd has nothing else to do. It is no instance: nobody
 * can name it, and it has not seen a byte of any gadget.
 */
#pragma once

#include "base/error.h"
#include "base/loop.h"

struct supervisor;
struct broker;

struct spare {
        struct broker *broker; /* NULL = none */
        bool is_promised;      /* an instance bears its id, and takes it when it starts */
        bool is_lost;          /* is being cleared away */
        uint64_t backoff_ns;   /* before the next, while they do not live */
        struct loop_timer timer;
        struct loop_defer free_defer;
};

/* From now on there is to be one, unless the options forbid it. */
void spare_begin(struct supervisor *sup);
/* Ends it, and makes no other. supervisor_check_end() is called when it is gone. */
void spare_end(struct supervisor *sup);
void spare_done(struct supervisor *sup);

/* The id of the spare for an instance that is about to start; false: there is none to be had. */
bool spare_promise(struct supervisor *sup, char *ret_id);
/* The instance of this id ends: if it has not taken its spare, another may. */
void spare_forgo(struct supervisor *sup, const char *id);
/* The spare of this id, owned by the caller; NULL when it has been lost meanwhile. */
struct broker *spare_take(struct supervisor *sup, const char *id);

/* From broker-proc.c: it cannot go on; nothing of it is left. */
void spare_on_fault(struct supervisor *sup, const struct error *err);
void spare_on_gone(struct supervisor *sup);

/* 0 = none that could be taken now. */
pid_t spare_pid(const struct supervisor *sup);
