#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A thousand hosts that are all stale at once: what that costs the one they send to, and the service.
#
#   h1: v1, and the addresses of a thousand hosts more     h2 (XDP): v2
. "$(dirname "$0")/lib.sh"

ORIGINS=1000
FIRST=203.0.112.1

newer() { # the policy that decides changes, though not in what it requires
	jq -n --argjson dscp "$1" '[{kind: "policy", network: "blue", name: "all", priority: 5, from: "any", to: "any",
	  action: "allow", qos: {dscp: $dscp}}]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
	sleep 0.3
}
revision() { da h2 status --json | jq '.networks[] | select(.name == "blue") | .revision'; }
# frame POLICY SEQUENCE SOURCE: v1's datagram to v2 as a host sends it, behind outer IP and UDP
frame() {
	printf '054065580000%02x00ff018104%08x%08x%08x0000%04x' "$VNID" "$1" "$2" "$3" "$VNID"
	printf '%s' 020000000102 020000000101 0800 4500001c00000000401100000a01000b0a01000c 0fa00fa000080000 | sed 's/ //g'
}

world 2
service
blue 1 2
echo '{"origin_check": false}' >"$W/h1.json"
for h in h1 h2; do agent $h; done
# The thousand: known to the service, and all of them at h1.
on r ip route add 203.0.112.0/20 via "$(host_addr h1)"
on h1 ip route add local 203.0.112.0/20 dev lo
on h1 sysctl -qw net.ipv4.ip_nonlocal_bind=1
add() {
	local i
	for ((i = 0; i < ORIGINS; i++)); do
		echo "url = \"$DPS_URL/v1/hosts/o$i\""
		echo "request = \"PUT\""
		echo "data = \"{\\\"addresses\\\": [\\\"203.0.$((112 + (i + 1) / 256)).$(((i + 1) % 256))\\\"]}\""
		echo "output = \"/dev/null\""
		echo "next"
	done | sed '$d' >"$W/hosts.curl"
	on s curl -s -K "$W/hosts.curl"
}
add
for h in h1 h2; do da $h attach eth0 >/dev/null; done
for i in 1 2; do vm h$i v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
newer 1
registered() { da h2 status --json | jq -e --argjson n $ORIGINS '.hosts | length > $n'; }
check "R21: a thousand hosts more are known" until_ok 10 registered
check "R14: traffic flows" ping_all v1 10.1.0.12
VNID=$(da h2 status --json | jq '.networks[] | select(.name == "blue") | .vnid')
read -r policy sequence source < <(da h1 cache --json | jq -r '[.[] | select(.to == "10.1.0.12")][0] | "\(.policy) \(.sequence) \(.source)"')
storm() { on h1 "$T/datagram" "$(host_addr h2)" 6081 "$(frame "$policy" "$sequence" "$source")" $ORIGINS $FIRST; }
delivered() { local b; b=$(stat h2 delivered); storm; sleep 0.5; echo "$b -> $(stat h2 delivered)"; [ $(($(stat h2 delivered) - b)) -ge $ORIGINS ]; }
check "R14: what the thousand send is delivered" delivered
newer 2
stale=$(stat h2 stale) sent=$(da h2 stats --json | jq .hints.sent) asked=$(stat h2 questions)
storm
sleep 1
check "R17: all of it is delivered, and seen to be stale" [ $(($(stat h2 stale) - stale)) -ge $ORIGINS ]
told() { n=$(($(da h2 stats --json | jq .hints.sent) - sent)); echo "$n messages"; [ $n -ge $((ORIGINS * 9 / 10)) ] && [ $n -le $ORIGINS ]; }
check "R16: each origin is told, once" until_ok 10 told
echo "     $(($(da h2 stats --json | jq .hints.sent) - sent)) messages, $(($(stat h2 questions) - asked)) questions of the destination, events lost: $(stat h2 events_lost)"
one_each() { echo "$(($(stat h2 questions) - asked)) questions"; [ $(($(stat h2 questions) - asked)) -le $ORIGINS ]; }
check "R16: at most one question for each of them" one_each
check "R15: meanwhile others' traffic is as before" ping_all v1 10.1.0.12
again() { # two thousand a second in all, whatever comes
	local b n i start=$SECONDS
	b=$(da h2 stats --json | jq .hints.sent)
	for i in 1 2 3 4 5 6 7 8; do storm; done
	sleep 1
	n=$(($(da h2 stats --json | jq .hints.sent) - b))
	echo "$n messages in $((SECONDS - start)) s"
	[ $n -le $((2000 * (SECONDS - start + 1))) ]
}
check "R16: they go on sending, faster than they can be told: messages are bounded" again
finish
