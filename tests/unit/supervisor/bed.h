/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real gadgetd with the fake broker, on a root of its own. Its teardown checks that nothing of
 * its instances is left: no process below it, no instance directory, no cgroup.
 */
#pragma once

#include "gadget/api.h"
#include "tests/lib/needs.h"
#include "tests/lib/peer.h"
#include "tests/lib/run.h"
#include "tests/lib/wait.h"

struct bed {
        char root[64];
        struct run *daemon;
        bool has_spare;
};

/* Also after a failed test, whose daemon's log it shows: the fixture of every test with a bed. */
#define BED_TEST(_test) cmocka_unit_test_setup_teardown(_test, NULL, bed_teardown)
int bed_teardown(void **state);

struct bed *bed_new(void); /* without a spare: what there is, a test asked for */
struct bed *bed_new_spare(bool has_spare);
/* Starts gadgetd on the same root again, after it has ended. */
void bed_restart(struct bed *bed);
/* SIGTERM unless it has ended; fails the test when it does not end well or leaves something behind.
 */
void bed_end(struct bed *bed);

/* Writes ROOT/path. */
void bed_put_file(const struct bed *bed, const char *path, const void *data, size_t n);

int bed_connect(const struct bed *bed);
struct peer *bed_peer(const struct bed *bed);

/* Reads one answer and forgets it; its id, and the code of its error ("" = none). */
uint32_t bed_answer(struct peer *peer, char ret_code[32]);

/* Waits for a notification of this name, forgetting what comes before; its params, valid until the
 * next call. */
struct bytes bed_notification(struct peer *peer, const char *name);

/* The number under this key of an encoded map; 0 when absent. */
uint64_t bed_number(struct bytes map, const char *key);

/* instance.run with "key", "value", ..., NULL. 0 and the id, or a negative errno and the error. */
struct bed_run {
        const char *name;
        const char *const *params;
        bool detach;
        uint64_t timeout_ns;
        uint64_t ring_size;
};
int bed_start(struct peer *peer, const struct bed_run *run, char *ret_id,
              struct rpc_error *ret_error);
#define PARAMS(...) ((const char *const[]){ __VA_ARGS__, NULL, NULL })

/* The same, for a run that must succeed; and the end of an instance that is there. */
#define BED_START(_peer, ...) bed_started(_peer, &(struct bed_run){ __VA_ARGS__ })
void bed_started(struct peer *peer, const struct bed_run *run);
void bed_stop(struct peer *peer, const char *instance);

/* instance.attach; asserts success. */
uint32_t bed_attach(struct peer *peer, const char *instance, uint64_t tail);

/* A number of instance.show; 0 when absent. */
uint64_t bed_show(struct peer *peer, const char *instance, const char *key);

/* A number of daemon.stats. */
uint64_t bed_stat(struct peer *peer, const char *key);

/* True when instance.list names it, with its state. */
bool bed_list(struct peer *peer, const char *name, char *ret_state, size_t n);

/* Instance directories and cgroups that exist below this gadgetd. */
unsigned int bed_remains(const struct bed *bed);
