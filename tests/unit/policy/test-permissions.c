/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/needs.h"

#include <stdio.h>

#include "gadget/api.h"
#include "ipc/mp.h"
#include "policy/permissions.h"

#define HELPER(_id)                                                                                \
        { .code = BPF_JMP | BPF_CALL, .imm = (_id) }
#define SUBPROGRAM(_offset)                                                                        \
        { .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = (_offset) }
#define KFUNC(_id)                                                                                 \
        { .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = (_id) }
#define EXIT                                                                                       \
        { .code = BPF_JMP | BPF_EXIT }
#define LOAD64(_low)                                                                               \
        { .code = BPF_LD | BPF_IMM | BPF_DW, .imm = (_low) }, {                                    \
                .code = 0                                                                          \
        }

static int add(struct permissions *p, const struct bpf_insn *insns, size_t n, bool allow_unsafe,
               struct error *err) {
        return permissions_add_program(p, "on_open", BPF_PROG_TYPE_TRACEPOINT, insns, (uint32_t)n,
                                       allow_unsafe, err);
}

static bool has_helper(const struct permissions *p, uint32_t id) {
        return p->helpers[id / 64] >> (id % 64) & 1;
}

static void test_helpers_are_collected(void **state) {
        static const struct bpf_insn insns[] = {
                HELPER(BPF_FUNC_map_lookup_elem),
                HELPER(BPF_FUNC_ktime_get_ns),
                HELPER(BPF_FUNC_ktime_get_ns),
                SUBPROGRAM(BPF_FUNC_probe_write_user), /* an offset, not a helper */
                HELPER(BPF_FUNC_ringbuf_submit),
                EXIT,
        };
        struct permissions p = { 0 };
        uint32_t n = 0;

        (void)state;
        assert_int_equal(add(&p, insns, ARRAY_SIZE(insns), false, NULL), 0);
        for (uint32_t id = 0; id < HELPERS_MAX; id++)
                n += has_helper(&p, id);
        assert_int_equal(n, 3);
        assert_true(has_helper(&p, BPF_FUNC_map_lookup_elem));
        assert_true(has_helper(&p, BPF_FUNC_ktime_get_ns));
        assert_true(has_helper(&p, BPF_FUNC_ringbuf_submit));
        assert_int_equal(p.n_programs, 1);
        assert_int_equal(p.n_insns, ARRAY_SIZE(insns));
        assert_int_equal(p.prog_types, 1 << BPF_PROG_TYPE_TRACEPOINT);
}

/* The second half of a 64-bit load may look like anything in its immediate; it is no instruction.
 */
static void test_second_slot_is_skipped(void **state) {
        static const struct bpf_insn insns[] = { LOAD64(BPF_FUNC_probe_write_user), EXIT };
        static const struct bpf_insn hidden[] = { { .code = BPF_LD | BPF_IMM | BPF_DW },
                                                  HELPER(BPF_FUNC_probe_write_user),
                                                  EXIT };
        static const struct bpf_insn cut[] = { EXIT, { .code = BPF_LD | BPF_IMM | BPF_DW } };
        struct permissions p = { 0 };
        struct error err = { 0 };

        (void)state;
        assert_int_equal(add(&p, insns, ARRAY_SIZE(insns), false, &err), 0);
        /* Jumping into it would otherwise run what was not scanned. */
        assert_int_equal(add(&p, hidden, ARRAY_SIZE(hidden), true, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "instruction 0"));
        assert_int_equal(add(&p, cut, ARRAY_SIZE(cut), true, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "instruction 1"));
}

static void test_denied_helpers(void **state) {
        static const uint32_t denied[] = {
                BPF_FUNC_probe_write_user,
                BPF_FUNC_override_return,
                BPF_FUNC_send_signal,
                BPF_FUNC_send_signal_thread,
                BPF_FUNC_sys_bpf,
                BPF_FUNC_sys_close,
                BPF_FUNC_setsockopt,
                BPF_FUNC_skb_store_bytes,
                BPF_FUNC_redirect,
                BPF_FUNC_xdp_adjust_head,
                BPF_FUNC_sk_assign,
                BPF_FUNC_sysctl_set_new_value,
                BPF_FUNC_set_retval,
                BPF_FUNC_bind,
                300,
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
                const struct bpf_insn insns[] = { HELPER(BPF_FUNC_ktime_get_ns),
                                                  HELPER((int)denied[i]), EXIT };
                struct permissions p = { 0 }, none = { 0 };
                const char *name = helper_name(denied[i]);
                struct error err = { 0 };

                assert_int_equal(add(&p, insns, ARRAY_SIZE(insns), false, &err), -EPERM);
                assert_int_equal(err.code, ERROR_DENIED);
                assert_non_null(strstr(err.msg, name ?: "helper 300"));
                assert_non_null(strstr(err.msg, "on_open"));
                assert_non_null(strstr(err.msg, "--allow-unsafe"));
                /* A refused program leaves no trace. */
                assert_memory_equal(&p, &none, sizeof(p));

                assert_int_equal(add(&p, insns, ARRAY_SIZE(insns), true, &err), 0);
                assert_true(has_helper(&p, denied[i]));
        }
}

