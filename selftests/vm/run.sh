#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The BPF and namespace tests inside other kernels, each booted by virtme-ng:
#
#   KERNELS="6.1 6.12" run.sh [PATTERN...]     tests
#   KERNELS=6.12 run.sh bench/NAME.sh          a benchmark, and nothing else
#
# A kernel's packages, QEMU and virtme-ng come to $BUILD/vm and nowhere else. The
# guest sees this system's files, read-only, and runs selftests/run.sh. Prints what
# went wrong in it, what the verifier made of the programs as each clang compiles
# them, in these kernels and in the one that runs here, a line a kernel, and "N
# passed, N failed, N skipped". The table stays in $BUILD/vm/report.txt, all that a
# guest said in $BUILD/vm/KERNEL.log.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
cd "$ROOT" || exit 1
export BUILD=$(realpath -m "${BUILD:-build}")
VM=$BUILD/vm
KERNELS=${KERNELS:-6.1 6.12 7.2}
CLANGS=${CLANGS:-14 19}
CPUS=${CPUS:-1}                  # more make an emulated guest slower
GUEST_LIMIT=${GUEST_LIMIT:-3000} # seconds for one guest
BOOT_LIMIT=${BOOT_LIMIT:-240}    # of these, for its first words
SHARE=${SHARE:-25}               # percent of the verifier's million instructions that a program may take
passed=0 failed=0 skipped=0
lines=() compiled=()

. "$HERE/fetch.sh"

