#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job: VMs of two tenants with the same addresses, on two hosts.
#
#   h1: a1 (blue/vm1 10.1.0.11)   a2 (red/vm1 10.1.0.11)   a3 (blue/vm3 10.1.0.13)
#   h2: b1 (blue/vm2 10.1.0.12)   b2 (red/vm2 10.1.0.12)   many (blue/many, 1000 addresses)
#   h1 decapsulates by TC, h2 by XDP
. "$(dirname "$0")/lib.sh"

SLOW=${DOVE_TEST_SLOW:-1}
MANY=$((1000 / SLOW)) EACH=$((10000 / SLOW))

many_addrs() { for k in $(seq 0 $((MANY - 1))); do echo "10.1.$((k / 250 + 1)).$((k % 250 + 1))"; done; }

# first_pings: one ping to each of the many addresses, 50 at a time; prints those that failed.
first_pings() { many_addrs | on a1 xargs -P 50 -I{} sh -c "ping -q -n -c 1 -W $((2 * SLOW)) {} >/dev/null || echo lost {}"; }

# crossing COUNT: both tenants' VM 1 send so many pings with a payload of their own to the same address.
crossing() {
	local tcpdump_pids=()
	for ns in b1 b2; do
		bg "dump-$ns" $ns timeout $((60 * SLOW)) tcpdump -i eth0 -n -Q in -w "$W/$ns.pcap" icmp
	done
	until_ok 5 grep -q 'listening on' "$W/dump-b1.log"
	until_ok 5 grep -q 'listening on' "$W/dump-b2.log"
	on a1 ping -q -n -f -c "$1" -p b1b1b1b1 10.1.0.12 >"$W/ping-a1" 2>&1 &
	local one=$!
	on a2 ping -q -n -f -c "$1" -p b2b2b2b2 10.1.0.12 >"$W/ping-a2" 2>&1
	wait $one
	sleep 0.3
	stop dump-b1 INT
	stop dump-b2 INT
}

received() { sed -n 's/.* \([0-9]*\) received.*/\1/p' "$1"; }
dump_lines() { tcpdump -n -x -r "$1" 2>/dev/null | tr -d ' ' | grep -c "$2" || true; }

world
service
jq -n '[{kind: "network", name: ("blue", "red"), subnets: ["10.1.0.0/16"]}] +
  [("blue", "red") as $n | {kind: "endpoint", network: $n, name: ("vm1", "vm2", "vm3"), mac: "", addresses: []}] |
  map(if .kind == "endpoint" then .mac = "02:00:00:00:0\(if .network == "blue" then 1 else 2 end):0\(.name[2:])" |
      .addresses = ["10.1.0.1\(.name[2:])"] else . end) +
  [{kind: "endpoint", network: "blue", name: "many", mac: "02:00:00:00:01:99", addresses: [inputs]}]' \
	< <(many_addrs | jq -R .) >"$W/objects.json"
check "R27: the objects are applied" ctl apply -f "$W/objects.json"
applied_again() { ctl apply -f "$W/objects.json" | grep '^0 changed'; }
check "R27: applying them again changes nothing" applied_again
agent h1
agent h2
check "R14: attach, ingress by TC" da h1 attach eth0 --ingress tc
check "R14: attach, ingress by XDP" da h2 attach eth0 --ingress xdp
vm h1 a1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h1 a2 red vm1 10.1.0.11 02:00:00:00:02:01
vm h1 a3 blue vm3 10.1.0.13 02:00:00:00:01:03
vm h2 b1 blue vm2 10.1.0.12 02:00:00:00:01:02
vm h2 b2 red vm2 10.1.0.12 02:00:00:00:02:02
vm h2 many blue many 10.1.1.1 02:00:00:00:01:99
for ns in a1 a2 a3 b1 b2 many; do on $ns ip route add 10.1.0.0/16 dev eth0; done
many_addrs | tail -n +2 | sed 's/.*/addr add &\/16 dev eth0/' | on many ip -batch -

check "R3: ping across hosts in different subnets" ping_all a1 10.1.0.12
check "R3: and the other way" ping_all b1 10.1.0.11
check "R4: ping between VMs of one host" ping_all a1 10.1.0.13
same_host() { [ "$(stat h1 delivered_local)" -ge 6 ]; }
check "R4: which never left the host" same_host
check "R2: the other tenant's VM with the same address answers its own" ping_all a2 10.1.0.12
check "R2: a VM that exists only in the other network is not reached" refuses ping_ok a2 10.1.0.13 2

