/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of a container's files: lists of libraries, functions, USDT probes; and what is not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "gadget/api.h"
#include "tests/lib/needs.h"
#include "tests/property/random.h"
#include "worker/ld-cache.h"
#include "worker/probe-elf.h"
#include "worker/usdt-args.h"

static int open_built(const char *name) {
        char path[512];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", TEST_BUILD_DIR, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

/* --- lists of libraries --- */

struct cache {
        char magic[20];
        uint32_t n_libs;
        uint32_t strings_size;
        uint32_t rest[5];
        struct {
                int32_t flags;
                uint32_t key, value, os_version;
                uint64_t hwcap;
        } entries[4];
        char texts[128];
};

#if defined(__x86_64__)
#define FLAGS 0x0303
#else
#define FLAGS 0x0a03
#endif

static struct cache make_cache(void) {
        struct cache cache = { .n_libs = 4 };
        const uint32_t at = offsetof(struct cache, texts);

        memcpy(cache.magic, "glibc-ld.so.cache1.1", 20);
        memcpy(cache.texts,
               "libx.so.12\0libx.so.1\0/lib32/libx.so.1\0/lib/libx.so.12\0/lib/libx.so.1", 69);
        cache.entries[0].flags = 3; /* of another machine */
        cache.entries[0].key = at + 11;
        cache.entries[0].value = at + 21;
        cache.entries[1].flags = FLAGS;
        cache.entries[1].key = at;
        cache.entries[1].value = at + 38;
        cache.entries[2].flags = FLAGS;
        cache.entries[2].key = at + 11;
        cache.entries[2].value = at + 54;
        cache.entries[3] = cache.entries[2];
        cache.entries[3].hwcap = 1; /* for some processors only */
        return cache;
}

static int find(const void *data, size_t n, const char *name, char *path, struct error *err) {
        int fd = memfd_sealed("cache", data, n), r;

        assert_true(fd >= 0);
        r = ld_cache_find(fd, name, path, 64, err);
        close(fd);
        return r;
}

static void test_cache(void **state) {
        struct cache cache = make_cache();
        struct error err;
        char path[64];

        assert_int_equal(find(&cache, sizeof(cache), "libx", path, &err), 0);
        assert_string_equal(path, "/lib/libx.so.1");
        assert_int_equal(find(&cache, sizeof(cache), "libx.so.12", path, &err), 0);
        assert_string_equal(path, "/lib/libx.so.12");
        assert_int_equal(find(&cache, sizeof(cache), "libxy", path, &err), -ENOENT);
        assert_int_equal(find(&cache, sizeof(cache), "lib", path, &err), -ENOENT);
}

/* This machine's own, as ldconfig wrote it. */
static void test_own_cache(void **state) {
        int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
        struct error err;
        char path[256];

        if (fd < 0)
                test_unmet("ld-cache", "there is no /etc/ld.so.cache");
        assert_int_equal(ld_cache_find(fd, "libc", path, sizeof(path), &err), 0);
        assert_non_null(strstr(path, "/libc.so.6"));
        close(fd);
}

static void test_bad_caches(void **state) {
        struct cache cache = make_cache();
        struct error err;
        char path[64];
        uint8_t *large;

        for (size_t n = 0; n < sizeof(cache) - sizeof(cache.texts); n++)
                assert_int_equal(find(&cache, n, "libx", path, &err), -ENOEXEC);
        cache.n_libs = UINT32_MAX;
        assert_int_equal(find(&cache, sizeof(cache), "libx", path, &err), -ENOEXEC);
        cache = make_cache();
        cache.entries[1].key = UINT32_MAX;
        assert_int_equal(find(&cache, sizeof(cache), "libx", path, &err), -ENOEXEC);
        large = calloc(1, LIMIT_LD_CACHE_MAX + 1);
        assert_int_equal(find(large, LIMIT_LD_CACHE_MAX + 1, "libx", path, &err), -EFBIG);
        /* Many entries that name one long text: each look at it is short. */
        memset(large, 'l', LIMIT_LD_CACHE_MAX);
        cache = make_cache();
        cache.n_libs = (LIMIT_LD_CACHE_MAX / 2) / sizeof(cache.entries[0]);
        memcpy(large, &cache, offsetof(struct cache, entries));
        for (size_t i = 0; i < cache.n_libs; i++) {
                cache.entries[0].key = cache.entries[0].value = LIMIT_LD_CACHE_MAX / 2 + 64;
                memcpy(large + offsetof(struct cache, entries) + i * sizeof(cache.entries[0]),
                       &cache.entries[0], sizeof(cache.entries[0]));
        }
        assert_int_equal(find(large, LIMIT_LD_CACHE_MAX, "libx", path, &err), -ENOEXEC);
        free(large);
}

/* --- functions and USDT probes --- */

/* The probed program of the system tests has both; its own code says where the function is. */
static void test_function(void **state) {
        int fd = open_built("tests/system/probed");
        struct error err;
        uint64_t offset = 0;
        uint8_t code[4];

        assert_int_equal(probe_elf_function(fd, "probed_function", &offset, &err), 0);
        assert_int_equal(pread(fd, code, sizeof(code), (off_t)offset), sizeof(code));
        assert_true(offset > 0);
        assert_int_equal(probe_elf_function(fd, "probed_functio", &offset, &err), -ENOENT);
        assert_int_equal(probe_elf_function(fd, "", &offset, &err), -ENOENT);
        close(fd);
}

static void test_usdt(void **state) {
        int fd = open_built("tests/system/probed");
        struct usdt_place places[4];
        struct usdt_spec spec;
        struct error err;

        assert_int_equal(
                probe_elf_usdt(fd, "gadget_test", "ping", places, ARRAY_SIZE(places), &err), 1);
        assert_true(places[0].offset > 0);
        assert_int_equal(places[0].semaphore, 0);
        if (usdt_args_parse(places[0].args, &spec, &err) < 0)
                fail_msg("%s", err.msg);
        assert_int_equal(spec.n_args, 2);
        assert_true(spec.args[0].is_signed && spec.args[1].is_signed);
        assert_int_equal(spec.args[0].shift, 32);
        assert_int_equal(spec.args[1].shift, 0);
        assert_int_equal(probe_elf_usdt(fd, "gadget_test", "pong", places, 4, &err), -ENOENT);
        assert_int_equal(probe_elf_usdt(fd, "gadget_tes", "ping", places, 4, &err), -ENOENT);
        assert_int_equal(probe_elf_usdt(fd, "gadget_test", "ping", places, 0, &err), -E2BIG);
        close(fd);
}

#if defined(__x86_64__)
static void expect_arg(const char *text, enum usdt_arg_type type, int64_t value, int offset) {
        struct usdt_spec spec;
        struct error err;

        if (usdt_args_parse(text, &spec, &err) < 0)
                fail_msg("'%s': %s", text, err.msg);
        assert_int_equal(spec.n_args, 1);
        assert_int_equal(spec.args[0].type, type);
        assert_true((int64_t)spec.args[0].value == value);
        assert_int_equal(spec.args[0].register_offset, offset);
}

static void test_args(void **state) {
        static const char *const wrong[] = { "4@",       "@%eax",     "3@%eax",  "4@%foo",
                                             "4@(%rax",  "4@x(%rax)", "4@%rax,", "8@8(%rax,%rdx,8)",
                                             "8f@%xmm0", "8@$",       "-8" };
        char many[13 * 7 + 1] = "";
        struct usdt_spec spec;
        struct error err;

        expect_arg("-4@%eax", USDT_ARG_REGISTER, 0, 80);
        expect_arg(" 8@%r15 ", USDT_ARG_REGISTER, 0, 0);
        expect_arg("1@%dil", USDT_ARG_REGISTER, 0, 112);
        expect_arg("-4@$-9", USDT_ARG_CONST, -9, 0);
        expect_arg("8@$0x10", USDT_ARG_CONST, 16, 0);
        expect_arg("-4@-20(%rbp)", USDT_ARG_MEMORY, -20, 32);
        expect_arg("8@(%rsp)", USDT_ARG_MEMORY, 0, 152);
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_int_equal(usdt_args_parse(wrong[i], &spec, &err), -EOPNOTSUPP);
        assert_int_equal(usdt_args_parse("", &spec, &err), 0);
        assert_int_equal(spec.n_args, 0);
        for (size_t i = 0; i < 13; i++)
                memcpy(many + 7 * i, "4@%eax ", 8);
        assert_int_equal(usdt_args_parse(many, &spec, &err), -E2BIG);
}
#endif

/* Every byte of the headers and tables changed, and the file cut everywhere: it ends, one way or
 * another, and soon. */
static void test_mutations(void **state) {
        struct random random = random_init("probe-files");
        struct buf file = BUF_INIT(1 << 20);
        char path[512];
        size_t tried = 0;

        snprintf(path, sizeof(path), "%s/tests/system/probed", TEST_BUILD_DIR);
        assert_int_equal(read_file_at(AT_FDCWD, path, &file), 0);
        for (unsigned int i = 0; i < 2000; i++) {
                size_t cut = random_below(&random, 8) || file.len == 0
                                     ? file.len
                                     : random_below(&random, (uint32_t)file.len);
                uint8_t *copy = malloc(cut + 1);
                struct usdt_place places[4];
                struct error err = { 0 };
                uint64_t offset;
                int fd, r;

                memcpy(copy, file.data, cut);
                for (unsigned int k = 0; k < 4 && cut > 0; k++)
                        copy[random_below(&random, k < 2 ? (uint32_t)MIN(cut, (size_t)1024)
                                                         : (uint32_t)cut)] =
                                (uint8_t)random_below(&random, 256);
                fd = memfd_sealed("elf", copy, cut);
                r = probe_elf_function(fd, "probed_function", &offset, &err);
                assert_true(r == 0 || err.msg[0]);
                r = probe_elf_usdt(fd, "gadget_test", "ping", places, 4, &err);
                assert_true(r > 0 || err.msg[0]);
                tried += r < 0;
                close(fd);
                free(copy);
        }
        assert_true(tried > 0);
        buf_done(&file);
}

/* Tables of symbols without an end: so much is read, and no more. */
static void test_too_many_symbols(void **state) {
        struct buf file = BUF_INIT(1 << 20);
        const off_t size = (off_t)(LIMIT_PROBE_READS_MAX + 10) * (64 << 10);
        char path[512];
        struct error err;
        uint64_t offset;
        int fd = memfd_create("elf", MFD_CLOEXEC);
        struct {
                uint32_t name, type;
                uint64_t flags, address, offset, size;
                uint32_t link, info;
                uint64_t align, entry_size;
        } section;
        uint64_t table;
        uint16_t n;

        snprintf(path, sizeof(path), "%s/tests/system/probed", TEST_BUILD_DIR);
        assert_int_equal(read_file_at(AT_FDCWD, path, &file), 0);
        memcpy(&table, file.data + 40, sizeof(table));
        memcpy(&n, file.data + 60, sizeof(n));
        for (uint16_t i = 0; i < n; i++) {
                memcpy(&section, file.data + table + i * sizeof(section), sizeof(section));
                if (section.type != 11 && section.type != 2)
                        continue;
                section.offset = file.len;
                section.size = (uint64_t)size - file.len;
                memcpy(file.data + table + i * sizeof(section), &section, sizeof(section));
        }
        assert_int_equal(write_all(fd, file.data, file.len), 0);
        assert_int_equal(ftruncate(fd, size), 0);
        assert_int_equal(probe_elf_function(fd, "probed_function", &offset, &err), -E2BIG);
        assert_non_null(strstr(err.msg, "too large"));
        close(fd);
        buf_done(&file);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache),      cmocka_unit_test(test_own_cache),
        cmocka_unit_test(test_bad_caches), cmocka_unit_test(test_function),
        cmocka_unit_test(test_usdt),
#if defined(__x86_64__)
        cmocka_unit_test(test_args),
#endif
        cmocka_unit_test(test_mutations),  cmocka_unit_test(test_too_many_symbols),
};
TEST_MAIN("worker-probe-files", tests)
