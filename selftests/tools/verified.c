// SPDX-License-Identifier: Apache-2.0
/*
 * verified OBJECT: load each program of a BPF object into the running kernel
 * and print what it came to, a line each: name, instructions as compiled,
 * bytes as translated by the kernel, instructions that the verifier walked.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

static int report(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int rc = bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len);

	if (rc)
		fprintf(stderr, "verified: %s: %s\n", bpf_program__name(prog), strerror(-rc));
	else
		printf("%s %zu %u %u\n", bpf_program__name(prog), bpf_program__insn_cnt(prog),
		       info.xlated_prog_len, info.verified_insns);
	return rc;
}

int main(int argc, char **argv)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: verified OBJECT\n");
		return 2;
	}
	libbpf_set_print(quiet);
	obj = bpf_object__open(argv[1]);
	rc = obj ? bpf_object__load(obj) : -errno;
	if (rc) {
		fprintf(stderr, "verified: %s: %s\n", argv[1], strerror(-rc));
		return 1;
	}
	bpf_object__for_each_program(prog, obj) rc |= report(prog);
	bpf_object__close(obj);
	return rc ? 1 : 0;
}
