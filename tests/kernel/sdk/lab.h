/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object under plain libbpf: opened, set up by the test, loaded, attached, drained. What fails
 * fails the running cmocka test. The old kernel is this one with its newest helpers hidden from
 * CO-RE, so that the other branch of every gadget_has_helper() is what runs.
 */
#pragma once

#include <bpf/libbpf.h>

#include "base/util.h"

#define LAB_LINKS_MAX 16
#define LAB_SAMPLES_MAX 4096

struct sample {
        size_t len;
        uint8_t data[];
};

struct lab {
        struct bpf_object *object;
        struct bpf_link *links[LAB_LINKS_MAX];
        size_t n_links;
        struct ring_buffer *ring;
        struct perf_buffer *perf;
        struct sample *samples[LAB_SAMPLES_MAX];
        size_t n_samples;
        char btf_path[64];   /* of the old kernel; removed by lab_done() */
        uint64_t n_received; /* also those past LAB_SAMPLES_MAX, which are not kept */
};

enum lab_kernel { LAB_THIS_KERNEL, LAB_OLD_KERNEL };

/* Makes a mount namespace with tracefs in it; a group fixture. */
int lab_mount_tracefs(void **state);

void lab_open(struct lab *lab, const char *path, enum lab_kernel kernel);

/* Writes a `const volatile` variable; size must be that of the variable. */
void lab_set(struct lab *lab, const char *variable, const void *value, size_t size);
void lab_set_u32(struct lab *lab, const char *variable, uint32_t value);
void lab_set_bool(struct lab *lab, const char *variable, bool value);

/* Loads, attaches every program and opens the reader of map "events". */
void lab_start(struct lab *lab);

/* Takes what is there. */
void lab_drain(struct lab *lab);

/* Sum over the CPUs of events_lost_samples. */
uint64_t lab_lost(struct lab *lab);

/* Kernel memory of all maps, by the kernel's own count. */
uint64_t lab_map_bytes(struct lab *lab);

/* Forgets the samples, keeps running. */
void lab_forget(struct lab *lab);
void lab_done(struct lab *lab); /* idempotent */

/* Byte offset of a field ("proc.pid") of struct `event` in the object's BTF, and its size. */
size_t lab_offset(struct lab *lab, const char *field, size_t *ret_size);

uint64_t sample_uint(struct lab *lab, const struct sample *sample, const char *field);
int64_t sample_int(struct lab *lab, const struct sample *sample, const char *field);

/* A char array, up to where the sample ends; valid until the next call. */
const char *sample_str(struct lab *lab, const struct sample *sample, const char *field);
