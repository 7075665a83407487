/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/PROGRAM-TYPES.md from include/gadget/program-types.h. */
#include <stdio.h>
#include <string.h>

#include "gadget/program-types.h"

#define COUNT(_array) (sizeof(_array) / sizeof((_array)[0]))

#define ROW(_section, _type, _attach_type, _trust, _how, _since, _needs, _test, _tested, _note)    \
        { _section, #_type, PROGRAM_##_trust, PROGRAM_BY_##_how, _since, _needs, _test,            \
          _tested,  _note },
static const struct {
        const char *section;
        const char *type;
        enum program_trust trust;
        enum program_how how;
        const char *since;
        const char *needs;
        const char *test;
        const char *tested;
        const char *note;
} rows[] = { GADGET_PROGRAM_TYPES(ROW) };
#undef ROW

static const char preamble[] =
        "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
        "<!-- Printed by docs/dump-program-types from include/gadget/program-types.h; ./x doc "
        "writes "
        "it. -->\n"
        "# Types of programs\n\n"
        "What a gadget's author writes into `SEC(\"...\")`, and what becomes of it. Lower case is "
        "literal; what begins with a capital is the author's (N: a number).\n\n"
        "* **Works**: `yes`; `--allow-unsafe`: yes, when root says so, since the program's result "
        "or "
        "what it writes changes what the host does ([SECURITY.md](SECURITY.md)); `no`: the last "
        "column says why, and a gadget that has such a program is refused with these words.\n"
        "* **Since**: the first kernel that can do it the way gadgetd does, and what else it "
        "needs.\n"
        "* **Shown on**: the kernels on which `tests/gadgets/test-types` has run the gadget of "
        "that "
        "name in `tests/gadgets/types` through the whole chain and found the exact row. 6.18 is "
        "the machine of the tests, whose kernel has no kprobes, fentry or LSM programs; 6.1 and "
        "6.12 are Debian's cloud kernels in QEMU (`tests/gadgets/in-vm`). Nothing there: not run "
        "by itself.\n\n"
        "Where a program goes is said by its section, or in gadget.yaml:\n\n"
        "```yaml\n"
        "programs:\n"
        "  on_read:                  # the function's name; of perf_event/NAME also NAME\n"
        "    # One hook, or a list of which the first that this kernel has is taken. ${key} is "
        "the\n"
        "    # value of a parameter. gadget_program_disabled: without this program.\n"
        "    attach_to: [\"${filesystem}_file_read_iter\", \"${filesystem}_file_read\"]\n"
        "    when: slow_reads        # only if this bool parameter is true; '!name': if it is not\n"
        "    optional: true          # a kernel that has no such hook, or does not load the "
        "program, is\n"
        "    # no error, but a warning in gadgetd's log\n"
        "  on_sample:                # perf_event/ only\n"
        "    perf: { type: software, config: count_sw_cpu_clock }\n"
        "    sampler: { frequency: 49 }\n"
        "```\n\n"
        "Programs for packets go to the interfaces of `--iface a,b`; cgroup hooks to the root of "
        "cgroup2, wherever that is mounted; `sk_lookup` and `flow_dissector` to the network "
        "namespace of the host. All go with the gadget, also when its broker is killed.\n\n"
        "| section | type | works | since | needs | shown on | |\n"
        "|---|---|---|---|---|---|---|\n";

static const char *works(size_t i) {
        switch (rows[i].trust) {
        case PROGRAM_OBSERVES:
                return "yes";
        case PROGRAM_DECIDES:
                return "`--allow-unsafe`";
        case PROGRAM_NEVER:
                break;
        }
        return "no";
}

/* "SCHED_CLS" as bpftool and `image inspect` spell it. */
static void print_type(const char *type) {
        if (strcmp(type, "UNSPEC") == 0) {
                printf(" none |");
                return;
        }
        putchar(' ');
        for (; *type; type++)
                putchar(*type >= 'A' && *type <= 'Z' ? *type - 'A' + 'a' : *type);
        printf(" |");
}

int main(void) {
        fputs(preamble, stdout);
        for (size_t i = 0; i < COUNT(rows); i++) {
                printf("| `%s` |", rows[i].section);
                print_type(rows[i].type);
                printf(" %s | %s | %s | %s%s%s%s | %s |\n", works(i), rows[i].since, rows[i].needs,
                       rows[i].tested, rows[i].test[0] ? " (`" : "", rows[i].test,
                       rows[i].test[0] ? "`)" : "", rows[i].note);
        }
        return ferror(stdout) || fflush(stdout) != 0;
}
