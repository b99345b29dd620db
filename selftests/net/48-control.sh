#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The control message between agents: what it carries, who believes it, and what it can't do.
#
#   h1 (TC): v1, which sends         h2 (TC): v2, whose policy changes         h3: another known host
#
# h1 does not hold its own packets to the numbers: what it learns, it learns from h2.
. "$(dirname "$0")/lib.sh"

restart() { # HOST JSON
	stop "agent-$1"
	echo "$2" >"$W/$1.json"
	agent "$1"
	ping_ok v1 10.1.0.12 1 >/dev/null
}
# newer: the policy that decides changes, though not in what it requires: packets under the old one are stale.
newer() {
	local dscp # in a file, for checks are subshells
	dscp=$(($(cat "$W/dscp" 2>/dev/null || echo 0) % 60 + 1))
	echo $dscp >"$W/dscp"
	jq -n --argjson dscp $dscp '[{kind: "policy", network: "blue", name: "all", priority: 5, from: "any", to: "any",
	  action: "allow", qos: {dscp: $dscp}}]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
	sleep 0.2
}
revision() { da h2 status --json | jq '.networks[] | select(.name == "blue") | .revision'; }
held() { da h1 cache --json | jq '[.[] | select(.to == "10.1.0.12") | .sequence] | max // 0'; } # by v1's host
has_newest() { [ "$(held)" = "$(revision)" ]; }
count() { da "$1" stats --json | jq ".hints.$2"; } # HOST FIELD
asked() { da h1 stats --json | jq '.questions - .hints.asked'; } # for itself, and not to tell others
# learns STORED DISTRUSTED QUESTIONS: after a change and a few packets v1's host has the newest translation, and
# so many more of each were counted there.
learns() {
	local stored distrusted questions
	stored=$(count h1 stored) distrusted=$(count h1 distrusted) questions=$(asked)
	newer
	ping_ok v1 10.1.0.12 3 || return 1
	until_ok 3 has_newest || { echo "held $(held), newest $(revision)"; return 1; }
	sleep 0.2
	echo "stored $(($(count h1 stored) - stored)), distrusted $(($(count h1 distrusted) - distrusted)), questions $(($(asked) - questions))"
	[ $(($(count h1 stored) - stored)) = "$1" ] && [ $(($(count h1 distrusted) - distrusted)) = "$2" ] &&
		[ $(($(asked) - questions)) = "$3" ]
}
# heard COMMAND...: the datagrams that h2 sends to h1's agent meanwhile, each in hex, in $W/heard.
heard() {
	bg tcpdump h1 tcpdump -n -l -i eth0 -U -w "$W/heard.pcap" udp dst port 6082 and src host "$(host_addr h2)"
	until_ok 5 grep -q "listening on" "$W/tcpdump.log"
	"$@"
	sleep 0.5
	stop tcpdump INT
	tcpdump -n -x -r "$W/heard.pcap" 2>/dev/null | awk '/^[0-9]/ { if (hex) print hex; hex = "" } /^\t0x/ { for (i = 2; i <= NF; i++) hex = hex $i } END { print hex }' |
		cut -c57- >"$W/heard"
}
# says NS HEX [COUNT]: that datagram from there to h1's agent.
says() { on "$1" "$T/datagram" "$(host_addr h1)" 6082 "$2" "${3:-1}"; }
# changes_nothing COUNTER NS HEX: it is counted so, and h1 has what it had, without a question.
changes_nothing() {
	local n had questions
	n=$(count h1 "$1") had=$(da h1 cache --json | jq -cS '[.[] | del(.expires_in)]') questions=$(asked)
	says "$2" "$3"
	until_ok 2 sh -c "[ \"\$(ip netns exec $P-h1 $BUILD/dove-agent stats --json --run-dir $W/run-h1 | jq '.hints.$1')\" -gt $n ]" ||
		{ da h1 stats --json | jq -c .hints; return 1; }
	[ "$(da h1 cache --json | jq -cS '[.[] | del(.expires_in)]')" = "$had" ] || { echo "what it holds has changed"; return 1; }
	[ "$(asked)" = "$questions" ] || [ "$1" = distrusted ] || { echo "questions: $questions -> $(asked)"; return 1; }
}

