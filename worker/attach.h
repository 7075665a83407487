/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a gadget's programs go: by their sections (include/gadget/program-types.h), unless the
 * definition says otherwise (programs.NAME: attach_to, when, optional).
 */
#pragma once

#include "gadget/program-types.h"
#include "worker/gadget.h"

struct program_type {
        const char *section; /* pattern: a capital letter begins the author's part */
        enum bpf_prog_type type;
        enum bpf_attach_type attach_type;
        enum program_trust trust;
        enum program_how how;
        const char *since; /* the first kernel */
        const char *note;
};

/* One program, and the hooks that are tried for it, the first that this kernel has wins. What a
 * hook is depends on the type: the author's part of its section. */
struct attach_plan {
        struct bpf_program *program;
        const struct program_type *type;
        const struct definition_program *definition; /* NULL: it says nothing of this program */
        char **hooks;
        size_t n_hooks;
        bool is_optional;
};

/* The type of a section, and in *ret_rest what stands for the author's part of it ("" = there is
 * none). NULL = there is no such section. */
const struct program_type *program_type_of(const char *section, const char **ret_rest);

/* Says to every program of the object what it is, switches off what is not wanted, and resolves
 * what has to be known at load. After the parameters have their values, before the object is
 * loaded. A type that gadgets are not given is refused here, with its reason. */
int attach_prepare(struct gadget *g, struct error *err);

/* The hooks of one program, from section, definition and parameters (attach-hooks.c). Empty: it is
 * not wanted. */
int attach_find_hooks(const struct gadget *g, struct attach_plan *plan, const char *rest,
                      struct error *err);

/* Attaches one program; its links are the gadget's. Where err is empty on failure, the number says
 * it all. */
int attach_program(struct gadget *g, const struct attach_plan *plan, struct error *err);

/* Where a plan goes, for messages: "vfs_open, vfs_open2". Borrowed until the next call. */
const char *attach_describe(const struct attach_plan *plan);

void attach_done(struct gadget *g);

/* A timer on every CPU (attach-sampling.c). */
int attach_sampling(struct gadget *g, const struct attach_plan *plan, struct error *err);

/* Remembers a link of the program. Takes the link, also on failure. */
int attach_add_link(struct gadget *g, struct bpf_program *program, struct bpf_link *take_link);
