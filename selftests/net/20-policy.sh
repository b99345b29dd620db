#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Policies, and how they change under traffic.
#
#   h1 (TC): v1, v2     h2 (XDP): v3 (web server on 80, 85, 443), v7
. "$(dirname "$0")/lib.sh"

objects() { # POLICIES
	jq -n --argjson policies "$1" '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]},
	  {kind: "service", name: "firewall"}, {kind: "service", name: "ssl-accelerator"}] +
	  [(1, 2, 3, 5, 7, 8) as $i | {kind: "endpoint", network: "blue", name: "vm\($i)", mac: "02:00:00:00:01:0\($i)",
	   addresses: ["10.1.0.1\($i)"]}] + $policies' >"$W/objects.json"
	ctl apply -f "$W/objects.json" >/dev/null
}
policy() { # NAME JSON: apply one policy
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
verdict() { # FROM TO [ARGS]: verdict and path, as the service sees it
	ctl resolve --network blue --from "$1" --to "$2" "${@:3}" --json | jq -c '[.verdict, .path // []]' | tr -d '[]"'
}
is() { local got; got=$("${@:2}"); echo "got: $got"; [ "$got" = "$1" ]; }
web() { on "$1" curl -sS -m 2 -o /dev/null "http://10.1.0.13:$2/"; }

world
service
objects '[
  {"kind":"policy","network":"blue","name":"vm5-out","priority":100,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["firewall"]},
  {"kind":"policy","network":"blue","name":"no-db","priority":200,"from":{"endpoints":["vm1","vm2","vm5"]},"to":{"endpoints":["vm7","vm8"]},"action":"deny"},
  {"kind":"policy","network":"blue","name":"tls-in","priority":50,"from":"any","to":{"endpoints":["vm3"]},"proto":"tcp","to_port":443,"action":"allow","path":["ssl-accelerator"]},
  {"kind":"policy","network":"blue","name":"tls-out","priority":50,"from":{"endpoints":["vm3"]},"to":"any","proto":"tcp","from_port":443,"action":"allow","path":["ssl-accelerator"]},
  {"kind":"policy","network":"blue","name":"high-ports","priority":60,"from":"any","to":{"endpoints":["vm3"]},"proto":"tcp","to_port":"81-90","action":"deny"}]'

check "R10a: VM 5 to anyone: through a firewall" is "allow,firewall" verdict vm5 vm1
check "R10b: VMs 1, 2, 5 to 7: dropped" is "deny," verdict vm1 vm7
check "R10b: VMs 1, 2, 5 to 8: dropped" is "deny," verdict vm5 vm8
check "R10b: not the other way" is "allow," verdict vm7 vm1
check "R10c: VM 3 from its port 443: through an accelerator" is "allow,ssl-accelerator" verdict vm3 vm1 --proto tcp --from-port 443 --port 50000
check "R10d: anyone to VM 3's port 443: through an accelerator" is "allow,ssl-accelerator" verdict vm1 vm3 --proto tcp --port 443
check "R13: services of several policies add up" is "allow,firewall,ssl-accelerator" verdict vm5 vm3 --proto tcp --port 443
check "R10: the rest is allowed, without a service" is "allow," verdict vm1 vm3 --proto tcp --port 80

agent h1
agent h2
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h1 v5 blue vm5 10.1.0.15 02:00:00:00:01:05
vm h2 v3 blue vm3 10.1.0.13 02:00:00:00:01:03
vm h2 v7 blue vm7 10.1.0.17 02:00:00:00:01:07
for port in 80 85 443; do bg web$port v3 busybox httpd -f -p $port -h "$W/dps"; done
until_ok 5 on v3 curl -s -o /dev/null http://10.1.0.13:443/

check "R10b: denied in the kernel, and counted" count_up h1 denied ping_ok v1 10.1.0.17 2
arp_known() { on v1 ip neigh show 10.1.0.17 | grep -q 02:00:00:00:01:07; }
check "ARP is answered for a VM that may not be spoken to" arp_known
check "R10b: VM 7 to VM 1 is allowed, the answers are not (rules are one-way)" count_up h1 denied ping_ok v7 10.1.0.11 2
check "R9: port 80 is allowed" web v1 80
check "R9: port range 81-90 is denied" count_up h1 denied web v1 85
check "R10d: port 443 needs a service that no host has: closed" count_up h1 no_service web v1 443
check "R10a: VM 5 needs a firewall that no host has: closed" count_up h1 no_service ping_ok v5 10.1.0.13 2
unicast_unknown() { on v1 ping -q -n -c 1 -W 1 10.1.0.99; }
check "an address that nobody has" count_up h1 no_endpoint unicast_unknown
check "a VM that is attached nowhere" count_up h1 no_place ping_ok v1 10.1.0.12 2
check "a pair that depends on ports holds its rules in one entry" sh -c "ip netns exec $P-h1 $BUILD/dove-agent cache --run-dir $W/run-h1 --json |
	jq -e '[.[] | select(.to == \"10.1.0.13\" and (.rules | length) >= 3)] | length >= 1'"

