#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A benchmark that is interrupted takes down all that it made, wherever it is then: no namespace, process, pin,
# interface or file of it is left.
. "$(dirname "$0")/lib.sh"

room
[ -x "$BUILD/bench/pump" ] || { skip "bench: $BUILD/bench is not built"; finish; exit; }
mkdir "$W/tmp" # all files of it, and what it mounts

# What the kernel has that can be left behind, a line each. Programs and links go with what holds them: a process, or
# a pin.
state() {
	{
		ip netns list | sed 's/^/namespace /'
		ip -br link | sed 's/^/interface /; s/@.*//'
		find $(findmnt -rno TARGET -t bpf) /sys/fs/bpf | sed 's/^/mount, or pin /'
		grep -H . /proc/sys/net/ipv{4,6}/neigh/default/gc_thresh3
	} 2>/dev/null | sort
}
marked() { grep -lszx "DOVE_BENCH_OF=$P" /proc/[0-9]*/environ | cut -d / -f 3; } # its processes
new() { comm -13 "$W/before" <(state); }
namespaces() { new | grep -q ^namespace; }
runs() { [[ " $(for p in $(marked); do cat "/proc/$p/comm"; done | xargs) " == *" $1 "* ]]; } # COMMAND
gone() {
	local p
	new
	for p in $(marked); do echo "process $p: $(tr '\0' ' ' <"/proc/$p/cmdline")"; done
	find "$W/tmp" -mindepth 1
} 2>/dev/null
nothing() { [ -z "$(gone)" ] || { gone; false; }; }
ended() { ! kill -0 "${PID[bench]}"; }

# As from a terminal: a process group of its own, and no signal ignored, as it is for what a script has in the background.
begin() { # COMMAND...
	set -m
	DOVE_BENCH_OF=$P TMPDIR=$W/tmp QUICK=1 "$@" </dev/null >"$W/bench.log" 2>&1 &
	PID[bench]=$!
	set +m
}
# interrupt TEXT SIGNAL TO WHEN... -- COMMAND...: TO is its group, as a terminal does, or the one process
interrupt() {
	local text=$1 signal=$2 to=$3 when=()
	shift 3
	while [ "$1" != -- ]; do when+=("$1"); shift; done
	begin "${@:2}"
	until_ok 60 "${when[@]}" || fail "$text: it does not come to it"
	[ "$to" = one ] && kill -s "$signal" "${PID[bench]}" || kill -s "$signal" -- "-${PID[bench]}"
	check "$text: it ends" until_ok 10 ended
	stop bench
	until_ok 2 nothing # a process that was killed is there for a moment more
	check "$text: and nothing is left" nothing
}

state >"$W/before"
RUN=$ROOT/bench/run.sh
if command -v make >/dev/null; then
	MAKE=(make -C "$ROOT" --no-print-directory B="$(realpath --relative-to="$ROOT" "$BUILD")" bench)
	interrupt "INT to make and all of it, amid the namespaces" INT group namespaces -- "${MAKE[@]}"
	interrupt "TERM to make alone" TERM one namespaces -- "${MAKE[@]}"
else
	skip "INT and TERM to make: there is none here"
fi
interrupt "INT, at once" INT group true -- "$RUN"
interrupt "TERM, in a stream" TERM one runs pump -- "$RUN" path
interrupt "INT, in the programs alone" INT group runs programs -- "$RUN" programs
interrupt "INT, among first packets" INT group runs first -- "$RUN" miss
interrupt "TERM, in a stream through services" TERM one runs iperf3 -- "$RUN" hops
interrupt "INT, while policies are applied" INT group runs dove-dps -- "$RUN" policies
if command -v unbound dnsperf wrk >/dev/null; then
	interrupt "TERM, among answers" TERM one runs dove-dps -- "$RUN" resolve
else
	skip "in the answers: they need unbound, dnsperf and wrk"
fi
finish
