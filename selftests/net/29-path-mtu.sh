#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A link of the underlay that is narrower than the sender's own.
#
#   h1: v1 (10.1.0.11) -- 1500 -- r -- 1400 -- h2: v2 (10.1.0.12)
. "$(dirname "$0")/lib.sh"

world
service
blue 1 2
on r ip link set h2 mtu 1400
on h2 ip link set eth0 mtu 1400
agent h1
agent h2
da h1 attach eth0 >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
mtu() { da h1 status --json | jq '.hosts[] | select(.name == "h2").mtu'; }
check "R14: small packets pass" ping_all v1 10.1.0.12
before() { mtu; [ "$(mtu)" = 1430 ]; }
check "the sender knows its own device's MTU" before
lost_once() { on v1 ping -q -n -M do -s 1402 -c 1 -W 1 10.1.0.12; [ "$(mtu)" = 1330 ]; }
check "a packet too large for the link beyond teaches the sender's host" until_ok 3 lost_once
told() { on v1 ip route flush cache; on v1 ping -n -M do -s 1402 -c 1 -W 1 10.1.0.12 2>&1 | tee /dev/stderr | grep -qE 'mtu ?= ?1330'; }
check "which tells the next sender at once" told
fits() { on v1 ping -q -n -M do -s 1302 -c 2 -i 0.05 10.1.0.12; }
check "what fits passes" fits
bg iperf v2 iperf3 -s --forceflush -1
until_ok 5 grep -q listening "$W/iperf.log"
tcp() { on v1 iperf3 -c 10.1.0.12 -t 1 -J | jq -e '.end.sum_received.bytes > 1000000'; }
check "TCP adapts" tcp
too_big() { # MTU QUOTED: the router's word for it, as h1 gets it
	on r "$T/frame" h1 3 "$(on h1 cat /sys/class/net/eth0/address | tr -d :) $(on r cat /sys/class/net/h1/address | tr -d :) 0800 \
		4500 0038 0000 4000 4001 e65a c6336402 c6336401 0304 0000 0000 $1 $2"
	sleep 0.3
	mtu
}
quoted() { echo "4500 0064 0000 4000 4011 0000 $1 $2 c000 $3 0050 0000"; } # FROM TO PORT
of_others() {
	too_big 0300 "$(quoted c6336409 c6336405 17c1)" && too_big 0300 "$(quoted c6336401 c6336409 17c1)" &&
		too_big 0300 "$(quoted c6336401 c6336405 0035)" && [ "$(mtu)" = 1330 ]
}
check "what is said of others' packets changes nothing" of_others
absurd() { too_big 0044 "$(quoted c6336401 c6336405 17c1)" && [ "$(mtu)" = 1330 ]; }
check "nor does less than any link has" absurd
ours() { too_big 0514 "$(quoted c6336401 c6336405 17c1)" && [ "$(mtu)" = 1230 ]; }
check "the same of ours does" ours
finish
