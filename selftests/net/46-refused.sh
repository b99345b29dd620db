#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packets below a floor: refused by their destination, and what becomes of them.
#
#   h1 (TC): v1        h2 (XDP, or TC): v2, w2        h3 (TC): v3
#
# h1 does not hold its own packets to the numbers, so only their destination can.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/streams.sh"

declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [v3]=10.1.0.13)
RATE=20000 LONG=5 LONGER=6
[ "${DOVE_TEST_SLOW:-1}" = 1 ] || RATE=500 LONG=40 LONGER=40 # the changes amid them take as long

policy() { # NAME JSON
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
no_policy() { ctl delete policy "blue/$1" >/dev/null; }
rises() { # HOST REASON: has grown since `before`
	echo "$2: ${before[$1-$2]} -> $(stat "$1" "$2")"
	[ "$(stat "$1" "$2")" -gt "${before[$1-$2]}" ]
}
declare -A before=()
note() { before[$1-$2]=$(stat "$1" "$2"); }
restart() { # HOST JSON: its agent, with this configuration
	stop "agent-$1"
	echo "$2" >"$W/$1.json"
	agent "$1"
}
# unrelated: rules about another port of the same VM, put above and taken away: the floor of the VM rises each time.
unrelated() {
	local i
	for i in 1 2 3 4 5; do
		policy other '{"priority": 9, "from": "any", "to": {"endpoints": ["v2"]}, "proto": "udp", "to_port": 9, "action": "deny"}' || return 1
		sleep 0.3
		no_policy other || return 1
		sleep 0.3
	done
}

world 3
service
vms_of_blue 10.1.0.0/24 '[{"kind": "service", "name": "firewall"}]'
echo '{"origin_check": false}' >"$W/h1.json"
three_agents
for i in 1 2 3; do vm h$i v$i blue v$i 10.1.0.1$i "${MAC[v$i]}"; done
ping_ok v1 10.1.0.12 1 >/dev/null

say "-- given back, which is the default"
note h2 returned; note h1 held_returned
stream v v1 v2 $LONG
sleep 0.5
unrelated
ended v
check "R18: a stream that the change does not concern loses nothing" judged v
say "     $(judge v)"
check "R17: what was below the floor was refused, and given back" rises h2 returned
check "R18: its origin took it back, and sent it again" rises h1 held_returned
told() { da h1 stats --json | jq -e '.hints.received >= 5' && da h2 events --json | jq -e 'any(.[]; .type == "refused" and .reason == "returned" and .delivered == false)'; }
check "R16: the origin was told each time, that it was not processed" told
bounded() { da h1 stats --json | jq -e '.questions < 60' || da h1 stats --json | jq .questions; }
check "R16: which cost the service a few questions, not one for each packet" bounded

say "-- sent on by the destination"
restart h2 '{"refused": "forward"}'
ping_ok v1 10.1.0.12 1 >/dev/null
note h2 held_refused
stream v v1 v2 $LONG
sleep 0.5
unrelated
ended v
check "R18: a stream that the change does not concern loses nothing" judged v
say "     $(judge v)"
check "R18: what was below the floor was asked for by the destination's agent" rises h2 held_refused
forwarded() { da h2 stats --json | jq -e '.checks.forwarded > 0 and .checks.asked <= 60' || { da h2 stats --json | jq -c .checks; false; }; }
check "R18: and delivered under the new answer, a few questions for all of it" forwarded

say "-- dropped"
restart h2 '{"refused": "drop"}'
ping_ok v1 10.1.0.12 1 >/dev/null
note h2 refused
stream v v1 v2 $LONG
sleep 0.5
unrelated
ended v
dropped() { judge v; [ "$(count v lost)" -gt 0 ] && [ "$(count v lost)" = $(($(stat h2 refused) - ${before[h2-refused]})) ]; }
check "R17: what was below the floor is lost, all of it counted as refused, and nothing else" dropped
say "     $(judge v)"

say "-- what the change does concern"
datagrams() { on "$1" cat /proc/net/snmp | awk '/^Udp: [0-9]/ { print $2 + $3 }'; } # that have reached it
more_than() { [ "$(datagrams "$2")" -gt "$1" ]; }
no_more() { # TO: after the destination knows, nothing of the stream arrives
	local n
	sleep 0.5
	n=$(datagrams "$1")
	sleep 1
	echo "datagrams: $n -> $(datagrams "$1")"
	[ "$(datagrams "$1")" = "$n" ]
}
for mode in drop return forward; do
	restart h2 "{\"refused\": \"$mode\"}"
	until_ok 3 ping_ok v1 10.1.0.12 1
	stream v v1 v2 $LONGER
	sleep 0.5
	policy no '{"priority": 9, "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["v2"]}, "proto": "udp", "action": "deny"}'
	check "R20: $mode: a deny put above it: nothing passes under the old translation" no_more v2
	policy no '{"priority": 9, "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["v2"]}, "proto": "udp", "action": "allow", "path": ["firewall"]}'
	check "R20: $mode: through a service that is not there: nothing passes" no_more v2
	no_policy no
	n=$(datagrams v2)
	check "R20: $mode: allowed again: within a second" until_ok 1 more_than "$n" v2
	ended v
done
finish