fail() { failed=$((failed + 1)); echo "FAIL $*"; }
skip() { skipped=$((skipped + 1)); echo "skip $*"; }
give_up() { echo "FAIL $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# /dev/kvm may be there and of no use.
has_kvm() { grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; }

# The tests of a kernel: those asked for, else all that an emulated guest can run.
choose() { # KERNEL PATTERN...
	local kernel=$1 name file why
	shift
	TESTS=("$@")
	[ $# = 0 ] || return 0
	TESTS=(prog)
	for file in "$ROOT"/selftests/net/[0-9]*.sh; do
		name=net/$(basename "$file" .sh)
		why=$(awk -v k="$kernel" -v n="$name" '($1 == k || $1 == "any") && $2 == n { $1 = $2 = ""; print }' "$HERE/skipped")
		if [ -n "$why" ]; then skip "$kernel: $name:$why"; else TESTS+=("$name"); fi
	done
}

# Starts virtme-ng with its output in the pipe $VM/out (it opens that by name, more than once: a
# file would be cut off), and its pid in GUEST.
boot() { # KERNEL COMMAND
	local kvm=--disable-kvm
	! has_kvm || kvm=
	timeout -k 20 "$GUEST_LIMIT" nice -n 15 /usr/bin/python3 "$(type -P vng)" --run "$(image_of "$1")" $kvm --force-9p \
		--qemu "$VM/bin/qemu-system-x86_64" --busybox "$VM/bin/busybox-static" --cpus "$CPUS" --memory 2G \
		--user root --rodir=/usr/local/bin="$VM/bin" --exec "$2" </dev/null >"$VM/out" 2>&1 &
	GUEST=$!
}

booted() { grep -qa '^== ' "$VM/$1.log"; }

# attempt KERNEL COMMAND: the guest's exit code. One that is not up in time is ended.
attempt() {
	local status reader i
	: >"$VM/$1.log"
	tee "$VM/$1.log" <"$VM/out" | show &
	reader=$!
	boot "$@"
	for ((i = 0; i < BOOT_LIMIT; i++)); do
		booted "$1" || ! kill -0 "$GUEST" 2>/dev/null && break
		sleep 1
	done
	booted "$1" || kill "$GUEST" 2>/dev/null
	wait "$GUEST"
	status=$?
	GUEST=
	wait "$reader"
	return $status
}

# What a reader wants to see while a guest runs: all from its first words on but what went well.
show() { sed -u -n '/^== /,$ { /^ok /d; /^verified /d; s/^/    /p }'; }

# A line a kernel: the guest's exit code and sums.
guest() { # KERNEL PATTERN...
	local kernel=$1 log=$VM/$1.log status start=$SECONDS slow=10 last command again=
	! has_kvm || slow=1
	choose "$@"
	echo "-- booting $kernel: $(release_of "$kernel")"
	command="BUILD=$BUILD LIMIT=900 DOVE_TEST_SLOW=$slow ROUNDS=${ROUNDS:-} SECS=${SECS:-} NICS='${NICS:-}' $HERE/guest.sh '${compiled[*]}' ${TESTS[*]}"
	attempt "$kernel" "$command"
	status=$?
	if ! booted "$kernel"; then
		echo "-- it did not boot (exit code $status), once more; its last lines:"
		tail -n 15 "$log" | sed 's/^/     | /'
		mv "$log" "$VM/$kernel.first-boot.log"
		again="; second boot"
		attempt "$kernel" "$command"
		status=$?
	fi
	last=$(grep -aE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	if [ "$last" = "0 passed, 0 failed, 0 skipped" ]; then
		fail "$kernel: no test is called ${TESTS[*]}"
	elif [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+) ]] && [ $status -lt 2 ]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
		[ $status = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || failed=$((failed + 1))
	else
		fail "$kernel did not come to its end (exit code $status), its last lines:"
		tail -n 15 "$log" | sed 's/^/     | /'
		last=unfinished
	fi
	lines+=("$kernel: exit code $status; $last; $((SECONDS - start)) s; $(release_of "$kernel")$again")
}

# The programs as each clang compiles them, by the rule that makes our own.
compile() {
	local clang why
	for clang in $CLANGS; do
		if why=$(fetch_clang "$clang" 2>&1) && make -s B="$VM/clang-$clang" CLANG="clang-$clang" "$VM/clang-$clang/bpf/dove.bpf.o"; then
			compiled+=("$clang")
		else
			fail "clang-$clang: ${why##*$'\n'}"
		fi
	done
}

# The kernel that runs here can be asked at once.
here() {
	[ "$(id -u)" = 0 ] || { skip "the programs in $(uname -r), which runs here: needs root"; return; }
	"$HERE/guest.sh" "${compiled[*]}" >"$VM/here.log"
}

# Size and verified instructions by kernel and clang.
report() {
	local kernel
	for kernel in here $KERNELS; do
		[ ! -f "$VM/$kernel.log" ] || sed -n "s/^verified/$kernel/p" "$VM/$kernel.log"
	done | awk -v share="$SHARE" '
		BEGIN { printf "%-7s %-6s %-24s %12s %8s %10s %6s\n", "kernel", "clang", "program", "instructions", "xlated", "verified", "limit" }
		{ of = $6 / 10000; printf "%-7s %-6s %-24s %12d %7dB %10d %5.1f%%%s\n", $1, $2, $3, $4, $5, $6, of, (of > share) ? " TOO NEAR" : "" }' |
		tee "$VM/report.txt"
}

# A check for each kernel and clang: the programs load, and leave room to grow.
judge() {
	local kernel clang near
	for kernel in here $KERNELS; do
		[ -f "$VM/$kernel.log" ] || continue
		for clang in "${compiled[@]}"; do
			near=$(awk -v k="$kernel" -v c="$clang" '$1 == k && $2 == c && /TOO NEAR/ { printf " %s", $3 }' "$VM/report.txt")
			if ! grep -q "^$kernel *$clang " "$VM/report.txt"; then
				fail "$kernel: the programs as clang $clang compiles them do not load"
			elif [ -n "$near" ]; then
				fail "$kernel: clang $clang: more than $SHARE % of what the verifier walks:$near"
			else
				passed=$((passed + 1))
			fi
		done
	done
}

tidy() {
	trap '' INT TERM
	[ -z "$GUEST" ] || { kill "$GUEST" 2>/dev/null; wait "$GUEST" 2>/dev/null; }
	rm -rf "$VM/out" "$VM/tmp"
}

GUEST=
benchmark=false
[[ ${1:-} != bench/* ]] || benchmark=true
mkdir -p "$VM/bin" "$VM/tmp"
exec 9>"$VM/lock"
flock -n 9 || give_up "another run has $VM"
trap tidy EXIT
trap 'exit 130' INT TERM
[ "$(uname -m)" = x86_64 ] && type apt-get dpkg >/dev/null 2>&1 || give_up "the guests are made of Debian's packages for amd64"
[ -x /usr/bin/python3 ] || give_up "virtme-ng needs /usr/bin/python3"
export TMPDIR=$VM/tmp PYTHONPATH=$VM/tools/usr/lib/python3/dist-packages
PATH=$VM/bin:$VM/tools/usr/bin:$PATH
rm -f "$VM"/*.log "$VM/out" "$VM/report.txt"
mkfifo "$VM/out"
fetch_tools || give_up "QEMU and virtme-ng cannot be had"
if $benchmark; then fetch_ovs || skip "Open vSwitch is not there to be measured beside"; else compile; here; fi
for kernel in $KERNELS; do
	if fetch_kernel "$kernel"; then guest "$kernel" "$@"; else fail "$kernel was not booted"; fi
done
echo
$benchmark || { report; judge; }
printf '%s\n' "${lines[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
