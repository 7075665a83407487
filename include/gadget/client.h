/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libgadget: run eBPF gadgets through gadgetd and read their rows. docs/LIBRARY.md has whole
 * programs.
 *
 *     struct gadget_client *c = gadget_client_new("my-program");
 *
 *     if (gadget_client_connect(c, NULL) < 0 || gadget_client_run_image(c, "trace_open", NULL, 0) <
 * 0) errx(1, "%s", gadget_client_error(c)); while (gadget_client_wait(c, -1) > 0) printf("%s\n",
 * gadget_client_get_text(c, "fname")); gadget_client_free(c);
 *
 * Results: 0 or a count, or a negative errno, of which gadget_client_error() tells what, where and
 * what to do. Ownership: a client owns everything that its functions return; gadget_client_free()
 * frees it. What belongs to a row (text, bytes) lives until the next call of gadget_client_next(),
 * wait(), stop() or free(). Threads: one client is used by one thread at a time; different clients
 * are independent. No signal handler is installed, and SIGPIPE is not raised. Units: times are
 * nanoseconds, of timestamps since the epoch; sizes are bytes; waits are milliseconds. A client has
 * one connection and at most one gadget. When gadgetd goes away the connection is over
 * (-ECONNRESET), unless gadget_client_set_patience() says how long to wait for another one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GADGET_CLIENT_API __attribute__((visibility("default")))

struct gadget_client;

/* A parameter of the gadget, as behind `gadgetctl run IMAGE --KEY VALUE`; "filter", "sort",
 * "max-entries", "interval", "count" and "keep" are done by gadgetd itself. */
struct gadget_client_param {
        const char *key;
        const char *value;
};

/* The name is for gadgetd's log; it is copied. NULL when there is no memory. */
GADGET_CLIENT_API struct gadget_client *gadget_client_new(const char *name);

/* Closes the connection, which stops a gadget that was run (one that was attached to runs on). NULL
 * is allowed. */
GADGET_CLIENT_API void gadget_client_free(struct gadget_client *client);

/* What went wrong last, one line; "" = nothing. Never NULL. */
GADGET_CLIENT_API const char *gadget_client_error(const struct gadget_client *client);

/* To the socket at `path`; NULL = $GADGETD_SOCKET or the usual one. -ENOENT, -ECONNREFUSED: no
 * gadgetd; -EACCES: not allowed; -EISCONN: it is connected. */
GADGET_CLIENT_API int gadget_client_connect(struct gadget_client *client, const char *path);

/* Starts a gadget and returns when its programs are attached. -EREMOTEIO: gadgetd refuses, or it
 * failed; -EBUSY: this client has a gadget. */
GADGET_CLIENT_API int gadget_client_run_image(struct gadget_client *client, const char *image,
                                              const struct gadget_client_param *params,
                                              size_t n_params);

/* The same for an eBPF object in memory with its gadget.yaml (n_definition 0 = none); neither is
 * kept. */
GADGET_CLIENT_API int gadget_client_run_object(struct gadget_client *client, const void *object,
                                               size_t n_object, const void *definition,
                                               size_t n_definition,
                                               const struct gadget_client_param *params,
                                               size_t n_params);

/* Follows an instance that runs already: name, id or unique start of the id. `tail` rows of the
 * past come first, as far as they are held. */
GADGET_CLIENT_API int gadget_client_attach(struct gadget_client *client, const char *instance,
                                           uint64_t tail);

/*
 * Before a gadget is run: of which containers it tells. `key` and `value` as the options of
 * `gadgetctl run`: "container", "container-id", "container-image", "container-digest", "runtimes",
 * "k8s-namespace", "k8s-podname", "k8s-containername", each a list like "a,b,!c", and "host" with
 * "true" or "false". Who chooses nothing gets everything, the host included; who chooses
 * containers gets these only. -EINVAL: there is no such key.
 */
GADGET_CLIENT_API int gadget_client_select(struct gadget_client *client, const char *key,
                                           const char *value);

