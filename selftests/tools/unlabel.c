// SPDX-License-Identifier: Apache-2.0
/*
 * unlabel DEV
 *
 * Take the MPLS labels off what comes in by DEV, as the last router but one of
 * a label switched path does. For kernels without MPLS; by an XDP program of
 * straight code, which stays when this ends.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 4
#define PER_LABEL 25
#define INSNS_MAX (LABELS_MAX * PER_LABEL + 8)
#define LABELLED 0x4788 /* 0x8847 as a little-endian machine reads it */

#define LOAD(size, to, from, at)                                                                             \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_LDX | BPF_MEM | (size), to, from, at, 0                                                  \
	}
#define STORE(size, to, at, from)                                                                            \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_STX | BPF_MEM | (size), to, from, at, 0                                                  \
	}
#define MOVE(to, from)                                                                                       \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0                                                  \
	}
#define SET(to, number)                                                                                      \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, number                                                \
	}
#define WITH(op, to, number)                                                                                 \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_ALU64 | (op) | BPF_K, to, 0, 0, number                                                   \
	}
#define IF(op, what, number, skip)                                                                           \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_JMP | (op) | BPF_K, what, 0, skip, number                                                \
	}
#define CALL(helper)                                                                                         \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_JMP | BPF_CALL, 0, 0, 0, helper                                                          \
	}

struct program {
	struct bpf_insn at[INSNS_MAX];
	int n;
};

static void add(struct program *p, struct bpf_insn insn)
{
	p->at[p->n++] = insn;
}

/* The rest of the program is left out unless r2 is below r8: what reads up to there may read. */
static int leave_unless_there(struct program *p)
{
	add(p, (struct bpf_insn){ BPF_JMP | BPF_JGT | BPF_X, 2, 8, 0, 0 });
	return p->n - 1;
}

/* r6: the context. Ethernet, a label, a byte of what is behind it. */
static void pop(struct program *p, int *exits)
{
	add(p, LOAD(BPF_W, 7, 6, offsetof(struct xdp_md, data)));
	add(p, LOAD(BPF_W, 8, 6, offsetof(struct xdp_md, data_end)));
	add(p, MOVE(2, 7));
	add(p, WITH(BPF_ADD, 2, 19));
	exits[0] = leave_unless_there(p);
	add(p, LOAD(BPF_H, 1, 7, 12));
	exits[1] = p->n;
	add(p, IF(BPF_JNE, 1, LABELLED, 0));
	add(p, LOAD(BPF_B, 2, 7, 16));
	add(p, IF(BPF_JSET, 2, 1, 1)); /* bottom of the stack */
	add(p, (struct bpf_insn){ BPF_JMP | BPF_JA, 0, 0, 5, 0 });
	add(p, LOAD(BPF_B, 2, 7, 18));
	add(p, WITH(BPF_RSH, 2, 4));
	add(p, SET(1, 0x0008)); /* IPv4 */
	add(p, IF(BPF_JEQ, 2, 4, 1));
	add(p, SET(1, 0xdd86));	      /* IPv6 */
	add(p, LOAD(BPF_W, 2, 7, 8)); /* the Ethernet header goes 4 bytes on */
	add(p, LOAD(BPF_W, 3, 7, 4));
	add(p, LOAD(BPF_W, 4, 7, 0));
	add(p, STORE(BPF_H, 7, 16, 1));
	add(p, STORE(BPF_W, 7, 12, 2));
	add(p, STORE(BPF_W, 7, 8, 3));
	add(p, STORE(BPF_W, 7, 4, 4));
	add(p, MOVE(1, 6));
	add(p, SET(2, 4));
	add(p, CALL(BPF_FUNC_xdp_adjust_head));
}

static int load(void)
{
	struct program p = { .n = 0 };
	int exits[LABELS_MAX][2];

	add(&p, MOVE(6, 1));
	for (int i = 0; i < LABELS_MAX; i++)
		pop(&p, exits[i]);
	for (int i = 0; i < 2 * LABELS_MAX; i++)
		p.at[exits[i / 2][i % 2]].off = p.n - exits[i / 2][i % 2] - 1;
	add(&p, SET(0, XDP_PASS));
	add(&p, (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT });
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "unlabel", "GPL", p.at, p.n, NULL);
}

int main(int argc, char **argv)
{
	int ifindex = argc == 2 ? (int)if_nametoindex(argv[1]) : 0, fd, rc;

	if (!ifindex) {
		fprintf(stderr, "usage: unlabel DEV\n");
		return EXIT_FAILURE;
	}
	fd = load();
	rc = fd < 0 ? fd : bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL);
	if (rc)
		fprintf(stderr, "unlabel: %s: %s\n", argv[1], strerror(-rc));
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
