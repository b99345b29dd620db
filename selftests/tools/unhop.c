// SPDX-License-Identifier: Apache-2.0
/*
 * unhop DEV ADDRESS...
 *
 * Take off the outermost IP header of what comes in by DEV for one of these
 * addresses with IP inside, as a router does that has a tunnel of RFC 2003 or
 * RFC 2473. For kernels without these; by an XDP program of straight code,
 * which stays when this ends.
 */
#include <arpa/inet.h>
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

#define ADDRESSES_MAX 8
#define PER_ADDRESS 40
#define ETHERNET 14

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
#define ADD(to, number)                                                                                      \
	(struct bpf_insn)                                                                                    \
	{                                                                                                    \
		BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, number                                                \
	}

/* What tells a header of a family: bytes as they stand in it, behind Ethernet. */
struct family {
	int af, header, addr_at, addr_len, proto_at, proto;
	uint16_t type; /* as it stands behind the MACs */
};

static const struct family families[] = {
	{ AF_INET, 20, 16, 4, 9, IPPROTO_IPIP, 0x0800 },
	{ AF_INET6, 40, 24, 16, 6, IPPROTO_IPV6, 0x86dd },
};

struct program {
	struct bpf_insn at[ADDRESSES_MAX * PER_ADDRESS + 8];
	int n;
	int leave[PER_ADDRESS], n_leave; /* jumps to the end of the address's part */
};

static void add(struct program *p, struct bpf_insn insn)
{
	p->at[p->n++] = insn;
}

/* r2, as it was loaded, is that number, or the part ends. */
static void must_be(struct program *p, uint32_t number)
{
	p->leave[p->n_leave++] = p->n;
	add(p, (struct bpf_insn){ BPF_JMP32 | BPF_JNE | BPF_K, 2, 0, 0, (int32_t)number });
}

/* r6: the context, r7: where the frame begins. The Ethernet header goes on by the header's length. */
static void take_off(struct program *p, const struct family *f)
{
	static const int words[] = { 0, 4, 8 };

	for (int i = 0; i < 3; i++) {
		add(p, LOAD(BPF_W, 2, 7, words[i]));
		add(p, STORE(BPF_W, 7, words[i] + f->header, 2));
	}
	add(p, LOAD(BPF_H, 2, 7, 12));
	add(p, STORE(BPF_H, 7, 12 + f->header, 2));
	add(p, MOVE(1, 6));
	add(p, SET(2, f->header));
	add(p, (struct bpf_insn){ BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_adjust_head });
	add(p, SET(0, XDP_PASS));
	add(p, (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT });
}

static void part(struct program *p, const struct family *f, const uint8_t *addr)
{
	p->n_leave = 0;
	add(p, LOAD(BPF_W, 7, 6, offsetof(struct xdp_md, data)));
	add(p, LOAD(BPF_W, 8, 6, offsetof(struct xdp_md, data_end)));
	add(p, MOVE(2, 7));
	add(p, ADD(2, ETHERNET + f->header));
	p->leave[p->n_leave++] = p->n;
	add(p, (struct bpf_insn){ BPF_JMP | BPF_JGT | BPF_X, 2, 8, 0, 0 });
	add(p, LOAD(BPF_H, 2, 7, 12));
	must_be(p, htons(f->type));
	add(p, LOAD(BPF_B, 2, 7, ETHERNET + f->proto_at));
	must_be(p, f->proto);
	for (int i = 0; i < f->addr_len; i += 4) {
		uint32_t word;

		memcpy(&word, addr + i, sizeof(word));
		add(p, LOAD(BPF_W, 2, 7, ETHERNET + f->addr_at + i));
		must_be(p, word);
	}
	take_off(p, f);
	for (int i = 0; i < p->n_leave; i++)
		p->at[p->leave[i]].off = p->n - p->leave[i] - 1;
}

static int load(char *const *addresses, int n)
{
	struct program p = { .n = 0 };

	add(&p, MOVE(6, 1));
	for (int i = 0; i < n; i++) {
		const struct family *f = &families[strchr(addresses[i], ':') != NULL];
		uint8_t addr[16];

		if (inet_pton(f->af, addresses[i], addr) != 1)
			return -EINVAL;
		part(&p, f, addr);
	}
	add(&p, SET(0, XDP_PASS));
	add(&p, (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT });
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "unhop", "GPL", p.at, p.n, NULL);
}

int main(int argc, char **argv)
{
	int ifindex = argc > 2 && argc - 2 <= ADDRESSES_MAX ? (int)if_nametoindex(argv[1]) : 0, fd, rc;

	if (!ifindex) {
		fprintf(stderr, "usage: unhop DEV ADDRESS...\n");
		return EXIT_FAILURE;
	}
	fd = load(argv + 2, argc - 2);
	rc = fd < 0 ? fd : bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL);
	if (rc)
		fprintf(stderr, "unhop: %s: %s\n", argv[1], strerror(-rc));
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
