/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which maps of an object are referred to: by a program that is loaded, by a function that programs
 * share, by data or another map. A program that is switched off refers to nothing. Code that a
 * constant makes dead still refers: what the verifier will make of it is not known here.
 */
#pragma once

#include <bpf/libbpf.h>

#include "base/util.h"

struct map_use {
        const char **names; /* borrowed from the object's bytes */
        size_t n;
        bool is_unknown; /* something refers to maps by their section alone: all count as used */
};

/* elf is what the object was opened from, and has passed elf_check(). -ENOMEM. */
int map_use_init(struct map_use *use, struct bytes elf, const struct bpf_object *object);
void map_use_done(struct map_use *use);

bool map_use_has(const struct map_use *use, const char *map);
