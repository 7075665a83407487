/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/usdt-args.h"

#include <ctype.h>
#include <stdio.h>

#include "base/parse.h"
#include "base/util.h"

#define WORD_MAX 64

_Static_assert(sizeof(struct usdt_arg) == 16 && sizeof(struct usdt_spec) == 208,
               "as in <bpf/usdt.bpf.h>");

static int unknown(struct error *err, const char *text) {
        return error_set(err, ERROR_UNAVAILABLE, -EOPNOTSUPP,
                         "the argument '%.64s' of a USDT probe has a form that is not known", text);
}

/* A number of either sign at the front of text. */
static bool take_number(const char **text, int64_t *ret) {
        char word[WORD_MAX];
        size_t n = **text == '-' || **text == '+';

        n += strspn(*text + n, "0123456789xabcdefABCDEF");
        if (n == 0 || n >= sizeof(word))
                return false;
        snprintf(word, sizeof(word), "%.*s", (int)n, *text + (**text == '+'));
        word[n - (**text == '+')] = '\0';
        if (parse_i64(word, INT64_MIN, INT64_MAX, ret) < 0)
                return false;
        *text += n;
        return true;
}

#if defined(__x86_64__)

/* Names of one register by size, and where struct pt_regs has it. */
static const struct {
        const char *names[4];
        int16_t offset;
} registers[] = {
        { { "r15", "r15d", "r15w", "r15b" }, 0 },  { { "r14", "r14d", "r14w", "r14b" }, 8 },
        { { "r13", "r13d", "r13w", "r13b" }, 16 }, { { "r12", "r12d", "r12w", "r12b" }, 24 },
        { { "rbp", "ebp", "bp", "bpl" }, 32 },     { { "rbx", "ebx", "bx", "bl" }, 40 },
        { { "r11", "r11d", "r11w", "r11b" }, 48 }, { { "r10", "r10d", "r10w", "r10b" }, 56 },
        { { "r9", "r9d", "r9w", "r9b" }, 64 },     { { "r8", "r8d", "r8w", "r8b" }, 72 },
        { { "rax", "eax", "ax", "al" }, 80 },      { { "rcx", "ecx", "cx", "cl" }, 88 },
        { { "rdx", "edx", "dx", "dl" }, 96 },      { { "rsi", "esi", "si", "sil" }, 104 },
        { { "rdi", "edi", "di", "dil" }, 112 },    { { "rip", "eip", "", "" }, 128 },
        { { "rsp", "esp", "sp", "spl" }, 152 },
};

/* "%rax" at the front of text. */
static bool take_register(const char **text, int16_t *ret) {
        size_t n = **text == '%' ? strspn(*text + 1, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;

        for (size_t i = 0; i < ARRAY_SIZE(registers) && n > 0; i++)
                for (size_t k = 0; k < ARRAY_SIZE(registers[i].names); k++)
                        if (strlen(registers[i].names[k]) == n &&
                            memcmp(registers[i].names[k], *text + 1, n) == 0) {
                                *text += 1 + n;
                                *ret = registers[i].offset;
                                return true;
                        }
        return false;
}

/* "$5", "%eax", "-16(%rbp)", "(%rax)". */
static bool parse_operand(const char *text, struct usdt_arg *arg) {
        int64_t number = 0;

        if (text[0] == '$') {
                text++;
                arg->type = USDT_ARG_CONST;
                if (!take_number(&text, &number))
                        return false;
                arg->value = (uint64_t)number;
                return text[0] == '\0';
        }
        if (text[0] == '%') {
                arg->type = USDT_ARG_REGISTER;
                return take_register(&text, &arg->register_offset) && text[0] == '\0';
        }
        if (text[0] != '(' && !take_number(&text, &number))
                return false;
        arg->type = USDT_ARG_MEMORY;
        arg->value = (uint64_t)number;
        if (*text++ != '(' || !take_register(&text, &arg->register_offset))
                return false;
        return str_eq(text, ")");
}

#elif defined(__aarch64__)

static bool take_register(const char **text, int16_t *ret) {
        uint32_t number;
        char digits[3];
        size_t n;

        if (strncmp(*text, "sp", 2) == 0) {
                *text += 2;
                *ret = 31 * 8;
                return true;
        }
        n = **text == 'x' || **text == 'w' ? strspn(*text + 1, "0123456789") : 0;
        if (n == 0 || n >= sizeof(digits))
                return false;
        snprintf(digits, sizeof(digits), "%.*s", (int)n, *text + 1);
        if (parse_u32(digits, 0, 30, &number) < 0)
                return false;
        *text += 1 + n;
        *ret = (int16_t)(number * 8);
        return true;
}

/* "5", "x4", "[sp, 60]", "[x19]". */
static bool parse_operand(const char *text, struct usdt_arg *arg) {
        int64_t number = 0;

        if (text[0] == '[') {
                text++;
                arg->type = USDT_ARG_MEMORY;
                if (!take_register(&text, &arg->register_offset))
                        return false;
                if (text[0] == ',') {
                        text += 1 + strspn(text + 1, " ");
                        if (!take_number(&text, &number))
                                return false;
                }
                arg->value = (uint64_t)number;
                return str_eq(text, "]");
        }
        if (text[0] == 'x' || text[0] == 'w' || text[0] == 's') {
                arg->type = USDT_ARG_REGISTER;
                return take_register(&text, &arg->register_offset) && text[0] == '\0';
        }
        arg->type = USDT_ARG_CONST;
        if (!take_number(&text, &number))
                return false;
        arg->value = (uint64_t)number;
        return text[0] == '\0';
}

#endif

/* "-4@OPERAND". */
static bool parse_arg(const char *text, struct usdt_arg *arg) {
        int64_t size;

        *arg = (struct usdt_arg){ 0 };
        if (!take_number(&text, &size) || *text++ != '@')
                return false;
        arg->is_signed = size < 0;
        size = size < 0 ? -size : size;
        if (size != 1 && size != 2 && size != 4 && size != 8)
                return false;
        arg->shift = (int8_t)(64 - 8 * size);
        return parse_operand(text, arg);
}

/* Arguments end at a space, but not at one in brackets. */
static size_t arg_len(const char *text) {
        bool is_inside = false;
        size_t n = 0;

        for (; text[n] && (is_inside || text[n] != ' '); n++)
                is_inside = text[n] == '[' || (is_inside && text[n] != ']');
        return n;
}

int usdt_args_parse(const char *text, struct usdt_spec *ret, struct error *err) {
        *ret = (struct usdt_spec){ 0 };
        for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
                size_t n = arg_len(text);
                char word[WORD_MAX];

                if (ret->n_args == USDT_ARGS_MAX)
                        return error_set(err, ERROR_UNAVAILABLE, -E2BIG,
                                         "a USDT probe has more than %d arguments", USDT_ARGS_MAX);
                if (n >= sizeof(word))
                        return unknown(err, text);
                memcpy(word, text, n);
                word[n] = '\0';
                if (!parse_arg(word, &ret->args[ret->n_args++]))
                        return unknown(err, word);
                text += n;
        }
        return 0;
}
