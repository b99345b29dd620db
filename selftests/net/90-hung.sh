#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Appliances that hang while their links are up (R28): found out by probes through them.
#
#   h1: vm1     h2: vm2, other     h3: tap, deaf, router
#
#   tap     one port, a tap, and a process that carries its frames: it is stopped and goes on
#   other   two ports of a bridge: all that the first one's flows have when it hangs
#   deaf    one port; lets IP alone through, so no probe ever
#   router  one port, a tap, and an address: a kernel that answers for it
. "$(dirname "$0")/lib.sh"

declare -A ADDR=([vm1]=10.1.0.11 [vm2]=10.1.0.12)
counted() { # NAME: what it meets of the stream has a counter of its own
	on "$1" nft add counter bridge fw stream
	on "$1" nft insert rule bridge fw forward udp dport 4001 counter name stream
}
member() { # HOST NAME PORT
	ip link add "eth0$3" netns "$P-$2" type veth peer name "a-$2$3" netns "$P-$1"
	on "$2" ip link set "eth0$3" master br0 up
	on "$1" ip link set "a-$2$3" up
	da "$1" port add "a-$2$3" --network blue --endpoint "$2$3" >/dev/null || fail "port of $2$3 on $1"
}
hairpin() { on "$1" ip link set eth0 type bridge_slave hairpin on; }
instances() { jq -n --argjson i "[$1]" '[{kind: "service", name: "firewall", instances: $i}]' >"$W/fw.json" && ctl apply -f "$W/fw.json" >/dev/null; }
TAP='{"endpoint": "blue/tap", "weight": 9}'
OTHER='{"endpoint": "blue/other", "out": "blue/other-out"}'
DEAF='{"endpoint": "blue/deaf"}'
probe() { da "$1" port list --json | jq -r --arg d "$2" '.[] | select(.device == $d).probe'; } # HOST DEVICE
probe_is() { [ "$(probe "$1" "$2")" = "$3" ]; }
alive() { da "$1" status --json | jq -e --arg n "blue/$2" '.services[].instances[] | select(.endpoint == $n).alive'; } # HOST NAME
dead() { [ "$(alive "$@")" = false ]; }
state() { ctl path --network blue --from vm1 --to vm2 --json | jq -r --arg n "blue/$1" '.hops[0].instances[] | select(.endpoint == $n).state'; }
state_is() { [ "$(state "$1")" = "$2" ]; }
rising() { local n; n=$(counter "$1" stream); sleep 0.2; [ "$(counter "$1" stream)" -gt "$n" ]; }
resting() { ! rising "$1"; }
lines() { grep -c "$1" "$W/agent-h3.log"; }

