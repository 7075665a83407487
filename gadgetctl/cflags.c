/* SPDX-License-Identifier: Apache-2.0 */
#include "gadgetctl/cflags.h"

#define BLANKS " \t\r\n"

enum shape {
        WHOLE,    /* the word as it stands */
        JOINED,   /* the value follows at once */
        ARGUMENT, /* the value follows at once or is the next word */
};

static const struct {
        const char *text;
        enum shape shape;
} allowed[] = {
        { "-D", ARGUMENT },
        { "-U", ARGUMENT },
        /* Only read from: what a source can #include anyway. */
        { "-I", ARGUMENT },
        { "-iquote", ARGUMENT },
        { "-isystem", ARGUMENT },
        { "-idirafter", ARGUMENT },
        { "-include", ARGUMENT },
        { "-std=", JOINED },
        { "-mcpu=", JOINED },
        { "-O0", WHOLE },
        { "-O1", WHOLE },
        { "-O2", WHOLE },
        { "-O3", WHOLE },
        { "-Os", WHOLE },
        { "-Oz", WHOLE },
        { "-w", WHOLE },
        { "-pedantic", WHOLE },
        { "-W", JOINED },
        { "-funroll-loops", WHOLE },
        { "-fno-unroll-loops", WHOLE },
        { "-fno-builtin", WHOLE },
        { "-fno-jump-tables", WHOLE },
        { "-fno-stack-protector", WHOLE },
        { "-fno-strict-aliasing", WHOLE },
        { "-fms-extensions", WHOLE },
        { "-fwrapv", WHOLE },
};

/* They begin like warnings and hand options to the preprocessor, the assembler and the linker. */
static const char *const disguised[] = { "-Wp,", "-Wa,", "-Wl," };

static bool is_disguised(const char *word) {
        for (size_t i = 0; i < ARRAY_SIZE(disguised); i++)
                if (str_after(word, disguised[i]))
                        return true;
        return false;
}

/* 1 = one word more belongs to it. */
static int check_word(const char *word, struct error *err) {
        for (size_t i = 0; i < ARRAY_SIZE(allowed) && !is_disguised(word); i++) {
                const char *value = str_after(word, allowed[i].text);

                if (!value || (value[0] && allowed[i].shape == WHOLE))
                        continue;
                if (!value[0] && allowed[i].shape == JOINED)
                        continue;
                return !value[0] && allowed[i].shape == ARGUMENT;
        }
        return error_set(err, ERROR_INVALID, -EINVAL,
                         "--cflags: '%.100s' is refused; options that choose macros, header "
                         "directories, warnings, -O, -std and -mcpu are taken",
                         word);
}

/* The value of the word before it: nothing that clang itself would take for more. */
static int check_value(const char *option, const char *word, struct error *err) {
        if (word[0] != '-' && word[0] != '@')
                return 0;
        return error_set(err, ERROR_INVALID, -EINVAL, "--cflags: '%.100s' is no value for '%.20s'",
                         word, option);
}

static int add_words(const char *text, struct cflags *cflags, struct error *err) {
        bool is_value = false;
        size_t n;
        int r;

        for (text += strspn(text, BLANKS); *text; text += n + strspn(text + n, BLANKS)) {
                char *word;

                n = strcspn(text, BLANKS);
                if (cflags->n == CFLAGS_MAX)
                        return error_set(err, ERROR_LIMIT, -E2BIG, "--cflags: more than %d words",
                                         CFLAGS_MAX);
                word = strndup(text, n);
                if (!word)
                        return -ENOMEM;
                cflags->words[cflags->n++] = word;
                r = is_value ? check_value(cflags->words[cflags->n - 2], word, err)
                             : check_word(word, err);
                if (r < 0)
                        return r;
                is_value = r > 0;
        }
        if (is_value)
                return error_set(err, ERROR_INVALID, -EINVAL, "--cflags: '%.20s' has no value",
                                 cflags->words[cflags->n - 1]);
        return 0;
}

int cflags_read(const struct word_list *options, struct cflags *ret, struct error *err) {
        struct cflags cflags = { .n = 0 };
        int r = 0;

        for (size_t i = 0; i < options->n && r == 0; i++)
                r = add_words(options->items[i], &cflags, err);
        if (r < 0) {
                cflags_done(&cflags);
                return r;
        }
        *ret = cflags;
        return 0;
}

void cflags_done(struct cflags *cflags) {
        for (size_t i = 0; i < cflags->n; i++)
                free(cflags->words[i]);
        *cflags = (struct cflags){ .n = 0 };
}