/* Everything that ig's own observing gadgets and ours call, and what tc, xdp and socket programs
 * need to look at packets. */
static void test_observers_are_not_hit(void **state) {
        static const uint32_t allowed[] = {
                BPF_FUNC_map_lookup_elem,
                BPF_FUNC_map_update_elem,
                BPF_FUNC_map_delete_elem,
                BPF_FUNC_probe_read_user_str,
                BPF_FUNC_probe_read_kernel,
                BPF_FUNC_get_current_pid_tgid,
                BPF_FUNC_get_current_uid_gid,
                BPF_FUNC_get_current_comm,
                BPF_FUNC_get_current_task,
                BPF_FUNC_get_current_task_btf,
                BPF_FUNC_get_current_cgroup_id,
                BPF_FUNC_ringbuf_reserve,
                BPF_FUNC_ringbuf_submit,
                BPF_FUNC_ringbuf_discard,
                BPF_FUNC_ringbuf_output,
                BPF_FUNC_perf_event_output,
                BPF_FUNC_get_stackid,
                BPF_FUNC_get_stack,
                BPF_FUNC_tail_call,
                BPF_FUNC_skb_load_bytes,
                BPF_FUNC_skb_load_bytes_relative,
                BPF_FUNC_skb_pull_data,
                BPF_FUNC_xdp_load_bytes,
                BPF_FUNC_xdp_get_buff_len,
                BPF_FUNC_skb_output,
                BPF_FUNC_xdp_output,
                BPF_FUNC_get_socket_cookie,
                BPF_FUNC_get_socket_uid,
                BPF_FUNC_sk_storage_get,
                BPF_FUNC_task_storage_get,
                BPF_FUNC_d_path,
                BPF_FUNC_seq_write,
                BPF_FUNC_seq_printf,
                BPF_FUNC_trace_printk,
                BPF_FUNC_getsockopt,
                BPF_FUNC_sock_ops_cb_flags_set,
                BPF_FUNC_copy_from_user,
                BPF_FUNC_loop,
                BPF_FUNC_for_each_map_elem,
                BPF_FUNC_snprintf,
                BPF_FUNC_get_attach_cookie,
                BPF_FUNC_get_func_ip,
                BPF_FUNC_kallsyms_lookup_name,
                BPF_FUNC_spin_lock,
                BPF_FUNC_timer_start,
                BPF_FUNC_sk_lookup_tcp,
                BPF_FUNC_sk_release,
                BPF_FUNC_map_push_elem,
                BPF_FUNC_csum_diff,
                210,
                211,
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
                const char *reason = helper_denied_reason(allowed[i]);

                if (reason)
                        fail_msg("%s: %s", helper_name(allowed[i]), reason);
        }
}

/* libbpf poisons instructions that this kernel must not reach with calls of helpers that no kernel
 * has. */
