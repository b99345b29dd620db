#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The underlay changes under the overlay: another router, another neighbour MAC.
#
#   h1 --+-- r  --+-- h2      h1's way to h2 moves from r to r2, and back
#        +-- r2 --+
. "$(dirname "$0")/lib.sh"

world
ns_add r2
on r2 sysctl -qw net.ipv4.ip_forward=1
wire h1 eth1 198.51.100.17/30 r2 h1 198.51.100.18/30
wire h2 eth1 198.51.100.21/30 r2 h2 198.51.100.22/30
on r2 ip route add 198.51.100.0/30 via 198.51.100.17
on r2 ip route add 198.51.100.4/30 via 198.51.100.21
service
blue 1 2
agent h1
agent h2
for h in h1 h2; do da $h attach eth0 >/dev/null; done
da h2 attach eth1 >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
check "R3: the VMs reach each other by r" ping_all v1 10.1.0.12
device_is() { da h1 status --json | jq -e --arg d "$1" '.hosts[] | select(.address == "198.51.100.5") | .reachable and .device == $d'; }
check "R3: by eth0" device_is eth0

# h1 keeps its address, so that h2 knows it; the way out is another device.
on h1 ip route add 198.51.100.5 via 198.51.100.18 dev eth1 src 198.51.100.1
check "R3: the route moves to r2: packets follow" until_ok 3 device_is eth1
check "R3: and arrive" until_ok 3 ping_all v1 10.1.0.12
via_r2() { local b; b=$(on r2 cat /sys/class/net/h1/statistics/rx_packets); ping_ok v1 10.1.0.12 5; [ $(($(on r2 cat /sys/class/net/h1/statistics/rx_packets) - b)) -ge 5 ]; }
check "R3: by r2" via_r2
on h1 ip route del 198.51.100.5 via 198.51.100.18
check "R3: back to r" until_ok 3 device_is eth0
check "R3: the VMs reach each other" until_ok 3 ping_all v1 10.1.0.12

on r ip link set h1 address 02:00:00:00:aa:01
on h1 ip neigh flush dev eth0
check "R3: the router's MAC changes: found out, and followed" until_ok 5 ping_all v1 10.1.0.12

# A next hop that nobody has: the old way must not be used for it.
on h1 ip route add 198.51.100.5 via 198.51.100.30 dev eth1 onlink src 198.51.100.1
unreachable() { da h1 status --json | jq -e '.hosts[] | select(.address == "198.51.100.5") | .reachable | not'; }
check "R3: a next hop that does not answer makes the host unreachable" until_ok 3 unreachable
on h1 ip route del 198.51.100.5
check "R3: the route gone, the VMs reach each other" until_ok 5 ping_all v1 10.1.0.12
finish
