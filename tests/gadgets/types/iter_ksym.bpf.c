/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Symbols of the kernel. */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <gadget/macros.h>
#include <gadget/types.h>

struct symbol {
        char name[128];
        char module[16];
        __u8 type;
};

GADGET_ITER(symbols, symbol, on_symbol);

SEC("iter/ksym")
int on_symbol(struct bpf_iter__ksym *ctx) {
        struct kallsym_iter *symbol = ctx->ksym;
        struct symbol row = {};

        if (!symbol)
                return 0;
        BPF_CORE_READ_STR_INTO(&row.name, symbol, name);
        BPF_CORE_READ_STR_INTO(&row.module, symbol, module_name);
        row.type = BPF_CORE_READ(symbol, type);
        bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
        return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
