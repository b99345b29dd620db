#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One tenant's port floods with misses; what does it cost the others?
#
#   h1: v1 (floods)  v2 (sends 100 Mbit/s to v3)     h2: v3     blue/vm4 exists, and vm1 may not reach it
. "$(dirname "$0")/lib.sh"

V1=020000000101 V3=020000000103
udp_frame() { echo "$V3 $V1 0800 4500 001c 0000 4000 4011 0000 0a01000b $1 1e61 1e61 0008 0000"; }
flood_none() { :; }
flood_refused() { bg flood v1 timeout 8 "$T/frame" eth0 20000000 "$(udp_frame 0a01000e)"; } # hits: a deny that is known
flood_misses() { bg flood v1 timeout 8 "$T/frame" eth0 20000000 "$(udp_frame 0a010000)" 32; } # each frame another address
rate() { # FLOOD: what arrives of v2's 100 Mbit/s meanwhile, in Mbit/s
	"flood_$1"
	sleep 0.3
	on v2 iperf3 -c 10.1.0.13 -u -b 100M -l 1200 -t 1 -J >"$W/iperf-$1.json" || echo '{}' >"$W/iperf-$1.json"
	[ "$1" = none ] || stop flood
	jq '(.end.sum.packets - .end.sum.lost_packets) * 1200 * 8 / .end.sum.seconds / 1e6 | round' "$W/iperf-$1.json"
}
best() { sort -n | tail -n 1; }

world
service
blue 1 2 3 4
jq -n '[{kind: "policy", network: "blue", name: "no", priority: 9, from: {endpoints: ["vm1"]}, to: {endpoints: ["vm4"]},
  action: "deny"}]' >"$W/no.json"
ctl apply -f "$W/no.json" >/dev/null
agent h1
agent h2
da h1 attach eth0 >/dev/null
da h2 attach eth0 >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h1 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
vm h2 v3 blue vm3 10.1.0.13 02:00:00:00:01:03
vm h2 v4 blue vm4 10.1.0.14 02:00:00:00:01:04
check "the VMs reach each other" ping_all v2 10.1.0.13
refuses ping_ok v1 10.1.0.14 1 >/dev/null # the refusal is in the cache
bg iperf v3 iperf3 -s --forceflush
until_ok 5 grep -q listening "$W/iperf.log"
for round in 1 2 3; do
	for flood in none refused misses; do rate $flood >>"$W/$flood"; done
done
# Both floods take the same share of the machine; only one of them asks questions.
kept() {
	local none refused misses
	none=$(best <"$W/none") refused=$(best <"$W/refused") misses=$(best <"$W/misses")
	echo "Mbit/s of 100 that arrive, best of 3: $none, beside a flood of refusals $refused, of misses $misses"
	[ "$refused" -gt 0 ] && [ $((misses * 100)) -ge $((refused * 95)) ]
}
say "-- $(kept)"
check "a flood of misses costs another port's traffic no more than one of hits: 0.95 of it at least" kept
flood_misses
sleep 0.3
new_flows() {
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		da h1 flush >/dev/null
		on v2 ping -q -n -c 1 -W 2 10.1.0.13 >/dev/null || return 1
	done
}
check "and its new flows come up, ten of ten" new_flows
stop flood
counted() { da h1 stats --json | jq -c '{limited: .reasons.miss_limited, ring_full: .reasons.ring_full, over_bound: .agent.dropped_bound}' && [ "$(stat h1 miss_limited)" -gt 10000 ]; }
check "what was too much is counted" counted

full() { da h1 status --json | jq -c '.maps[] | select(.name == "cache" or .name == "flows" or .name == "denied")'; }
check "status says how full the maps are" full
finish
