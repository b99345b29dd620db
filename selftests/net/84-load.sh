#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Instances chosen by load (R28), and what operators are shown of a path: its hops, where they are, what went there.
#
#   h1: vm1     h2: vm2     h3: fw1     h4: fw2     each firewall a bridge that sends back what comes in
#
# fw1 has nine of ten flows by its weight, and can 1 Mbit/s; fw2 can ten.
. "$(dirname "$0")/lib.sh"

appliance() { # HOST NAME
	ns_add "$2"
	on "$2" ip link add br0 type bridge stp_state 0 mcast_snooping 0
	on "$2" ip link set br0 up
	ip link add eth0 netns "$P-$2" type veth peer name "a-$2" netns "$P-$1"
	on "$2" ip link set eth0 master br0 up
	on "$2" ip link set eth0 type bridge_slave hairpin on
	on "$1" ip link set "a-$2" up
	da "$1" port add "a-$2" --network blue --endpoint "$2" >/dev/null || fail "port of $2 on $1"
}
path() { ctl path --network blue --from vm1 --to vm2 --json; }
resolve() { ctl resolve --network blue --from vm1 --to vm2 "$@"; }
instance() { path | jq -c --arg n "blue/$1" '.hops[0].instances[] | select(.endpoint == $n)'; }
aside() { instance "$1" | jq .aside; }
sequence() { resolve | jq .sequence; }

world 4
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}] +
  [(1, 2) as $i | {kind: "endpoint", network: "blue", name: "vm\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]},
   {kind: "endpoint", network: "blue", name: "fw\($i)", mac: "02:00:00:00:02:0\($i)"}] +
  [{kind: "service", name: "firewall", instances: [{endpoint: "blue/fw1", weight: 9, capacity_mbps: 1}, {endpoint: "blue/fw2", capacity_mbps: 10}]},
   {kind: "policy", network: "blue", name: "led", priority: 100, from: {endpoints: ["vm1"]}, to: "any", action: "allow", path: ["firewall"]},
   {kind: "policy", network: "blue", name: "ssh", priority: 200, from: {endpoints: ["vm1"]}, to: "any", proto: "tcp", to_port: 22, action: "deny"},
   {kind: "policy", network: "blue", name: "below", priority: 50, from: "any", to: "any", action: "deny"},
   {kind: "policy", network: "blue", name: "others", priority: 300, from: {endpoints: ["vm2"]}, to: "any", action: "allow"}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
for h in h1 h2 h3 h4; do
	agent $h
	da $h attach eth0 --ingress tc >/dev/null
done
vm h1 vm1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 vm2 blue vm2 10.1.0.12 02:00:00:00:01:02
appliance h3 fw1
appliance h4 fw2
until_ok 5 ping_all vm1 10.1.0.12 || fail "no way from vm1 to vm2"

say "-- what is shown of a path"
considered() {
	resolve | jq -c '[.considered[] | [.name, .priority, .action, .why]]' | tee /dev/stderr |
		jq -e '.[0] == ["blue/ssh", 200, "deny", "its protocol or ports are others"] and .[1] == ["blue/led", 100, "allow", "it matches first, and decides"]'
}
check "R27: resolve tells which policies were considered, and why one decides" considered
other() {
	resolve --proto tcp --port 22 | jq -c '[.verdict, .policy_name, (.considered[] | [.name, .why])]' | tee /dev/stderr |
		jq -e '.[0:3] == ["deny", "ssh", ["blue/ssh", "it matches first, and decides"]]'
}
check "R27: and for other ports another" other
told() { # what hosts have told: within ten seconds
	path | tee /dev/stderr | jq -e '.sequence > 0 and .policy_name == "led" and (.hops | length == 1) and
		(.hops[0] | .stage == 1 and .service == "firewall" and (.instances | length == 2)) and
		([.hops[0].instances[] | [.endpoint, .host, .state]] == [["blue/fw1", "h3", "up"], ["blue/fw2", "h4", "up"]]) and
		(.hops[0].instances | all(.sequence > 0)) and ([.hops[0].instances[].load.packets] | add >= 6)'
}
check "R27: path tells of each instance its host, its state, since which revision, and its packets" until_ok 15 told
traced() {
	da h1 trace v-vm1 --to 10.1.0.12 --proto icmp --json >"$W/trace" && cat "$W/trace"
	jq -e --argjson s "$(da h1 cache --json | jq '[.[] | select(.to == "10.1.0.12")][0].sequence')" \
		'.hops | length == 1 and .[0].sequence == $s and .[0].packets >= 3 and .[0].bytes >= 3 * 98 and
		(([.[0].instance, .[0].host] == ["blue/fw1", "h3"]) or ([.[0].instance, .[0].host] == ["blue/fw2", "h4"]))' "$W/trace"
}
check "R13: trace tells of each hop its instance, its host, the sequence, and what went there from here" traced
in_words() { da h1 trace v-vm1 --to 10.1.0.12 | tee /dev/stderr | grep -Eq "^service .*'firewall', blue/fw[12] on host h[34], under sequence [0-9]+; [0-9]+ packets from here"; }
check "R13: in words, too" in_words
counted() { da h3 status --json | jq -e --argjson n "$(instance fw1 | jq '.load.packets // 0')" '.services[0].instances[] | select(.endpoint == "blue/fw1").packets >= $n'; }
check "R13: the appliance's own host has counted no less than it has told" counted
on fw2 ip link set eth0 down
dead() { [ "$(instance fw2 | jq -r .state)" = dead ]; }
check "R28: one whose port has no carrier is shown as dead" until_ok 5 dead
on fw2 ip link set eth0 up
up() { [ "$(instance fw2 | jq -r .state)" = up ]; }
check "R28: and as up again" until_ok 5 up

say "-- instances chosen by load"
check "R28: both have all of their flows" test "$(aside fw1)$(aside fw2)" = 00
before=$(sequence)
# 2,500 a second of 106 bytes, in 128 flows: 2.1 Mbit/s, of which nine parts of ten are too much for fw1.
listener in vm2 "$T/probe" receive 4000 2 "$W/received"
bg out vm1 "$T/probe" send 10.1.0.12 4000 2500 18 "$W/sent" 128
stands_aside() { [ "$(aside fw1)" -gt 0 ]; }
check "R28: fw1 has too much to do, and gives up some of its flows" until_ok 20 stands_aside
newer() { echo "$before -> $(sequence)" && [ "$(sequence)" -gt "$before" ]; }
check "R28, R20: which has raised the sequence" newer
follows() { da h1 status --json | jq -c '.services[0].instances' | tee /dev/stderr | jq -e 'map(.share) | .[0] < 0.8 and .[1] > 0.2'; }
check "R28: so fewer of the origin's slots are its own" until_ok 5 follows
taken() { [ "$(aside fw2)" = 0 ]; }
check "R28: fw2, which has room, keeps all of its own" taken
# Settled, it stays as it is for as long as the stream goes on: every change of a part is a line of the service's.
sleep 6
changes() { grep -c 'parts of its flows' "$W/dps.log"; }
few() { grep 'parts of its flows' "$W/dps.log"; [ "$(changes)" -le 3 ]; }
check "R28: it does not flap" few
wait "${PID[out]}" "${PID[in]}"
unset "PID[out]" "PID[in]"
: >"$W/none"
say "     $("$T/probe" judge "$W/sent" "$W/received" "$W/none" 2>/dev/null)"
back() { [ "$(aside fw1)" = 0 ]; }
check "R28: with nothing to do for a while it takes them again" until_ok 60 back
finish
