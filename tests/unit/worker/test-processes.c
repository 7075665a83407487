/* SPDX-License-Identifier: Apache-2.0 */
/* Whose stack it is, and what is remembered of whom. The broker is played by the test. */
#include "worker/processes.h"

#include <fcntl.h>

#include "gadget/api.h"
#include "tests/lib/needs.h"
#include "worker/hurry.h"
#include "worker/symbol-files.h"

#define LIBRARY TEST_BUILD_DIR "/tests/gadgets/libgadget-stack.so"
#define CODE 0x400000u
#define SEC NSEC_PER_SEC

static struct {
        int result; /* of the next PROCESS requests */
        uint64_t start_ns;
        uint64_t start_code;
        uint64_t shift; /* where the mappings are */
        unsigned int n_asked, n_files;
        int file_result;
} broker;

static int play_process(uint32_t pid, struct broker_process *ret, struct broker_mapping *out) {
        broker.n_asked++;
        if (broker.result < 0)
                return broker.result;
        *ret = (struct broker_process){ .start_ns = broker.start_ns,
                                        .start_code = broker.start_code,
                                        .n_mappings = 2 };
        out[0] = (struct broker_mapping){ CODE + broker.shift, CODE + broker.shift + 0x1000, 0x1000,
                                          7 };
        out[1] = (struct broker_mapping){ 0x7f0000000000, 0x7f0000002000, 0, 8 };
        return 0;
}

static int play_file(const struct broker_mapped_file *want, struct broker_file *ret) {
        broker.n_files++;
        assert_int_equal(want->start_ns, broker.start_ns);
        if (broker.file_result < 0)
                return broker.file_result;
        *ret = (struct broker_file){ .inode = want->start };
        return open(LIBRARY, O_RDONLY | O_CLOEXEC);
}

static const struct process_source source = { play_process, play_file };

static uint32_t hash_of(uint64_t value) {
        uint32_t hash = 2166136261u;

        for (int i = 0; i < 64; i += 8)
                hash = (hash ^ (value >> i & 0xff)) * 16777619u;
        return hash;
}

static int setup(void **state) {
        processes_forget_all();
        symbol_files_forget_all();
        processes_set_source(&source);
        memset(&broker, 0, sizeof(broker));
        broker.start_ns = 100 * SEC;
        broker.start_code = CODE;
        return 0;
}

static struct stack_owner owner_of(uint32_t pid) {
        return (struct stack_owner){
                .pid = pid, .base_addr_hash = hash_of(CODE), .inode = 7, .taken_ns = 200 * SEC
        };
}

static void test_find(void **state) {
        struct stack_owner owner = owner_of(1);
        struct code_mapping *m;

        assert_null(processes_find(&owner, CODE - 1, SEC));
        m = processes_find(&owner, CODE, SEC);
        assert_non_null(m);
        assert_int_equal(m->at.offset, 0x1000);
        assert_ptr_equal(processes_find(&owner, CODE + 0xfff, SEC), m);
        assert_null(processes_find(&owner, CODE + 0x1000, SEC));
        assert_int_equal(processes_find(&owner, 0x7f0000001fff, SEC)->at.inode, 8);
        assert_null(processes_find(&owner, 0x7f0000002000, SEC));
        assert_null(processes_find(&owner, UINT64_MAX, SEC));
        assert_int_equal(broker.n_asked, 1);
}

/* An address that is nowhere may be of a library that has just been loaded. */
static void test_asks_again(void **state) {
        struct stack_owner owner = owner_of(1);

        assert_null(processes_find(&owner, CODE + 0x10000, SEC));
        broker.shift = 0x10000;
        assert_null(processes_find(&owner, CODE + 0x10000, SEC + SEC / 20)); /* too soon */
        assert_int_equal(broker.n_asked, 1);
        assert_non_null(processes_find(&owner, CODE + 0x10000, 2 * SEC));
        assert_int_equal(broker.n_asked, 2);
        /* And after a while in any case: something else may lie there. */
        broker.shift = 0;
        assert_non_null(processes_find(&owner, CODE + 0x10000, 11 * SEC));
        assert_null(processes_find(&owner, CODE + 0x10000, 13 * SEC));
        assert_int_equal(broker.n_asked, 3);
}

static void test_ended(void **state) {
        struct stack_owner owner = owner_of(1), other = owner_of(2);

        assert_non_null(processes_find(&owner, CODE, SEC));
        broker.result = -ESRCH;
        /* What was known stays. */
        assert_non_null(processes_find(&owner, CODE, 100 * SEC));
        /* Of one that was never seen nothing is known, and it is not asked for all the time. */
        assert_null(processes_find(&other, CODE, 100 * SEC));
        broker.n_asked = 0;
        for (int i = 0; i < 100; i++)
                assert_null(processes_find(&other, CODE, 101 * SEC));
        assert_int_equal(broker.n_asked, 0);
}