before=$(stat h1 questions)
lost=$(first_pings)
none_lost() { [ -z "$lost" ] || { echo "$lost" | head -n 5; false; }; }
check "R11: $MANY first pings to as many destinations, none lost" none_lost
asked=$(($(stat h1 questions) - before))
one_each() { echo "$asked questions"; [ "$asked" = $MANY ]; }
check "R11: one question for each" one_each
lost=$(first_pings)
check "R11: a second ping to each, none lost" none_lost
no_more() { local now; now=$(($(stat h1 questions) - before)); echo "$now questions"; [ "$now" = $MANY ]; }
check "R11: and no question to the service" no_more

crossing $EACH
all_back() { echo "$(received "$W/ping-a1") $(received "$W/ping-a2")"; [ "$(received "$W/ping-a1")" = $EACH ] && [ "$(received "$W/ping-a2")" = $EACH ]; }
check "R2: two tenants with the same addresses exchange $EACH packets each" all_back
none_crossed() {
	local own1 own2 other1 other2
	own1=$(dump_lines "$W/b1.pcap" b1b1b1b1) own2=$(dump_lines "$W/b2.pcap" b2b2b2b2)
	other1=$(dump_lines "$W/b1.pcap" b2b2b2b2) other2=$(dump_lines "$W/b2.pcap" b1b1b1b1)
	echo "blue: $own1 lines of its own, $other1 of the other's; red: $own2, $other2"
	[ "$own1" -ge $EACH ] && [ "$own2" -ge $EACH ] && [ "$other1" = 0 ] && [ "$other2" = 0 ]
}
check "R2: and none crosses over" none_crossed

bg iperf b1 iperf3 -s --forceflush -1
until_ok 5 grep -q listening "$W/iperf.log"
tcp() { on a1 iperf3 -c 10.1.0.12 -t $((SLOW > 1 ? 5 : 2)) -J >"$W/iperf.json" && [ "$(jq '.end.sum_received.bytes' "$W/iperf.json")" -gt 10000000 ]; }
check "R14: TCP through the tunnel" tcp
bg iperf3 b1 iperf3 -s --forceflush -1
until_ok 5 grep -q listening "$W/iperf3.log"
flushed_under_way() { # every flush makes super-packets of the stream misses
	on a1 iperf3 -c 10.1.0.12 -t $((SLOW > 1 ? 5 : 2)) -J >"$W/flushed.json" &
	local pid=$! i
	for i in 1 2 3 4 5 6 7 8; do sleep 0.2; da h1 flush >/dev/null; done
	wait $pid
	da h1 stats --json | jq -c '.agent'
	[ "$(jq '.end.sum_received.bytes' "$W/flushed.json")" -gt 10000000 ] && da h1 stats --json |
		jq -e '.agent.dropped_late == 0 and .reasons.too_big == 0'
}
check "R11: TCP whose translation is forgotten again and again: no super-packet is lost" flushed_under_way
udp_ok() { bg iperf2 a1 iperf3 -s --forceflush -1; until_ok 5 grep -q listening "$W/iperf2.log"; on b1 iperf3 -c 10.1.0.11 -u -b $((50 / SLOW))M -t 1 -J | jq -e '.end.sum.lost_percent < 1'; }
check "R14: UDP through the tunnel" udp_ok
full_frames() { on a1 ping -q -n -M do -s 1402 -c 2 -i 0.05 10.1.0.12; }
check "R14: a packet that just fits" full_frames
too_large() { on a1 ping -n -M do -s 1403 -c 1 -W 1 10.1.0.12 2>&1 | grep -qE 'mtu ?= ?1430'; }
check "R14: one byte more, and the sender is told the MTU" too_large

fields() { on h1 bpftool -j map dump pinned "$W/bpf-h1/$LAYOUT/dove_local" | jq -e '.[0].formatted.value | .endpoint and .sequence != null and .ifindex'; }
check "the pinned maps are readable, with field names" fields
json_all() {
	for c in status stats cache events "port list"; do
		da h1 $c --json | jq -e 'type == "object" or type == "array"' >/dev/null || { echo "$c"; return 1; }
	done
}
check "every command that shows something has --json" json_all
keys() { da h1 stats --json | jq -e '.reasons.encapsulated > 0 and .hits > 0 and .misses > 0 and .questions > 0 and .stale == 0'; }
check "stats --json has what scripts rely on" keys
finish