say "-- more rules than an entry holds"
jq -n '[range(12) | {kind: "policy", network: "blue", name: "odd-\(.)", priority: (10 + .), from: {endpoints: ["vm1"]}, to: {endpoints: ["vm3"]},
  proto: "tcp", to_port: (1001 + 2 * .), action: "deny"}]' >"$W/odd.json"
ctl apply -f "$W/odd.json" >/dev/null
bg web1001 v3 busybox httpd -f -p 1001 -h "$W/dps"
bg web1002 v3 busybox httpd -f -p 1002 -h "$W/dps"
until_ok 5 on v3 curl -s -o /dev/null http://10.1.0.13:1002/
check "R9: an even port is allowed" web v1 1002
check "R9: an odd one denied" count_up h1 denied web v1 1001
check "R9: ping is allowed" ping_all v1 10.1.0.13
exact() { da h1 cache --json | jq -e '[.[] | select(.to == "10.1.0.13" and .proto != null)] | length >= 3'; }
check "the pair is decided packet by packet, by exact entries" exact
ctl delete policy blue/odd-0 >/dev/null
check "R20: one rule taken away: its port is allowed" until_ok 2 web v1 1001
policy odd-0 '{"priority":10,"from":{"endpoints":["vm1"]},"to":{"endpoints":["vm3"]},"proto":"tcp","to_port":1002,"action":"deny"}'
check "R20: and put on another port: that one is denied" until_ok 2 refuses web v1 1002
check "R9: the first stays allowed" web v1 1001
for i in $(seq 0 11); do ctl delete policy blue/odd-$i >/dev/null; done

say "-- changes in mid-stream"
stream() { # COUNT: a ping every 5 ms from VM 1 to VM 3; prints how many came back
	on v1 ping -q -n -i 0.005 -c "$1" -W 1 10.1.0.13 | sed -n 's/.* \([0-9]*\) received.*/\1/p'
}
deny_all='{"priority":500,"from":{"endpoints":["vm1"]},"to":{"endpoints":["vm3"]},"action":"deny"}'
change_to_deny() {
	stream 400 >"$W/received" &
	local pid=$!
	sleep 0.7
	policy stop "$deny_all"
	wait $pid
	echo "$(cat "$W/received") of 400 came back"
	[ "$(cat "$W/received")" -gt 50 ] && [ "$(cat "$W/received")" -lt 350 ]
}
check "R20: a deny put above takes hold in mid-stream" change_to_deny
still_denied() { ! ping_ok v1 10.1.0.13 2; }
check "R20: and holds" still_denied
back() { ctl delete policy blue/stop >/dev/null && until_ok 2 ping_all v1 10.1.0.13; }
check "R20: taken away, traffic is back within a second or two" back
no_loss() {
	stream 400 >"$W/received" &
	local pid=$!
	sleep 0.5
	policy other '{"priority":400,"from":{"endpoints":["vm8"]},"to":{"endpoints":["vm7"]},"action":"deny"}'
	sleep 0.3
	policy other '{"priority":401,"from":{"endpoints":["vm8"]},"to":{"endpoints":["vm7"]},"action":"deny"}'
	wait $pid
	echo "$(cat "$W/received") of 400 came back"
	[ "$(cat "$W/received")" = 400 ]
}
check "R17: changes that do not concern a stream lose none of it" no_loss
check "R12: an address that nobody has yet" count_up h1 no_endpoint ping_ok v1 10.1.0.19 1
jq -n '[{kind: "endpoint", network: "blue", name: "vm9", mac: "02:00:00:00:01:09", addresses: ["10.1.0.19"]}]' >"$W/vm9.json"
ctl apply -f "$W/vm9.json" >/dev/null
vm h2 v9 blue vm9 10.1.0.19 02:00:00:00:01:09
check "R12: once it has a VM it is reached at once, though its absence was remembered" until_ok 2 ping_ok v1 10.1.0.19 1
finish