static void test_poisoned_instructions(void **state) {
        static const struct bpf_insn insns[] = { HELPER(195896080), HELPER(2001000000), HELPER(-1),
                                                 HELPER(HELPERS_MAX), EXIT };
        struct permissions p = { 0 };

        (void)state;
        assert_int_equal(add(&p, insns, ARRAY_SIZE(insns), false, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(p.helpers); i++)
                assert_int_equal(p.helpers[i], 0);
}

static void test_kfuncs(void **state) {
        static const struct bpf_insn one[] = { KFUNC(77), KFUNC(78), KFUNC(77), EXIT };
        struct bpf_insn many[KFUNCS_MAX + 1];
        struct permissions p = { 0 };
        struct error err = { 0 };

        (void)state;
        assert_int_equal(add(&p, one, ARRAY_SIZE(one), false, &err), -EPERM);
        assert_int_equal(err.code, ERROR_DENIED);
        assert_non_null(strstr(err.msg, "BTF id 77"));
        assert_int_equal(add(&p, one, ARRAY_SIZE(one), true, &err), 0);
        assert_int_equal(p.n_kfuncs, 2);
        assert_int_equal(p.kfuncs[0], 77);
        assert_int_equal(p.kfuncs[1], 78);

        p = (struct permissions){ 0 };
        for (size_t i = 0; i < ARRAY_SIZE(many); i++)
                many[i] = (struct bpf_insn)KFUNC((int)i + 1);
        assert_int_equal(add(&p, many, KFUNCS_MAX, true, &err), 0);
        assert_int_equal(add(&p, many, KFUNCS_MAX + 1, true, &err), -E2BIG);
        assert_int_equal(err.code, ERROR_LIMIT);
        assert_int_equal(p.n_kfuncs, KFUNCS_MAX);
}

static void test_what_cannot_be_scanned(void **state) {
        static const struct bpf_insn bad[] = {
                { .code = BPF_JMP | BPF_CALL, .src_reg = 3 }, /* unknown kind */
                { .code = BPF_JMP | BPF_CALL, .src_reg = 15 },
                { .code = BPF_JMP | BPF_CALL | BPF_X, .dst_reg = 1 }, /* through a register */
                { .code = BPF_JMP32 | BPF_CALL, .imm = 1 },
        };
        struct permissions p = { 0 };
        struct error err = { 0 };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                const struct bpf_insn insns[] = { EXIT, bad[i], EXIT };

                assert_int_equal(add(&p, insns, ARRAY_SIZE(insns), true, &err), -EINVAL);
                assert_int_equal(err.code, ERROR_INVALID);
                assert_non_null(strstr(err.msg, "instruction 1"));
        }
        assert_int_equal(add(&p, bad, 0, true, &err), -EINVAL);
        assert_int_equal(permissions_add_program(&p, "x", 64, bad, 1, true, &err), -EINVAL);
}

/* Each byte of a call set to each value: what is accepted is in the set, or is no helper call at
 * all. */
static void test_mutated_calls(void **state) {
        unsigned int n_accepted = 0, n_denied = 0;

        (void)state;
        for (size_t at = 0; at < sizeof(struct bpf_insn); at++)
                for (int value = 0; value < 256; value++) {
                        struct bpf_insn insns[] = { HELPER(BPF_FUNC_ktime_get_ns), EXIT };
                        struct permissions p = { 0 };
                        uint32_t imm;
                        int r;

                        ((uint8_t *)&insns[0])[at] = (uint8_t)value;
                        imm = (uint32_t)insns[0].imm;
                        r = add(&p, insns, ARRAY_SIZE(insns), false, NULL);
                        assert_true(r == 0 || r == -EPERM || r == -EINVAL);
                        n_denied += r == -EPERM;
                        if (r < 0)
                                continue;
                        n_accepted++;
                        if (insns[0].code == (BPF_JMP | BPF_CALL) && insns[0].src_reg == 0 &&
                            imm < HELPERS_MAX) {
                                assert_true(has_helper(&p, imm));
                                assert_null(helper_denied_reason(imm));
                        }
                }
        assert_true(n_accepted > 100);
        assert_true(n_denied > 40);
}

static void test_names(void **state) {
        (void)state;
        assert_null(helper_name(0));
        assert_string_equal(helper_name(1), "bpf_map_lookup_elem");
        assert_string_equal(helper_name(36), "bpf_probe_write_user");
        assert_string_equal(helper_name(209), "bpf_user_ringbuf_drain");
        assert_string_equal(helper_name(211), "bpf_cgrp_storage_delete");
        assert_null(helper_name(212));
        assert_null(helper_name(UINT32_MAX));
        assert_non_null(helper_denied_reason(212));
        assert_null(map_type_name(0));
        assert_string_equal(map_type_name(BPF_MAP_TYPE_RINGBUF), "ringbuf");
        assert_string_equal(map_type_name(BPF_MAP_TYPE_LRU_PERCPU_HASH), "lru_percpu_hash");
        assert_string_equal(map_type_name(BPF_MAP_TYPE_USER_RINGBUF), "user_ringbuf");
        assert_null(map_type_name(1000));
        assert_string_equal(prog_type_name(BPF_PROG_TYPE_TRACEPOINT), "tracepoint");
        assert_string_equal(prog_type_name(BPF_PROG_TYPE_SYSCALL), "syscall");
        assert_null(prog_type_name(0));
        assert_null(prog_type_name(64));
}

