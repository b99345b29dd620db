#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# guest.sh "CLANG..." [PATTERN...]: what runs inside the guest. Prints what the verifier made of the
# programs as each clang compiled them, then what run.sh prints of the tests; ends as run.sh does.
# Without a pattern the tests are left out; a benchmark (bench/NAME.sh) is run in their stead.
set -u
cd "$(dirname "$0")/../.." || exit 1
echo "== $(uname -r)"
for clang in $1; do
	"$BUILD/selftests/verified" "$BUILD/vm/clang-$clang/bpf/dove.bpf.o" 2> >(tail -n 12 >&2) | sed "s/^/verified $clang /"
done
shift
[ $# -gt 0 ] || exit 0
# The kernel loads by itself what a device's type or a table asks for; but not tun, whose device
# node udev would have made.
echo "$BUILD/vm/bin/modprobe" >/proc/sys/kernel/modprobe
"$BUILD/vm/bin/modprobe" tun
case $1 in bench/*) exec "$@" ;; esac
exec selftests/run.sh "$@"
