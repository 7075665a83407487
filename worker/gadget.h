/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gadget: an eBPF object and its definition file, opened from memory, understood, loaded. What it
 * offers to users (data sources, parameters) is found by the naming conventions of convention.c.
 */
#pragma once

#include "base/run-options.h"
#include "ipc/ring.h"
#include "worker/host.h"
#include "worker/map-size.h"
#include "worker/params.h"
#include "worker/types.h"

#define SOURCE_PROGRAMS_MAX 3

/* One data source: what a client sees as a stream of rows. */
struct source {
        char *name;
        enum stream_kind kind;
        struct bpf_map *map;  /* kernel buffer (tracers), or the map that is read */
        struct bpf_map *lost; /* <map>_lost_samples, or NULL */
        struct event_type *type;
        uint32_t value_offset; /* of maps: where the value stands in an event, behind the key */
        struct bpf_program *programs[SOURCE_PROGRAMS_MAX]; /* of iterators */
        size_t n_programs;
        struct annotations annotations;
};

struct attach_plan;

struct gadget {
        const struct host_start *start;
        struct definition definition;
        struct bpf_object *object;
        struct source *sources;
        size_t n_sources;
        struct type_enums enums;
        struct params params;
        struct run_options options;
        struct map_sizes map_sizes; /* of gadget_load() */
        struct bpf_link **links;
        struct bpf_program **linked; /* links[i] is that of linked[i] */
        size_t n_links;
        struct attach_plan *plans; /* attach.h: one of each program that is wanted */
        size_t n_plans;
        char **refused; /* optional programs that this kernel does not load */
        size_t n_refused;
};

/* Checks and parses object and definition, finds data sources and parameters. Nothing reaches the
 * kernel yet. `start` must outlive the gadget; gadget_done() is due in any case. */
int gadget_open(struct gadget *g, const struct host_start *start, struct error *err);

/* Applies the parameters and loads maps and programs. Optional programs that this kernel refuses
 * are left out: the object is opened anew for that. *ret_detail is the tail of the verifier's log
 * if it refused one (the caller frees it), else it is not touched. */
int gadget_load(struct gadget *g, char **ret_detail, struct error *err);

/* Attaches all programs. */
int gadget_attach(struct gadget *g, struct error *err);

/* NULL when the program is not attached. */
struct bpf_link *gadget_link_of(const struct gadget *g, const struct bpf_program *program);

/* What the run says of this data source, else what the definition says, else NULL; the caller frees
 * it. */
int gadget_option(const struct gadget *g, const struct source *source, enum run_option option,
                  char **ret, struct error *err);

/* Instead of attaching: tells the broker what would be attached to. */
void gadget_declare_hooks(const struct gadget *g);

/* Frees all of it while it goes on running: links are not detached. With host_keep_objects() the
 * maps and programs stay. */
void gadget_forget(struct gadget *g);

/* Detaches, unloads, frees. */
void gadget_done(struct gadget *g);

/* Finds the data sources of the opened object (convention.c). */
int gadget_find_sources(struct gadget *g, struct error *err);

/* Checks the definition's data sources and fields against those found and merges their annotations
 * (describe.c). */
int gadget_describe(struct gadget *g, struct error *err);
