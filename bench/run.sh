#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All measures, or those families that are named: path, programs, miss, resolve, hops, policies. Prints a table, and
# writes BUILD/bench.json, bench.svg and bench.txt. QUICK=1: the main ones (without the last two) within 90 seconds.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD=$(realpath "$BUILD") QUICK=${QUICK:-}
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 1; }
# A family that is interrupted takes its own world down first. It is a process group, of timeout's making: again and
# again, for one that has only just begun does not hear the first.
interrupted() {
	local pid
	trap '' INT TERM HUP
	pid=$(jobs -p)
	while [ -n "$pid" ] && kill -0 "$pid"; do
		kill -- "-$pid" || kill "$pid"
		sleep 0.2
	done 2>/dev/null
	exit 130
}
SAMPLES=
trap '[ -z "$SAMPLES" ] || rm -f "$SAMPLES" "$SAMPLES".*' EXIT
trap interrupted INT TERM HUP
SAMPLES=$(mktemp "${TMPDIR:-/tmp}/dove-samples.XXXXXX")
export SAMPLES

family() { # NAME SECONDS COMMAND...: what it says is shown, and that it failed is noted
	local name=$1 limit=$2 status
	shift 2
	printf '%s ...\n' "$name"
	timeout -k 60 "$limit" "$@" </dev/null >"$SAMPLES.out" 2>&1 &
	wait $!
	status=$?
	[ $status = 0 ] && return
	tail -n 20 "$SAMPLES.out"
	echo "note $name did not come to its end (status $status)" >>"$SAMPLES"
}
programs() {
	family programs 120 sh -c "nice -n -10 '$BUILD/bench/programs' ${QUICK:+--rounds 3 --entries 1,1000000 --repeat 50000} >'$SAMPLES.programs'" &&
		[ -s "$SAMPLES.programs" ] && echo "json $SAMPLES.programs" >>"$SAMPLES"
}

started=$SECONDS
for name in "${@:-path programs miss resolve ${QUICK:-hops policies}}"; do
	for one in $name; do
		case $one in
		path) family path 400 bench/path.sh ;;
		programs) programs ;;
		miss) family miss 240 bench/miss.sh ;;
		resolve) family resolve 180 bench/resolve.sh ;;
		hops) family hops 240 bench/hops.sh ;;
		policies) family policies 180 bench/policies.sh ;;
		esac
	done
done
echo "note took $((SECONDS - started)) s on $(uname -r), $(nproc) processors, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" >>"$SAMPLES"
echo
python3 bench/report.py "$SAMPLES" "$BUILD/bench"