static void test_maps(void **state) {
        struct permissions p = { 0 };

        (void)state;
        permissions_add_map(&p, BPF_MAP_TYPE_RINGBUF, 100);
        permissions_add_map(&p, BPF_MAP_TYPE_HASH, 50);
        permissions_add_map(&p, 200, 1); /* an unknown type still counts */
        assert_int_equal(p.map_types,
                         (UINT64_C(1) << BPF_MAP_TYPE_RINGBUF) | (1 << BPF_MAP_TYPE_HASH));
        assert_int_equal(p.map_bytes, 151);
        assert_int_equal(p.n_maps, 3);
        permissions_add_map(&p, BPF_MAP_TYPE_HASH, UINT64_MAX);
        assert_true(p.map_bytes == UINT64_MAX);
}

static void expect_text(struct mp_reader *r, const char *want) {
        struct bytes got;

        assert_int_equal(mp_read_str(r, &got), 0);
        if (!bytes_eq(got, want))
                fail_msg("'%.*s' is not '%s'", (int)got.len, (const char *)got.data, want);
}

static void expect_texts(struct mp_reader *r, const char *key, const char *const *want,
                         uint32_t n) {
        uint32_t got;

        expect_text(r, key);
        assert_int_equal(mp_read_array(r, &got), 0);
        assert_int_equal(got, n);
        for (uint32_t i = 0; i < n; i++)
                expect_text(r, want[i]);
}

static void expect_uint(struct mp_reader *r, uint64_t want) {
        uint64_t got;

        assert_int_equal(mp_read_uint(r, &got), 0);
        assert_int_equal(got, want);
}

static void test_encode(void **state) {
        static const struct bpf_insn insns[] = { HELPER(BPF_FUNC_ktime_get_ns), HELPER(300),
                                                 KFUNC(70000), EXIT };
        static const char *const hooks[] = { "tracepoint/syscalls/sys_enter_openat", "kprobe/x" };
        cleanup_buf struct buf out = BUF_INIT(4096);
        struct permissions p = { 0 };
        struct mp_reader r;
        uint32_t n;

        (void)state;
        assert_int_equal(add(&p, insns, ARRAY_SIZE(insns), true, NULL), 0);
        permissions_add_map(&p, BPF_MAP_TYPE_RINGBUF, 300000);
        assert_int_equal(permissions_encode(&p, hooks, ARRAY_SIZE(hooks), &out), 0);

        r = mp_reader_of(BYTES(out.data, out.len));
        assert_int_equal(mp_read_map(&r, &n), 0);
        assert_int_equal(n, 7);
        expect_texts(&r, "programs", (const char *const[]){ "tracepoint" }, 1);
        expect_texts(&r, "hooks", hooks, 2);
        expect_texts(&r, "helpers", (const char *const[]){ "bpf_ktime_get_ns", "300" }, 2);
        expect_text(&r, "kfuncs");
        assert_int_equal(mp_read_array(&r, &n), 0);
        assert_int_equal(n, 1);
        expect_uint(&r, 70000);
        expect_texts(&r, "maps", (const char *const[]){ "ringbuf" }, 1);
        expect_text(&r, "map_bytes");
        expect_uint(&r, 300000);
        expect_text(&r, "instructions");
        expect_uint(&r, 4);
        assert_ptr_equal(r.pos, r.end);

        /* A buffer that is too small says so. */
        buf_done(&out);
        out = BUF_INIT(20);
        assert_int_equal(permissions_encode(&p, hooks, ARRAY_SIZE(hooks), &out), -EFBIG);
}

static void test_encode_nothing(void **state) {
        cleanup_buf struct buf out = BUF_INIT(4096);
        struct permissions p = { 0 };
        struct mp_reader r;

        (void)state;
        assert_int_equal(permissions_encode(&p, NULL, 0, &out), 0);
        r = mp_reader_of(BYTES(out.data, out.len));
        assert_int_equal(mp_skip(&r), 0);
        assert_ptr_equal(r.pos, r.end);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_helpers_are_collected),
        cmocka_unit_test(test_second_slot_is_skipped),
        cmocka_unit_test(test_denied_helpers),
        cmocka_unit_test(test_observers_are_not_hit),
        cmocka_unit_test(test_poisoned_instructions),
        cmocka_unit_test(test_kfuncs),
        cmocka_unit_test(test_what_cannot_be_scanned),
        cmocka_unit_test(test_mutated_calls),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_encode_nothing),
};
TEST_MAIN("policy-permissions", tests)
