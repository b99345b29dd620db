#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# VMs behind a Linux bridge that the NIC is a member of.
#
#   h1: br0 (198.51.100.1) = eth0 + v-v1 + v-v3     h2: v2 at a port of its own
. "$(dirname "$0")/lib.sh"

world
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}, {kind: "network", name: "red", subnets: ["10.1.0.0/24"]}] +
  [(1, 2, 3, 4) as $i | {kind: "endpoint", network: (if $i == 4 then "red" else "blue" end),
  name: "vm\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null
bridged h1
agent h1
agent h2
check "attach a NIC that is a member of a bridge" da h1 attach eth0
registered() { da h1 status --json | jq -e '.nics[0] | .registered and .addresses == ["198.51.100.1"]'; }
check "the host is registered under the bridge's address" registered
da h2 attach eth0 --ingress xdp >/dev/null
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
for i in 1 3; do
	vm_plug h1 v$i 10.1.0.1$i 02:00:00:00:01:0$i
	on h1 ip link set v-v$i master br0
	check "port add of a bridge's member" da h1 port add v-v$i --network blue --endpoint vm$i
done
bridged() { da h1 port list --json | jq -e 'length == 2 and all(.kind == "bridged")'; }
check "they are bridged ports" bridged
check "a bridged VM reaches another host" ping_all v1 10.1.0.12
check "and is reached" ping_all v2 10.1.0.13
through_bridge() { [ "$(stat h1 bridged)" -gt 0 ] && [ "$(stat h1 encapsulated)" -gt 0 ]; }
check "over the bridge, encapsulated at the NIC" through_bridge
check "two members of one bridge reach each other" ping_all v1 10.1.0.13
by_dove() { [ "$(stat h1 delivered_local)" -gt 0 ]; }
check "by DOVE, not by the bridge" by_dove
bg iperf v2 iperf3 -s --forceflush -1
until_ok 5 grep -q listening "$W/iperf.log"
tcp() { on v1 iperf3 -c 10.1.0.12 -t 1 -J | jq -e ".end.sum_received.bytes > 10000000 / ${DOVE_TEST_SLOW:-1}"; }
check "TCP from behind the bridge" tcp
jq -n '[{kind: "policy", network: "blue", name: "no", priority: 9, from: {endpoints: ["vm1"]}, to: {endpoints: ["vm3"]}, action: "deny"}]' >"$W/no.json"
ctl apply -f "$W/no.json" >/dev/null
check "neighbours on a bridge meet their policies" refuses ping_ok v1 10.1.0.13 2
on v1 ip addr add 198.51.100.77/24 dev eth0
check "a member does not reach the host's underlay address" refuses ping_ok v1 198.51.100.1 1
on v1 ip addr del 198.51.100.77/24 dev eth0
V1=020000000101
BR=$(on h1 cat /sys/class/net/br0/address | tr -d :)
host_rx() { on h1 sh -c "awk '/^Ip:/ && \$4 ~ /[0-9]/ {print \$4}' /proc/net/snmp"; }
not_to_host() { # a UDP packet to the host's own MAC, from the VM's true addresses
	local before after
	before=$(stat h1 no_endpoint)
	on v1 "$T/frame" eth0 50 "$BR $V1 0800 4500 001c 0000 4000 4011 0000 0a01000b c6336401 1e61 17c2 0008 0000"
	sleep 0.3
	after=$(da h1 stats --json | jq '.reasons.no_endpoint + .reasons.held_miss')
	echo "$before -> $after"
	[ "$after" -ge $((before + 50)) ]
}
check "nor by the host's MAC" not_to_host
quiet_bridge() { # an underlay broadcast does not reach the VMs
	local before; before=$(on v1 cat /sys/class/net/eth0/statistics/rx_packets)
	on r "$T/frame" h1 20 "ffffffffffff 020000000999 0806 0001 0800 06 04 0001 020000000999 c6336402 000000000000 c6336401"
	sleep 0.2
	echo "$before -> $(on v1 cat /sys/class/net/eth0/statistics/rx_packets)"
	[ "$before" = "$(on v1 cat /sys/class/net/eth0/statistics/rx_packets)" ]
}
check "an underlay broadcast does not reach a member" quiet_bridge
vm_plug h1 v4 10.1.0.14 02:00:00:00:01:04
on h1 ip link set v-v4 master br0
other() { da h1 port add v-v4 --network red --endpoint vm4 2>&1 | tee /dev/stderr | grep -q 'one bridge, one network'; }
check "one bridge, one network" other
reopened() { da h1 port del v-v3 && on h1 bridge -d -j link show dev v-v3 | jq -e '.[0].isolated == false and .[0].learning == true'; }
check "port del gives the bridge its member back as it was" reopened
finish
