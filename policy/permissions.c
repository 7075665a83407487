/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads from a program's final instructions what it may do. Runs in the broker, on bytes that came
 * from a worker that nobody trusts; the kernel's verifier sees the same bytes next, so whatever is
 * not understood here is refused here.
 */
#include "policy/permissions.h"

#include <inttypes.h>
#include <stdio.h>

#include "gadget/api.h"
#include "ipc/mp.h"

#define ALLOW_UNSAFE_HINT "root can run it with --allow-unsafe"

/* One of the calls below, and what to call it in an error. */
struct scan {
        struct permissions *p;
        const char *program;
        bool allow_unsafe;
        struct error *err;
};

static int add_helper(struct scan *scan, uint32_t id) {
        const char *reason, *name;

        /*
         * libbpf overwrites instructions that must not be reached on this kernel with calls of
         * numbers around 195 million and 2 thousand million. No kernel has such helpers: where such
         * a call can be reached the verifier refuses the program.
         */
        if (id >= HELPERS_MAX)
                return 0;

        reason = helper_denied_reason(id);
        name = helper_name(id);
        if (reason && !scan->allow_unsafe && name)
                return error_set(scan->err, ERROR_DENIED, -EPERM,
                                 "program '%s' calls %s, which %s; " ALLOW_UNSAFE_HINT,
                                 scan->program, name, reason);
        if (reason && !scan->allow_unsafe)
                return error_set(scan->err, ERROR_DENIED, -EPERM,
                                 "program '%s' calls helper %" PRIu32
                                 ", which %s; " ALLOW_UNSAFE_HINT,
                                 scan->program, id, reason);

        scan->p->helpers[id / 64] |= UINT64_C(1) << (id % 64);
        return 0;
}

static int add_kfunc(struct scan *scan, uint32_t btf_id) {
        struct permissions *p = scan->p;

        /*
         * A kfunc is a number in the BTF of the running kernel, which nobody here may parse:
         * bpf_send_signal_task looks like bpf_rcu_read_lock. So all of them are on the denied list.
         */
        if (!scan->allow_unsafe)
                return error_set(scan->err, ERROR_DENIED, -EPERM,
                                 "program '%s' calls the kernel function with BTF id %" PRIu32
                                 ", and what that changes is not known; " ALLOW_UNSAFE_HINT,
                                 scan->program, btf_id);

        for (uint32_t i = 0; i < p->n_kfuncs; i++)
                if (p->kfuncs[i] == btf_id)
                        return 0;
        if (p->n_kfuncs == KFUNCS_MAX)
                return error_set(scan->err, ERROR_LIMIT, -E2BIG,
                                 "program '%s': the gadget calls more than %d kernel functions",
                                 scan->program, KFUNCS_MAX);
        p->kfuncs[p->n_kfuncs++] = btf_id;
        return 0;
}

static bool is_call(const struct bpf_insn *insn) {
        uint8_t class = BPF_CLASS(insn->code);

        return (class == BPF_JMP || class == BPF_JMP32) && BPF_OP(insn->code) == BPF_CALL;
}

static int scan_call(struct scan *scan, const struct bpf_insn *insn, uint32_t at) {
        /* Other codes would be calls through a register, which could reach what is not seen here.
         */
        if (insn->code == (BPF_JMP | BPF_CALL)) {
                switch (insn->src_reg) {
                case 0:
                        return add_helper(scan, (uint32_t)insn->imm);
                case BPF_PSEUDO_CALL:
                        return 0;
                case BPF_PSEUDO_KFUNC_CALL:
                        return add_kfunc(scan, (uint32_t)insn->imm);
                }
        }
        return error_set(scan->err, ERROR_INVALID, -EINVAL,
                         "program '%s': instruction %" PRIu32
                         " is a call of unknown kind (code 0x%02x, source %u)",
                         scan->program, at, insn->code, (unsigned)insn->src_reg);
}

