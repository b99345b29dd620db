#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a stranger on the underlay sends at the NIC: 10,000 frames, each wrong
# in one way, at a host that decapsulates by TC and at one that does it by XDP.
#
#   r sends to h1 (TC, v1 behind it) and to h2 (XDP, v2 behind it)
. "$(dirname "$0")/lib.sh"

mac_of() { on "$1" cat /sys/class/net/eth0/address; }
rx() { on "$1" cat /sys/class/net/eth0/statistics/rx_packets; }
otherhost() { on "$1" ip -s -s -j link show eth0 | jq '.[0].stats64.rx.otherhost_dropped // 0'; }
# What may be a hop's, or a stranger's who is another authority's host, is held, and counted again when it is tried again.
sum_dropped() { # all that ended at ingress, whatever the reason
	da "$1" stats --json | jq '[.reasons | .truncated, .malformed, .tagged, .not_ip, .multicast, .outer_malformed,
	  .outer_fragment, .geneve_version, .geneve_protocol, .geneve_option, .unknown_host, .unknown_network,
	  .unknown_endpoint, .held_unknown, .held_hop, .miss_limited, .refused] | add'
}
blast() { # HOST SRC COUNT: from the router, prints how many were ours to drop
	local vm=10.1.0.12
	[ "$1" = h2 ] || vm=10.1.0.11
	on r "$T/blast" "$1" "$(mac_of "$1")" "$2" "$(host_addr "$1")" 1 $vm "$3" 42
}

world
service
blue 1 2
agent h1
agent h2
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
check "the VMs reach each other" ping_all v1 10.1.0.12

attack() { # HOST VM PEER
	local got
	rx_before=$(rx "$2") drops_before=$(sum_dropped "$1") other_before=$(otherhost "$1")
	ours=$(blast "$1" "$(host_addr "$3")" 10000)
	sleep 0.5
	rx_after=$(rx "$2") drops_after=$(sum_dropped "$1") other_after=$(otherhost "$1")
}
delivers_one() { # HOST VM PEER: the same frame without a fault comes through: the faults are what is tested
	local before; before=$(rx "$2")
	came() { [ "$(rx "$1")" -gt "$2" ]; }
	blast "$1" "$(host_addr "$3")" 0 >/dev/null
	until_ok 5 came "$2" "$before"
	echo "$before -> $(rx "$2")"
	[ $(($(rx "$2") - before)) = 1 ]
}
nothing_came() { echo "$rx_before -> $rx_after"; [ "$rx_before" = "$rx_after" ]; }
all_counted() { echo "$ours sent, $((drops_after - drops_before)) counted"; [ "$ours" -gt 9000 ] && [ $((drops_after - drops_before)) -ge "$ours" ]; }
none_stripped() { echo "$other_before -> $other_after"; [ "$other_before" = "$other_after" ]; }

for host in "h1 v1 h2 TC" "h2 v2 h1 XDP"; do
	set -- $host
	check "$4: a frame without a fault is delivered" delivers_one "$1" "$2" "$3"
	attack "$1" "$2" "$3"
	check "R14: $4: of 10,000 malformed or foreign frames none reaches the VM" nothing_came
	check "R14: $4: each that was ours is counted under a reason" all_counted
	check "R14: $4: no stripped frame meets the host's stack" none_stripped
done
check "the VMs still reach each other" ping_all v1 10.1.0.12
own_port() { ping_ok r "$(host_addr h1)" 2; }
check "the host's own traffic is left alone" own_port
finish
