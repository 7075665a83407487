/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters: `const volatile` variables of the gadget that its author has marked
 * (gadget_param_VAR) or named in gadget.yaml. A value from the user is checked against the
 * variable's C type and stored into .rodata before the programs are loaded.
 */
#pragma once

#include <bpf/libbpf.h>

#include "base/run-options.h"
#include "worker/definition.h"
#include "worker/types.h"

struct param {
        char *key;
        char *variable;
        char *alias;
        char *description;
        char *default_value;  /* text; "" = what is compiled in means "not set" */
        enum field_kind kind; /* FIELD_BOOL, FIELD_UINT, FIELD_INT, FIELD_STR */
        uint32_t size;
        bool is_mandatory;
        bool has_default;           /* the definition gives one */
        bool is_set;                /* by the user or by the definition's default */
        const struct yaml *allowed; /* possible values, borrowed from the definition; NULL = any */
        const struct btf *btf;      /* with enum_id: an enum whose names are values */
        uint32_t enum_id;           /* 0 = no enum */
        struct bpf_map *map;        /* .rodata */
        uint32_t offset;
};

struct params {
        struct param *items;
        size_t n;
};

/* Finds the parameters of an opened object. params_done() is due in any case. */
int params_init(struct params *p, struct bpf_object *object, const struct definition *definition,
                struct error *err);
void params_done(struct params *p);

/* Stores the user's values (msgpack map of str to str) and the definition's defaults. Before
 * bpf_object__load() only. Keys that no parameter has, but an option of the run, go to `options`.
 */
int params_apply(struct params *p, struct bytes values, struct run_options *options,
                 struct error *err);

/* Sets a bool that user space and gadget agree on, such as gadget_filter_by_mntns. 0 when the
 * gadget does not have it. */
int params_set_flag(struct bpf_object *object, const char *variable, bool value);

/* The value that a number or bool in a read-only data section has at present. False when there is
 * none of this name. */
bool params_read(const struct bpf_object *object, const char *variable, int64_t *ret);

/* The i-th name that the parameter's value may have; NULL behind the last one, and at once when any
 * value goes. */
const char *param_value_at(const struct param *p, size_t i);