world 3
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}] + [(1, 2) as $i | {kind: "endpoint", network: "blue",
  name: "vm\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]}] +
  [["tap", "other", "other-out", "deaf", "router"] | to_entries[] | {kind: "endpoint", network: "blue", name: .value, mac: "02:00:00:00:02:0\(.key)",
   addresses: (if .value == "router" then ["10.1.0.50"] else [] end)}] +
  [{kind: "service", name: "router", instances: [{endpoint: "blue/router", mode: "routed"}]}] +
  [{kind: "policy", network: "blue", name: "led", priority: 100, from: {endpoints: ["vm1"]}, to: "any", action: "allow", path: ["firewall"]}]' >"$W/objects.json"
jq --argjson i "[$TAP, $OTHER, $DEAF]" '[{kind: "service", name: "firewall", instances: $i}] + .' "$W/objects.json" >"$W/all.json"
ctl apply -f "$W/all.json" >/dev/null || fail "objects"
for h in h1 h2 h3; do
	agent $h
	da $h attach eth0 --ingress tc >/dev/null
done
for i in 1 2; do vm h$i vm$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
ns_add other deaf
tap h3 tap "" 02:00:00:00:02:00 || fail "the tap"
tap h3 router 10.1.0.50 02:00:00:00:02:04 || fail "the router's tap"
for a in tap other deaf; do
	bridge $a
	counted $a
done
on deaf nft insert rule bridge fw forward ether type != '{ ip, ip6, arp }' counter name refused drop
on tap ip link set eth0 master br0
hairpin tap
da h3 port add v-tap --network blue --endpoint tap >/dev/null || fail "port of the tap"
da h3 port add v-router --network blue --endpoint router >/dev/null || fail "port of the router"
member h2 other ""
member h2 other -out
member h3 deaf ""
hairpin deaf
until_ok 5 ping_all vm1 10.1.0.12 || fail "no way from vm1 to vm2"

say "-- what lets probes through"
check "R28: through the process that carries a tap's frames" until_ok 5 probe_is h3 v-tap passing
check "R28: through a bridge, one way" until_ok 5 probe_is h2 a-other passing
check "R28: and the other" until_ok 5 probe_is h2 a-other-out passing
check "R28: a router answers for its address" until_ok 5 probe_is h3 v-router passing
unjudged() { sleep 1.5; probe_is h3 a-deaf none && alive h1 deaf && alive h3 deaf && [ "$(counter deaf refused)" -gt 5 ]; }
check "R28: one that lets none through is not judged by them, and stays in use" unjudged
learned() {
	on other bridge fdb show br br0 | grep '^06:d0' | tee /dev/stderr >"$W/fdb"
	[ "$(grep -c 'dev eth0 ' "$W/fdb")" = 1 ] && [ "$(grep -c 'dev eth0-out ' "$W/fdb")" = 1 ]
}
check "R28: the bridge has learned both ends of them, each where it is" learned
unseen() { [ "$(stat h3 probed)" -gt 0 ] && [ "$(stat h3 not_ip)" = 0 ] && [ "$(stat h2 not_ip)" = 0 ] && [ "$(stat h2 off_path)" = 0 ] && [ "$(stat h3 arp_unasked)" = 0 ]; }
check "they are counted, and as no drops" unseen
is_vm() { da h1 port list --json | jq -e 'all(has("probe") | not)'; }
check "a VM's port has none" is_vm

say "-- the process hangs, the link is up"
instances "$TAP, $OTHER"
# Its ports give a flow its instance: one that the tap has. It goes on until it is stopped.
stream() {
	local i
	listener in vm2 "$T/probe" receive 4001 60 "$W/received" || return 1
	for i in 1 2 3 4 5 6 7 8; do
		bg out vm1 "$T/probe" send 10.1.0.12 4001 500 300 "$W/sent"
		until_ok 1 rising tap && return 0
		stop out
	done
	return 1
}
both() { alive h1 tap && alive h1 other; }
until_ok 5 both || fail "not two firewalls"
stream || fail "no stream through the tap"
stopped=$(date +%s%N)
kill -STOP "${PID[tap-tap]}"
check "R28: the flow comes to use the other" until_ok 5 rising other
check "R28: the port says so" probe_is h3 v-tap failed
check "R28: the instance is dead to who asks the service" until_ok 2 state_is tap dead
check "R28: and to the other hosts" until_ok 2 dead h1 tap
flapped() {
	on h3 ip link set v-tap down
	sleep 1
	on h3 ip link set v-tap up
	sleep 2
	probe_is h3 v-tap failed && state_is tap dead
}
check "R28: its link goes and comes: it hangs as it did" flapped
says() { da h3 status | tee /dev/stderr | grep -q 'blue/tap on h3 (hangs'; }
check "R28: its host's status says why" says
carrier() { on h3 cat /sys/class/net/v-tap/carrier | grep -qx 1; }
check "R28: all with its link up" carrier

say "-- the agent comes back, the process does not"
stop agent-h3
agent h3
still() { sleep 1.5; probe_is h3 v-tap failed && dead h1 tap && rising other; }
check "R28: what hung when an agent ended hangs for the next one" still

say "-- the process goes on"
kill -CONT "${PID[tap-tap]}"
check "R28: the flow comes back" until_ok 5 rising tap
check "R28: the instance is up" until_ok 2 state_is tap up
check "R28: the other has it no more" until_ok 2 resting other
stop agent-h3
agent h3
judged() { local i; for i in $(seq 15); do alive h1 tap && alive h3 tap && ! probe_is h3 v-tap failed || return 1; sleep 0.1; done >/dev/null; }
check "R28: an agent that begins anew takes nothing for dead" judged
check "R28: and hears probes again" until_ok 5 probe_is h3 v-tap passing

say "-- what drops probes, and lets packets through"
alive h1 tap >/dev/null && until_ok 3 rising tap || fail "no stream through the tap"
on tap nft insert rule bridge fw forward ether type 0x88b5 counter name refused drop
busy() { sleep 2; probe_is h3 v-tap passing && rising tap && [ "$(counter tap refused)" -gt 5 ]; }
check "R28: one with too much to do for probes is left to its work" busy
stop out
check "R28: with nothing to do it counts as hanging" until_ok 5 probe_is h3 v-tap failed
instances "$(jq -c '. + {probe: false}' <<<"$TAP"), $OTHER"
off() { probe_is h3 v-tap none && state_is tap up && alive h1 tap; }
check "R28: unless its administrator says that it is not to be probed" until_ok 5 off
instances "$TAP, $OTHER"
on tap nft delete rule bridge fw forward handle "$(on tap nft -a list chain bridge fw forward | sed -n 's/.*0x88b5.*handle //p')"
check "R28: and says so no more" until_ok 5 probe_is h3 v-tap passing

say "-- a router that hangs"
kill -STOP "${PID[tap-router]}"
check "R28: it answers no more" until_ok 5 probe_is h3 v-router failed
kill -CONT "${PID[tap-router]}"
check "R28: and again" until_ok 5 probe_is h3 v-router passing
jq '[.[] | select(.name == "router" and .kind == "endpoint") | .addresses = ["10.1.0.51"]]' "$W/objects.json" >"$W/moved.json"
moved() {
	on router ip addr add 10.1.0.51/32 dev eth0 && ctl apply -f "$W/moved.json" >/dev/null && sleep 0.5 &&
		on router ip addr del 10.1.0.50/24 dev eth0 && sleep 1.5 && probe_is h3 v-router passing
}
check "R28: asked for another address, once it has another" moved

say "-- one way alone"
on other nft insert rule bridge fw forward iifname eth0-out drop
half() { probe_is h2 a-other passing && probe_is h2 a-other-out failed && state_is other dead && alive h1 tap && dead h1 other; }
check "R28: who lets nothing back is dead as well" until_ok 5 half
stop in INT
say "     longest silence of the stream: $("$T/probe" silence "$W/received" "$stopped")"
finish
