/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a gadget's programs go: by their sections (include/gadget/program-types.h), unless the
 * definition says otherwise (programs.NAME.attach_to, when, optional).
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
        const char *note;
};

/* The type of a section, and in *ret_rest what stands for the author's part of it ("" = there is
 * none). NULL = there is no such section. */
const struct program_type *program_type_of(const char *section, const char **ret_rest);

/* Says to every program of the object what it is, switches off what is not wanted, and resolves
 * what has to be known at load. After the parameters have their values, before the object is
 * loaded. A type that gadgets are not given is refused here, with its reason. */
int attach_prepare(struct gadget *g, struct error *err);

/* Attaches one loaded program, wherever it is to go; its links are the gadget's. 0, or -errno, and
 * then *ret_hook is what the kernel was asked for; it is to be freed. */
int attach_program(struct gadget *g, struct bpf_program *program, char **ret_hook);

/* False when a failure to attach the program is but a note. */
bool attach_is_required(const struct gadget *g, const struct bpf_program *program);
