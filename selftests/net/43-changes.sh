#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Policies that change under traffic, with an origin that hears of nothing: its
# agent is asleep, so its programs go on with what they have, and what keeps
# the old from being delivered is the destination alone.
#
#   h1 (TC): v1        h2 (XDP): v2, w2        h3 (TC): v3, w3
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/streams.sh"

declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [v3]=10.1.0.13 [w2]=10.1.0.22 [w3]=10.1.0.23)
RATE=20000 SILENCE=4 SLOW=${DOVE_TEST_SLOW:-1}
[ "$SLOW" = 1 ] || RATE=500

revision() { da "$1" status --json | jq '.networks[] | select(.name == "blue").revision'; }
# changed HOST COMMAND...: a change of the network, and until the host knows.
changed() {
	local h=$1 before
	before=$(revision "$h")
	shift
	"$@" >/dev/null || fail "$*"
	until_ok 10 sh -c "[ \"\$(ip netns exec $P-$h $BUILD/dove-agent status --json --run-dir $W/run-$h |
		jq '.networks[] | select(.name == \"blue\").revision')\" -gt $before ]" || fail "$h does not hear of it"
}
policy() { # NAME JSON
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json"
}
between() { "$T/probe" between "$W/sent-$1" "$W/received-$1" "$2" "$3"; }
# nothing NAME FROM TO: sent all the time, and none of it received, nor anything else then.
nothing() {
	local line
	line=$(between "$@")
	echo "$line"
	[[ $line =~ sent\ ([0-9]+),\ of\ those\ received\ 0,\ received\ then\ 0 ]] && [ "${BASH_REMATCH[1]}" -gt 500 ]
}
something() { # NAME FROM TO
	local line
	line=$(between "$@")
	echo "$line"
	[[ $line =~ received\ then\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -gt 0 ]
}
sleeps() { kill -STOP "${PID[agent-h1]}"; }
wakes() { kill -CONT "${PID[agent-h1]}"; }

world 3
service
vms_of_blue 10.1.0.0/24 '[{"kind": "service", "name": "nobody"}]'
echo '{"origin_check": false}' >"$W/h1.json"
three_agents
for n in "h1 v1" "h2 v2" "h2 w2" "h3 v3" "h3 w3"; do
	set -- $n
	vm "$1" "$2" blue "$2" "${IN4[$2]}" "${MAC[$2]}"
done
for v in v2 v3 w2 w3; do ping_ok v1 ${IN4[$v]} 1 >/dev/null; done

# stopped HOST MODE N POLICY TEXT: a policy that stops what v1 sends to vN; 1,000 other flows go to wN.
stopped() {
	local h=$1 v=v$3 from to late refused
	say "-- $2: $5"
	refused=$(($(stat "$h" refused) + $(stat "$h" returned)))
	stream v v1 $v $((5 + 20 * (SLOW > 1)))
	stream w v1 w$3 $((5 + 20 * (SLOW > 1))) $((RATE / 4)) 1000
	sleep 1
	sleeps
	changed "$h" policy stop "$4"
	from=$(now)
	sleep 1.5
	to=$(now)
	wakes
	sleep 0.5
	late=$(now)
	changed "$h" ctl delete policy blue/stop
	ended v w
	check "R17: $2: $5: once the destination knows, nothing of it passes" nothing v "$from" "$to"
	say "     $(between v "$from" "$to"); refused and given back $(($(stat "$h" refused) + $(stat "$h" returned) - refused))"
	check "R18: $2: while 1,000 flows that it does not concern lose none" judged w
	check "R20: $2: taken away, it takes hold within a second" something v "$late" $((late + SLOW * 1000000000))
}
DENY='{"priority": 100, "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["VM"]}, "action": "deny"}'
LEAD='{"priority": 100, "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["VM"]}, "action": "allow", "path": ["nobody"]}'
for n in "h2 XDP 2" "h3 TC 3"; do
	set -- $n
	stopped "$1" "$2" "$3" "${DENY/VM/v$3}" "a deny put above"
	stopped "$1" "$2" "$3" "${LEAD/VM/v$3}" "a service put on its path"

	say "-- $2: through a service, not, and again"
	changed "$1" policy stop "${LEAD/VM/v$3}"
	stream v v1 v$3 $((6 + 20 * (SLOW > 1)))
	first=$(now)
	sleep 1
	opened=$(now)
	changed "$1" ctl delete policy blue/stop
	sleep 1
	sleeps
	closing=$(now)
	changed "$1" policy stop "${LEAD/VM/v$3}"
	from=$(now)
	sleep 1.5
	to=$(now)
	wakes
	ended v
	check "R17: $2: at first nothing passes" nothing v "$first" "$opened"
	check "R20: $2: then it does" something v "$opened" "$closing"
	check "R17: $2: and then nothing again, though the origin still has the translation of between" nothing v "$from" "$to"
	changed "$1" ctl delete policy blue/stop
done
finish