/*
 * What happens when gadgetd ends or is restarted under a gadget that this client follows: for so
 * many milliseconds (negative: for ever; 0, as it is at first: not at all) next() and wait() go on
 * as if there were no rows, look for gadgetd again, and then begin again what was begun: the same
 * image or object is run with the same parameters, the same instance is attached to once there is
 * one of its name. The gadget is another one then, with another id and counters of its own: what
 * happened in between is in no row and not counted; gadget_client_restarts() says that it happened.
 * Fields are looked up by name again. -ECONNRESET from next() or wait() when the time is over;
 * -EREMOTEIO when the gadget is refused.
 */
GADGET_CLIENT_API void gadget_client_set_patience(struct gadget_client *client, int timeout_ms);

/* How often the gadget was begun again. */
GADGET_CLIENT_API unsigned int gadget_client_restarts(const struct gadget_client *client);

/* Id of the instance, 64 hex digits; "" before there is one. */
GADGET_CLIENT_API const char *gadget_client_id(const struct gadget_client *client);

/* Readable once rows may have come (or the end); poll it after gadget_client_next() has returned 0.
 * -1 before gadget_client_connect(). The client keeps it. */
GADGET_CLIENT_API int gadget_client_fd(const struct gadget_client *client);

/* Goes on to the next row without waiting: 1 = there is one; 0 = not now; -ENODATA = the gadget is
 * done, and all of its rows have been read. */
GADGET_CLIENT_API int gadget_client_next(struct gadget_client *client);

/* The same, but waits for a row; 0 = the time is over. Negative milliseconds: for ever. A signal
 * does not end it. */
GADGET_CLIENT_API int gadget_client_wait(struct gadget_client *client, int timeout_ms);

/* --- the row that next() or wait() has gone to --- */

/* Name of its data source. */
GADGET_CLIENT_API const char *gadget_client_source(const struct gadget_client *client);

/* Rows of one reading of a map or iterator have the same number here, which counts from 1; 0 for
 * rows that stand alone. */
GADGET_CLIENT_API uint64_t gadget_client_array(const struct gadget_client *client);

/*
 * Values by field name ("proc.pid"). A rendered value has two names: "error_raw" is the number,
 * "error" its text. -ENOENT: the data source has no such field; -EINVAL: its value is of another
 * type; -ERANGE: it does not fit.
 */
GADGET_CLIENT_API int gadget_client_get_u64(struct gadget_client *client, const char *field,
                                            uint64_t *ret);
GADGET_CLIENT_API int gadget_client_get_i64(struct gadget_client *client, const char *field,
                                            int64_t *ret);
GADGET_CLIENT_API int gadget_client_get_double(struct gadget_client *client, const char *field,
                                               double *ret);

/* Bytes of a text or binary field exactly as they are (addresses: 4 or 16, network order); not
 * NUL-terminated. */
GADGET_CLIENT_API int gadget_client_get_bytes(struct gadget_client *client, const char *field,
                                              const void **ret, size_t *ret_n);

/* Any value as text, as `gadgetctl -o json` shows it but without escapes: it may hold whatever a
 * gadget saw, so escape it before it reaches a terminal. NULL: no such field, or no memory. */
GADGET_CLIENT_API const char *gadget_client_get_text(struct gadget_client *client,
                                                     const char *field);

/* --- the gadget --- */

/* Names of the fields of a data source by index, rendered ones left out; NULL past the last. */
GADGET_CLIENT_API const char *gadget_client_field(const struct gadget_client *client,
                                                  const char *source, size_t index);

/* Rows that did not arrive, of all data sources: lost because this client was slow, dropped on the
 * way in the kernel or in gadgetd. Exact once the gadget is done. */
GADGET_CLIENT_API uint64_t gadget_client_lost(const struct gadget_client *client);

/* Asks gadgetd to stop the gadget; rows go on until gadget_client_next() says -ENODATA. */
GADGET_CLIENT_API int gadget_client_stop(struct gadget_client *client);

/* Why it is done: "stopped", "shutdown" (of gadgetd), "timeout", "finished" or "failed" (then
 * gadget_client_error() says more); "" before. */
GADGET_CLIENT_API const char *gadget_client_cause(const struct gadget_client *client);

#ifdef __cplusplus
}
#endif
