# SPDX-License-Identifier: Apache-2.0
# What the benchmarks have in common, beside the worlds of selftests/net/lib.sh. Source it, then:
#
#   sample MEASURE KIND VALUE UNIT   one figure of one round, for bench/report.py
#   note MEASURE TEXT                why there is none, or what to know of it
#   pump FROM TO ADDR WHAT...        bench/pump.c between two namespaces of this world
#
# ROUNDS, SECS (of one stream) and QUICK are bench/run.sh's; SAMPLES is the file that figures go to.
#
# (No shebang: this file is sourced by bash scripts.)

. "$(dirname "${BASH_SOURCE[0]}")/../selftests/net/lib.sh"

QUICK=${QUICK:-}
ROUNDS=${ROUNDS:-${QUICK:+3}}
ROUNDS=${ROUNDS:-5}
SECS=${SECS:-${QUICK:+0.5}}
SECS=${SECS:-0.8}
SAMPLES=${SAMPLES:-/dev/stdout}
# The machine's default may be bbr, and others barred in namespaces: a figure says which it was.
CC=${CC-cubic}
grep -qw "${CC:-x}" /proc/sys/net/ipv4/tcp_allowed_congestion_control || CC=

sample() { printf '%s %s %s %s\n' "$@" >>"$SAMPLES"; }
note() { printf 'note %s %s\n' "$1" "${*:2}" >>"$SAMPLES"; }
# In the foreground: timeout would else put it beyond what ends a family.
pump() {
	timeout --foreground 20 nice -n -10 "$BUILD/bench/pump" "/run/netns/$P-$1" "/run/netns/$P-$2" "${@:3}" --seconds "$SECS" ${CC:+--congestion "$CC"}
}
