#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From the first stale packet to the first corrected one: how long an origin goes on under an
# old translation after its destination has seen that it is old. ROUNDS (40) changes under
# 5,000 packets a second; with the new translation attached to the message, and asked for.
# In the same run: the underlay's round trip, and a question to the service.
. "$(dirname "$0")/../selftests/net/lib.sh"

ROUNDS=${ROUNDS:-40}

newer() {
	jq -n --argjson dscp "$1" '[{kind: "policy", network: "blue", name: "all", priority: 5, from: "any", to: "any",
	  action: "allow", qos: {dscp: $dscp}}]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
percentiles() { sort -n | awk '{ v[NR] = $1 } END { printf "%d values, p50 %.0f us, p99 %.0f us\n", NR, v[int((NR + 1) / 2)], v[int(NR * 0.99 + 0.5)] }'; }
p50() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# Of each change: when h2 saw the first stale packet (its agent's event), and when the first with a newer sequence came in.
measure() { # NAME
	local i
	bg capture h2 tcpdump -n -tt -l -i eth0 -s 96 -U -w "$W/$1.pcap" udp dst port 6081 and src host "$(host_addr h1)"
	until_ok 5 grep -q listening "$W/capture.log"
	bg events h2 "$BUILD/dove-agent" events -f --json --run-dir "$W/run-h2"
	bg stream v1 "$T/numbers" send 10.1.0.12 4000 $((ROUNDS * 1500 + 2500)) 1 64 200
	sleep 0.3
	for ((i = 0; i < ROUNDS; i++)); do newer $((i % 60 + 1 + ($2))); sleep 0.25; done
	stop stream; stop capture INT; stop events
	jq -r 'select(.type == "stale") | "\(.time) stale \(.sequence)"' "$W/events.log" >"$W/$1.times"
	: >"$W/events.log"; : >"$W/capture.log"
	# The option's sequence is the last word of the third line: behind IPv4, UDP, Geneve and two words of the option.
	tcpdump -n -tt -x -r "$W/$1.pcap" 2>/dev/null | awk '/^[0-9]/ { t = $1 } /0x0020:/ { s = $8 $9
		if (s != last) { print t, "new", s; last = s } }' >>"$W/$1.times"
	sort -n "$W/$1.times" | awk '$2 == "stale" { s = sprintf("%08x", $3); if (!(s in seen)) seen[s] = $1 }
		$2 == "new" { for (s in seen) if (s < $3 && !(s in done)) { done[s] = 1; printf "%.0f\n", ($1 - seen[s]) * 1e6 } }' >"$W/$1.us"
}

world 2
KEY=$("$BUILD/dovectl" pki key blue --dir "$W/keys" | tail -n 1)
jq -n --arg key "$W/keys/blue.sign" '{"sign-key": $key}' >"$W/dps.json"
service --config "$W/dps.json"
blue 1 2
jq -n --arg key "$KEY" '{origin_check: false, trust: [{zone: "", vnids: ["1-16777215"], keys: [$key]}]}' >"$W/h1.json"
for h in h1 h2; do agent $h; da $h attach eth0 --ingress tc >/dev/null; done
for i in 1 2; do vm h$i v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
newer 63
ping_ok v1 10.1.0.12 5 >/dev/null
rtt=$(on h1 ping -n -c 100 -i 0.002 "$(host_addr h2)" | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | awk '{ print $1 * 1000 }' | p50)
question=$(for i in $(seq 100); do on h1 curl -s -o /dev/null -w '%{time_starttransfer} %{time_connect}\n' -d '{"keys":[{"source":1,"to":"10.1.0.12"}]}' "$DPS_URL/v1/resolve"; done | awk '{ print ($1 - $2) * 1e6 }' | p50)
measure attached 0
stop agent-h2
echo '{"attach": false}' >"$W/h2.json"
agent h2
measure asked 1
say "underlay's round trip $rtt us, a question $question us (p50 of 100 each)"
for way in attached asked; do
	say "$way: $(percentiles <"$W/$way.us"), which is $(p50 <"$W/$way.us" | awk -v r="$rtt" -v q="$question" '{ printf "%.1f", $1 / (r + q) }') times a round trip and a question"
done