static void test_who_it_is(void **state) {
        static const struct {
                uint64_t start_ns, start_code, taken_ns, inode;
                bool is_hash_right, is_found;
        } cases[] = {
                { 100 * SEC, CODE, 200 * SEC, 7, true, true },
                { 200 * SEC, CODE, 200 * SEC, 7, true, true },      /* in its first tick */
                { 201 * SEC, CODE, 200 * SEC, 7, true, false },     /* a later one of this pid */
                { 201 * SEC, CODE, 0, 7, true, true },              /* nobody knows when */
                { 100 * SEC, CODE + 1, 200 * SEC, 9, true, false }, /* executes something else */
                { 100 * SEC, CODE + 1, 200 * SEC, 7, true, true }, /* the hash is of another kind */
                { 100 * SEC, CODE, 200 * SEC, 9, true, true },     /* inodes of layers differ */
                { 100 * SEC, CODE, 200 * SEC, 0, false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct stack_owner owner = { .pid = 5,
                                             .base_addr_hash = hash_of(CODE),
                                             .inode = cases[i].inode,
                                             .taken_ns = cases[i].taken_ns };

                setup(NULL);
                owner.base_addr_hash += !cases[i].is_hash_right;
                broker.start_ns = cases[i].start_ns;
                broker.start_code = cases[i].start_code;
                if ((processes_find(&owner, CODE, SEC) != NULL) != cases[i].is_found)
                        fail_msg("case %zu", i);
        }
}

/* A stack of an earlier process with this pid, whose program lies at the same place. */
static void test_recycled_pid(void **state) {
        struct stack_owner later = owner_of(1), earlier = owner_of(1);

        earlier.taken_ns = 50 * SEC;
        assert_non_null(processes_find(&later, CODE, SEC));
        assert_null(processes_find(&earlier, CODE, SEC));
        assert_non_null(processes_find(&later, CODE, SEC));
}

static void test_files(void **state) {
        struct stack_owner owner = owner_of(1);
        struct code_mapping *m = processes_find(&owner, CODE, SEC);
        const struct elf_symbols *s = processes_symbols(&owner, m);

        assert_non_null(s);
        assert_ptr_equal(processes_symbols(&owner, m), s);
        assert_int_equal(broker.n_files, 1);
        /* Still known when all has been looked at again. */
        m = processes_find(&owner, CODE, 20 * SEC);
        assert_int_equal(broker.n_asked, 2);
        assert_ptr_equal(processes_symbols(&owner, m), s);
        assert_int_equal(broker.n_files, 1);
        /* Forgotten, and read again. */
        symbol_files_forget_all();
        assert_non_null(processes_symbols(&owner, m));
        assert_int_equal(broker.n_files, 2);
        /* One that cannot be had is not asked for all the time. */
        broker.file_result = -EACCES;
        m = processes_find(&owner, 0x7f0000000000, 21 * SEC);
        assert_null(processes_symbols(&owner, m));
        assert_null(processes_symbols(&owner, m));
        assert_int_equal(broker.n_files, 3);
        broker.file_result = 0;
        m = processes_find(&owner, 0x7f0000000000, 40 * SEC);
        assert_non_null(processes_symbols(&owner, m));
}

/* At the end of a gadget there comes a time when nothing is asked for any more. */
static void test_no_time_left(void **state) {
        struct stack_owner known = owner_of(1), other = owner_of(2);
        struct code_mapping *m = processes_find(&known, CODE, SEC);

        assert_false(hurry_is_over());
        hurry(60 * SEC);
        assert_false(hurry_is_over());
        assert_non_null(processes_symbols(&known, m));
        hurry(0);
        assert_true(hurry_is_over());
        broker.n_asked = broker.n_files = 0;
        assert_null(processes_find(&other, CODE, SEC));
        m = processes_find(&known, CODE, 100 * SEC);
        assert_non_null(processes_symbols(&known, m)); /* what is known has a name */
        m = processes_find(&known, 0x7f0000000000, 100 * SEC);
        assert_null(processes_symbols(&known, m));
        assert_int_equal(broker.n_asked + broker.n_files, 0);
        hurry(3600 * SEC);
}

static void test_limit(void **state) {
        struct stack_owner first = owner_of(1);

        for (uint32_t pid = 1; pid <= LIMIT_PROCESSES_MAX + 10; pid++) {
                struct stack_owner owner = owner_of(pid);

                assert_non_null(processes_find(&owner, CODE, SEC));
                assert_non_null(processes_find(&first, CODE, SEC)); /* used all the time */
        }
        assert_int_equal(processes_count(), LIMIT_PROCESSES_MAX);
        assert_int_equal(broker.n_asked, LIMIT_PROCESSES_MAX + 10);
        for (uint32_t pid = 2; pid <= 11; pid++) {
                struct stack_owner owner = owner_of(pid);

                assert_non_null(processes_find(&owner, CODE, SEC));
        }
        assert_int_equal(broker.n_asked, LIMIT_PROCESSES_MAX + 20); /* those were forgotten */
}

#define PROCESS_TEST(_test) cmocka_unit_test_setup(_test, setup)
static const struct CMUnitTest tests[] = {
        PROCESS_TEST(test_find),      PROCESS_TEST(test_asks_again),   PROCESS_TEST(test_ended),
        PROCESS_TEST(test_who_it_is), PROCESS_TEST(test_recycled_pid), PROCESS_TEST(test_files),
        PROCESS_TEST(test_limit),     PROCESS_TEST(test_no_time_left),
};
TEST_MAIN("worker-processes", tests)