world 3
# The service's key, and another that nobody was told of.
KEY=$("$BUILD/dovectl" pki key blue --dir "$W/keys" | tail -n 1)
OTHER=$("$BUILD/dovectl" pki key other --dir "$W/keys" | tail -n 1)
jq -n --arg key "$W/keys/blue.sign" '{"sign-key": $key}' >"$W/dps.json"
service --config "$W/dps.json"
blue 1 2 3
TRUST=$(jq -nc --arg key "$KEY" '[{zone: "", vnids: ["1-16777215"], keys: [$key]}]')
echo "{\"origin_check\": false, \"trust\": $TRUST}" >"$W/h1.json"
for h in h1 h2 h3; do agent $h; done
for h in h1 h2 h3; do da $h attach eth0 --ingress tc >/dev/null; done
for i in 1 2 3; do vm h$i v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
newer
ping_ok v1 10.1.0.12 1 >/dev/null
until_ok 3 has_newest

say "-- attached, or asked for"
check "R16, R18: attached, believed and stored: its host asks nobody" learns 1 0 0
restart h2 '{"attach": false}'
check "R18: not attached: it asks, once" learns 0 0 1
restart h2 '{"hints": false}'
quiet() { newer; ping_ok v1 10.1.0.12 3 && sleep 0.5 && [ "$(held)" -lt "$(revision)" ]; }
check "R16: not told at all: it goes on with what it has" quiet
restart h2 '{}'
restart h1 '{"origin_check": false}'
check "R18: attached, but its host knows no key: a hint to ask, once" learns 0 1 1
restart h1 "{\"origin_check\": false, \"trust\": $(jq -nc --arg key "$OTHER" '[{zone: "", vnids: ["1-16777215"], keys: [$key]}]')}"
check "R18: nor if it knows another's" learns 0 1 1
restart h1 "{\"origin_check\": false, \"trust\": $(jq -nc --arg key "$KEY" '[{zone: "", vnids: ["9000-9999"], keys: [$key]}]')}"
check "R18: nor the right one, for other networks" learns 0 1 1
restart h1 "{\"origin_check\": false, \"trust\": $TRUST}"
check "R18: with the right one it is stored" learns 1 0 0
wrong() { out=$(on h3 "$BUILD/dove-agent" run --host x --dps "$DPS_URL" --run-dir "$W/x" --config <(echo "$1") 2>&1) && return 1; echo "$out"; [ "$(wc -l <<<"$out")" = 1 ] && grep -q "$2" <<<"$out"; }
check "R7: a wrong key is refused by its name" wrong '{"trust": [{"zone": "", "vnids": ["1"], "keys": ["AA=="]}]}' trust.keys
check "R7: so is what is no way to treat the refused" wrong '{"refused": "eat"}' refused

say "-- messages that others make"
heard learns 1 0 0 >/dev/null
FIRST=$(head -n 1 "$W/heard")
check "R16: the message was seen on the wire, with a signed translation" [ ${#FIRST} -gt 500 ]
check "R16: the same again: nothing newer in it" changes_nothing useless h2 "$FIRST"
newer; ping_ok v1 10.1.0.12 3 >/dev/null; until_ok 3 has_newest
check "R16: an older one, genuine, sent again" changes_nothing useless h2 "$FIRST"
check "R16: from another known host it is no better" changes_nothing useless h3 "$FIRST"
# Which is the signature's last byte, as the map's last value; then one in the middle, which is the body's.
flip() { local at=$1 hex=$2; printf '%s%02x%s' "${hex:0:$((2 * at))}" $((0x${hex:$((2 * at)):2} ^ 1)) "${hex:$((2 * at + 2))}"; }
BYTES=$((${#FIRST} / 2))
check "R16: with a signature that is not right" changes_nothing distrusted h2 "$(flip $((BYTES - 1)) "$FIRST")"
check "R16: with another body under it" changes_nothing distrusted h2 "$(flip $((BYTES / 2)) "$FIRST")"
check "R16: cut off" changes_nothing refused h2 "${FIRST:0:$((BYTES))}"
check "R16: with something behind it" changes_nothing refused h2 "${FIRST}00"
check "R16: larger than any" changes_nothing refused h2 "$FIRST$(printf '00%.0s' $(seq 1 1400))"
check "R16: no CBOR at all" changes_nothing refused h2 "ffffffff"
check "R16: empty" changes_nothing refused h2 "00"
check "R16: from who is no host of ours" changes_nothing refused r "$FIRST"
flood() { # a host that sends much costs at most its share: the rest is counted
	local limited
	limited=$(count h1 limited)
	says h3 "$FIRST" 600
	sleep 0.3
	da h1 stats --json | jq -c .hints
	[ $(($(count h1 limited) - limited)) -ge 200 ]
}
check "R16: six hundred at once from one host: most are not looked at" flood
check "R16: which costs the others nothing" learns 1 0 0
finish