static int scan_insns(struct scan *scan, const struct bpf_insn *insns, uint32_t n_insns) {
        int r;

        for (uint32_t i = 0; i < n_insns; i++) {
                if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW)) {
                        /* Two slots: the second holds the upper half of the constant and has no
                         * code. */
                        if (i + 1 == n_insns || insns[i + 1].code != 0)
                                return error_set(scan->err, ERROR_INVALID, -EINVAL,
                                                 "program '%s': instruction %" PRIu32
                                                 " loads 64 bits but its second half is missing",
                                                 scan->program, i);
                        i++;
                        continue;
                }
                if (!is_call(&insns[i]))
                        continue;
                r = scan_call(scan, &insns[i], i);
                if (r < 0)
                        return r;
        }
        return 0;
}

int permissions_add_program(struct permissions *p, const char *name, uint32_t prog_type,
                            const struct bpf_insn *insns, uint32_t n_insns, bool allow_unsafe,
                            struct error *err) {
        struct permissions added = *p;
        struct scan scan = { &added, name, allow_unsafe, err };
        int r;

        if (n_insns == 0)
                return error_set(err, ERROR_INVALID, -EINVAL, "program '%s' has no instructions",
                                 name);
        if (prog_type >= 64)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "program '%s' has unknown type %" PRIu32, name, prog_type);
        if (__builtin_add_overflow(added.n_insns, n_insns, &added.n_insns))
                return error_set(err, ERROR_LIMIT, -E2BIG, "program '%s': too many instructions",
                                 name);

        r = scan_insns(&scan, insns, n_insns);
        if (r < 0)
                return r;

        added.prog_types |= UINT64_C(1) << prog_type;
        added.n_programs++;
        *p = added;
        return 0;
}

void permissions_add_map(struct permissions *p, uint32_t map_type, uint64_t bytes) {
        if (map_type < 64)
                p->map_types |= UINT64_C(1) << map_type;
        if (__builtin_add_overflow(p->map_bytes, bytes, &p->map_bytes))
                p->map_bytes = UINT64_MAX;
        p->n_maps++;
}

static int put_header(struct buf *out, uint8_t *(*put)(uint8_t *, uint32_t), uint32_t n) {
        uint8_t tmp[MP_HEADER_MAX];

        return buf_append(out, tmp, (size_t)(put(tmp, n) - tmp));
}

static int put_uint(struct buf *out, uint64_t v) {
        uint8_t tmp[MP_SCALAR_MAX];

        return buf_append(out, tmp, (size_t)(mp_put_uint(tmp, v) - tmp));
}

static int put_text(struct buf *out, const char *text) {
        uint32_t n = (uint32_t)strlen(text);
        int r = put_header(out, mp_put_str_header, n);

        return r < 0 ? r : buf_append(out, text, n);
}

/* The names of the bits that are set; the number where this build has no name. */
static void put_names(struct buf *out, const char *key, const uint64_t *bits, size_t n_words,
                      const char *(*name_of)(uint32_t)) {
        uint32_t n = 0;

        for (size_t i = 0; i < n_words; i++)
                n += (uint32_t)__builtin_popcountll(bits[i]);

        put_text(out, key);
        put_header(out, mp_put_array, n);
        for (uint32_t id = 0; id < n_words * 64; id++) {
                const char *name = name_of(id);
                char number[16];

                if (!(bits[id / 64] >> (id % 64) & 1))
                        continue;
                snprintf(number, sizeof(number), "%" PRIu32, id);
                put_text(out, name ? name : number);
        }
}

int permissions_encode(const struct permissions *p, const char *const *hooks, size_t n_hooks,
                       struct buf *out) {
        put_header(out, mp_put_map, 7);

        put_names(out, "programs", &p->prog_types, 1, prog_type_name);

        put_text(out, "hooks");
        put_header(out, mp_put_array, (uint32_t)n_hooks);
        for (size_t i = 0; i < n_hooks; i++)
                put_text(out, hooks[i]);

        put_names(out, "helpers", p->helpers, ARRAY_SIZE(p->helpers), helper_name);

        put_text(out, "kfuncs");
        put_header(out, mp_put_array, p->n_kfuncs);
        for (uint32_t i = 0; i < p->n_kfuncs; i++)
                put_uint(out, p->kfuncs[i]);

        put_names(out, "maps", &p->map_types, 1, map_type_name);

        put_text(out, "map_bytes");
        put_uint(out, p->map_bytes);
        put_text(out, "instructions");
        put_uint(out, p->n_insns);
        return buf_result(out);
}
