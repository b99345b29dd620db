// SPDX-License-Identifier: Apache-2.0
/*
 * untag DEV
 *
 * Take the VLAN tag off what comes in by DEV, as a switch does that leads a
 * VLAN's path to an untagged port. For kernels without VLAN devices; by a BPF
 * program of three instructions at TC ingress, which stays when this ends.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int load(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_pop },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_OK },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "untag", "GPL", insns, sizeof(insns) / sizeof(insns[0]),
			     NULL);
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts);
	int rc;

	if (argc != 2 || !(hook.ifindex = if_nametoindex(argv[1]))) {
		fprintf(stderr, "usage: untag DEV\n");
		return EXIT_FAILURE;
	}
	opts.prog_fd = load();
	rc = opts.prog_fd < 0 ? opts.prog_fd : bpf_tc_hook_create(&hook);
	if (!rc || rc == -EEXIST)
		rc = bpf_tc_attach(&hook, &opts);
	if (rc)
		fprintf(stderr, "untag: %s: %s\n", argv[1], strerror(-rc));
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
