#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An origin that is not told of a change (its own check is off) is found out by
# its packets: the destination sees the old sequence, tells the origin, and the
# origin asks anew. Both ingress modes.
#
#   h1: v1 (origin)     h2 (XDP): v2     h3 (TC): v3
. "$(dirname "$0")/lib.sh"

policy() { # NAME JSON
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
event_seen() { # HOST TYPE
	da "$1" events --json | jq -e --arg t "$2" '[.[] | select(.type == $t and .origin == "h1")] | length > 0'
}
sequence() { da h1 cache --json | jq --arg to "$1" '[.[] | select(.to == $to and .source == 1)][0].sequence'; }

world 3
service
blue 1 2 3
echo '{"origin_check": false}' >"$W/h1.json"
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 --ingress tc >/dev/null
for i in 1 2 3; do vm h$i v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done

for n in "2 h2 XDP" "3 h3 TC"; do
	set -- $n
	to=10.1.0.1$1
	check "$3: VM 1 speaks to VM $1" ping_all v1 $to
	old=$(sequence $to)
	on v1 ping -q -n -i 0.01 -c 300 -W 1 $to >"$W/ping" 2>&1 &
	pid=$!
	sleep 0.5
	# Its verdict stays, its marking changes: stale, and safe to deliver.
	policy "mark$1" '{"priority":10,"from":"any","to":{"endpoints":["vm'"$1"'"]},"action":"allow"}'
	sleep 0.5
	policy "mark$1" '{"priority":10,"from":"any","to":{"endpoints":["vm'"$1"'"]},"action":"allow","qos":{"dscp":46}}'
	wait $pid
	check "R15, R20: $3: the destination saw that the packets were stale" event_seen $2 stale
	delivered() { [ "$(stat $2 stale)" -ge 1 ]; }
	check "R17: $3: and delivered them, for what changed is no matter of security" delivered $@
	refreshed() { echo "$old -> $(sequence $to)"; [ "$(sequence $to)" -gt "$old" ]; }
	check "R20: $3: the origin has asked anew" refreshed
	told() { da $2 stats --json | jq -e '.hints.sent >= 1' && da h1 stats --json | jq -e '.hints.received >= 1'; }
	check "R16: $3: because it was told" told $@

	on v1 ping -q -n -i 0.01 -c 200 -W 1 $to >"$W/ping" 2>&1 &
	pid=$!
	sleep 0.5
	policy "stop$1" '{"priority":100,"from":{"endpoints":["vm1"]},"to":{"endpoints":["vm'"$1"'"]},"action":"deny"}'
	wait $pid
	check "R15: $3: a deny makes the destination refuse what comes under the old policy" event_seen $2 refused
	counted() { [ $(($(stat $2 refused) + $(stat $2 returned))) -ge 1 ]; }
	check "R15: $3: each packet of it counted" counted $@
	denies() { [ "$(stat h1 denied)" -ge 1 ] && refuses ping_ok v1 $to 1; }
	check "R20: $3: and the origin denies by itself now" denies
	policy "stop$1" '{"priority":100,"from":{"endpoints":["vm1"]},"to":{"endpoints":["vm'"$1"'"]},"action":"allow"}'
	again() { ping_ok v1 $to 1; }
	check "R20: $3: deny turned to allow takes hold" until_ok 6 again
done

say "-- a VM moves: its old host tells who still sends there"
ctl delete policy blue/stop2 >/dev/null
check "VM 1 speaks to VM 2 on h2" until_ok 6 ping_all v1 10.1.0.12
on v2 ip link set eth0 down
vm_plug h3 w2 10.1.0.12 02:00:00:00:01:02
check "port add on h3 takes the place over" da h3 port add v-w2 --network blue --endpoint vm2
lost() { da h2 port list --json | jq -e '.[0].state == "lost"'; }
check "h2 knows that its port is no more" until_ok 3 lost
check "VM 1 reaches it there" until_ok 3 ping_all v1 10.1.0.12
check "h2 saw packets that came too late" event_seen h2 moved
mute() { on v2 ip link set eth0 up; refuses ping_ok v2 10.1.0.11 1; }
check "the VM's shadow on h2 can't speak any more" mute
finish
