#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a hostile VM sends at its port: R6, and nothing of it leaves.
#
#   h1: v1 (blue/vm1), v2 (blue/vm2)     h2: v3 (blue/vm3)
. "$(dirname "$0")/lib.sh"

V1=020000000101 V2=020000000102 V3=020000000103
# ipv4 SRC-HEX DST-HEX: header and UDP of 8 bytes, no checksums
ipv4() { echo "4500 001c 0000 4000 4011 0000 $1 $2 1e61 1e61 0008 0000"; }
arp() { echo "0001 0800 06 04 $1 $2 $3 $4 $5"; } # OP SHA SPA THA TPA

# dropped REASON COUNT HEX: v1 sends the frame so often, and all are counted under that reason
dropped() {
	local before after
	before=$(stat h1 "$1")
	on v1 "$T/frame" eth0 "$2" "$3"
	sleep 0.1
	after=$(stat h1 "$1")
	echo "$1: $before -> $after"
	[ $((after - before)) = "$2" ]
}
world
service
blue 1 2 3
agent h1
agent h2
da h1 attach eth0 >/dev/null
da h2 attach eth0 >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h1 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
vm h2 v3 blue vm3 10.1.0.13 02:00:00:00:01:03
check "the VMs reach each other" ping_all v1 10.1.0.13
ping_ok v1 10.1.0.12 1 >/dev/null
rx() { on "$1" cat /sys/class/net/eth0/statistics/rx_packets; }
before2=$(rx v2) before3=$(rx v3)

IP1=0a01000b IP2=0a01000c IP3=0a01000d
check "R6: another VM's MAC" dropped spoofed_mac 100 "$V3 $V2 0800 $(ipv4 $IP1 $IP3)"
check "R6: another VM's address" dropped spoofed_ip 100 "$V3 $V1 0800 $(ipv4 $IP2 $IP3)"
check "R6: another VM's MAC and address" dropped spoofed_mac 100 "$V3 $V2 0800 $(ipv4 $IP2 $IP3)"
check "R6: an address of no network" dropped spoofed_ip 100 "$V3 $V1 0800 $(ipv4 c0000209 $IP3)"
check "R6: ARP with another VM's address" dropped spoofed_ip 100 "ffffffffffff $V1 0806 $(arp 0001 $V1 $IP2 000000000000 $IP3)"
check "R6: ARP with another VM's MAC inside" dropped spoofed_mac 100 "ffffffffffff $V1 0806 $(arp 0001 $V2 $IP1 000000000000 $IP3)"
check "ARP reply that nobody asked for" dropped arp_unasked 100 "$V2 $V1 0806 $(arp 0002 $V1 $IP1 $V2 $IP2)"
check "gratuitous ARP" dropped arp_unasked 100 "ffffffffffff $V1 0806 $(arp 0001 $V1 $IP1 000000000000 $IP1)"
check "802.1Q tag" dropped tagged 100 "$V3 $V1 8100 0064 0800 $(ipv4 $IP1 $IP3)"
check "802.1ad tag" dropped tagged 100 "$V3 $V1 88a8 0064 8100 0065 0800 $(ipv4 $IP1 $IP3)"
check "a protocol that is not carried" dropped not_ip 100 "$V3 $V1 88b5 000102030405060708090a0b0c0d0e0f"
check "multicast from a stranger" dropped spoofed_ip 100 "01005e0000fb $V1 0800 $(ipv4 $IP2 e00000fb)"
check "a multicast address to one MAC" dropped malformed 100 "020000000102 $V1 0800 $(ipv4 $IP1 e00000fb)"
check "an IP header that lies about its length" dropped truncated 100 "$V3 $V1 0800 4500 0fff 0000 4000 4011 0000 $IP1 $IP3 1e61 1e61 0008 0000"
check "an IP header of another version" dropped malformed 100 "$V3 $V1 0800 6500 001c 0000 4000 4011 0000 $IP1 $IP3 1e61 1e61 0008 0000"
check "cut off in its header" dropped truncated 100 "$V3 $V1 0800 4500 001c 0000"
quiet() { echo "v2: $before2 -> $(rx v2), v3: $before3 -> $(rx v3)"; [ "$(rx v2)" = "$before2" ] && [ "$(rx v3)" = "$before3" ]; }
check "R6: and none of it reached another VM" quiet
underlay() { refuses on v1 ping -q -n -c 1 -W 1 198.51.100.1; }
on v1 ip route add default dev eth0
check "a VM does not reach its host's underlay address" underlay
check "honest traffic goes on" ping_all v1 10.1.0.13

say "-- one port floods misses"
# Every frame to another address: each is a miss. 20 s at most; stopped before.
bg flood v1 timeout 20 "$T/frame" eth0 20000000 "$V3 $V1 0800 $(ipv4 $IP1 0a010000)" 32
sleep 0.5
neighbour() { on v2 ping -q -n -i 0.01 -c 100 -W 1 10.1.0.13 | grep ' 0% packet loss'; }
check "another port's established traffic loses nothing" neighbour
newcomers() { # first packets to destinations that port 2 has not spoken to yet
	da h1 flush >/dev/null
	for i in 1 2 3 4 5; do
		on v2 ping -q -n -c 1 -W 2 10.1.0.13 || return 1
		da h1 flush >/dev/null
	done
}
check "another port's first packets get through" newcomers
limited() { da h1 stats --json | jq -e '.reasons.miss_limited > 10000 and .agent.waiting < 10000'; }
check "the flood was one, and is counted; what waits in the agent is bounded" limited
stop flood
recovered() { da h1 flush >/dev/null; ping_all v1 10.1.0.13; }
check "the port that flooded is heard again" until_ok 5 recovered
finish
