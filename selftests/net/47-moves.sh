#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# VMs that move under traffic: nothing is lost but what was sent while a VM was attached nowhere.
#
#   h1 (TC): v1, w1     h2 (XDP): v2, at first     h3 (TC): where it moves to, and back
. "$(dirname "$0")/lib.sh"

declare -A MAC=([v1]=02:00:00:00:01:01 [v2]=02:00:00:00:01:02 [w1]=02:00:00:00:01:04)
declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [w1]=10.1.0.14)
RATE=20000
[ "${DOVE_TEST_SLOW:-1}" = 1 ] || RATE=500

plug() { vm_plug "$1" "$2" "${IN4[$2]}" "${MAC[$2]}"; } # HOST NAME
port() { da "$1" port add "v-$2" --network blue --endpoint "$2" >/dev/null || fail "port of $2"; }
now() { date +%s%N; }
# move NAME FROM TO: the interface goes, the sockets stay. The time without one goes to $W/windows.
move() {
	local t
	t=$(now)
	on "$1" ip link del eth0
	ip link add eth0 netns "$P-$1" address "${MAC[$1]}" type veth peer name "v-$1" netns "$P-$3"
	vm_addrs "$1" "${IN4[$1]}"
	on "$1" ip link set eth0 up
	on "$3" ip link set "v-$1" up
	da "$3" port add "v-$1" --network blue --endpoint "$1" >/dev/null || return 1
	echo "$t $(now)" >>"$W/windows"
}
moves() { # NAME HOST...: from one to the next
	local name=$1
	shift
	while [ $# -gt 1 ]; do
		move "$name" "$1" "$2" || return 1
		sleep "${PAUSE:-1}"
		shift
	done
}
stream() { # FROM TO SECONDS: probes, in the background
	rm -f "$W/sent" "$W/received" "$W/windows"
	bg receive "$2" "$T/probe" receive 4000 2 "$W/received"
	until_ok 5 grep -q listening "$W/receive.log"
	bg send "$1" "$T/probe" send "${IN4[$2]}" 4000 $RATE "$3" "$W/sent"
}
ended() { wait "${PID[send]}" "${PID[receive]}"; unset "PID[send]" "PID[receive]"; }
# judged: of the stream that has ended: none lost outside the windows, none doubled, order disturbed only near a move.
judged() {
	local line
	line=$("$T/probe" judge "$W/sent" "$W/received" "$W/windows" 2>&1) || return 1
	echo "$line"
	[[ $line =~ sent\ ([0-9]+),\ received\ ([0-9]+),\ lost\ ([0-9]+)\ \(([0-9]+)\ while.*doubled\ ([0-9]+),\ overtaken\ ([0-9]+)\ \(([0-9]+)\ near ]] || return 1
	[ "${BASH_REMATCH[1]}" -gt 1000 ] && [ "${BASH_REMATCH[3]}" = "${BASH_REMATCH[4]}" ] &&
		[ "${BASH_REMATCH[5]}" = 0 ] && [ "${BASH_REMATCH[6]}" = "${BASH_REMATCH[7]}" ]
}

world 3
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}] + [["v1", "v2", "w1"][] as $v | {kind: "endpoint",
  network: "blue", name: $v, mac: {v1: "02:00:00:00:01:01", v2: "02:00:00:00:01:02", w1: "02:00:00:00:01:04"}[$v],
  addresses: [{v1: "10.1.0.11", v2: "10.1.0.12", w1: "10.1.0.14"}[$v]]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null
# The origins find out by their packets alone.
echo '{"origin_check": false}' >"$W/h1.json"
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 --ingress tc >/dev/null
plug h1 v1 && plug h1 w1 && plug h2 v2
port h1 v1 && port h1 w1 && port h2 v2
ping_ok v1 10.1.0.12 1 >/dev/null

say "-- a stream of $RATE probes a second"
stream v1 v2 14
sleep 1
check "R5: its VM moves ten times" moves v2 h2 h3 h2 h3 h2 h3 h2 h3 h2 h3 h2
ended
check "R5: none lost but those sent while it was detached, none twice, order kept but around moves" judged
say "     $(judged)"
[ -z "${CHART:-}" ] || "$T/probe" chart "$W/sent" "$W/received" "$W/windows" "$RATE probes a second while their VM moves from one host to another" >"$CHART"
relayed() { echo "h2 $(stat h2 relayed), h3 $(stat h3 relayed)"; [ $(($(stat h2 relayed) + $(stat h3 relayed))) -gt 0 ]; }
check "R19: the old hosts sent on what still came" relayed
told() { da h1 stats --json | jq -e '.hints.received >= 5'; }
check "R19: and told the origin" told
da h1 stats --json | jq -c '{hints, questions}' ; da h2 stats --json | jq -c '{relays, checks}'; da h3 stats --json | jq -c '{relays, checks}'
finish
