#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What proving the service's answers costs: misses a second that an agent carries out, of 4,096 addresses that
# are asked for as fast as it can, where it believes what comes, and where it verifies each answer's signature.
# In turn, ROUNDS (5) rounds, ratios of the same round; prints one JSON object.
#
#   a -- h1 --+-- r --+-- h2 -- f2: a VM with 4,096 addresses
#             s, which signs, and has signed all of it before
. "$(dirname "$0")/../selftests/net/lib.sh"
ROUNDS=${ROUNDS:-5}
N=4096

world 2
KEY=$("$BUILD/dovectl" pki key blue --dir "$W/keys" | tail -n 1)
jq -n --arg key "$W/keys/blue.sign" '{"sign-key": $key}' >"$W/dps.json"
jq -n --argjson n $N '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24", "10.64.0.0/10"]},
  {kind: "endpoint", network: "blue", name: "a", mac: "02:00:00:00:01:01", addresses: ["10.1.0.11"]},
  {kind: "endpoint", network: "blue", name: "f", mac: "02:00:00:00:02:01", addresses: [range($n) | "10.65.\(. / 256 | floor).\(. % 256)"]}]' >"$W/objects.json"
service --config "$W/dps.json"
ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
agent h2
da h2 attach eth0 >/dev/null || fail "attach"
ns_add f
ip link add eth0 netns "$P-f" address 02:00:00:00:02:01 type veth peer name v-f netns "$P-h2"
on f ip link set eth0 up
on h2 ip link set v-f up
da h2 port add v-f --network blue --endpoint f >/dev/null || fail "port of f"

first() { timeout --foreground 60 nice -n -10 "$BUILD/bench/first" "/run/netns/$P-a" "/run/netns/$P-f" "$@"; }
begin() { # WORD
	[ -z "${PID[agent-h1]:-}" ] || stop agent-h1
	jq -n --arg key "$KEY" --arg word "$1" '{cache_entries: 262144, hold_rate: 1073741824, hold_burst: 67108864, unproven: $word,
		trust: [{zone: "", vnids: ["1-16777215"], keys: [$key]}]}' >"$W/h1.json"
	agent h1
	da h1 attach eth0 >/dev/null 2>&1
}
begin accept
vm h1 a blue a 10.1.0.11 02:00:00:00:01:01
on a ip route add default via 10.1.0.1
until_ok 5 first wait 10.65.0.1 1 || fail "no way"
first rate 10.65.0.0 $N 2000 >/dev/null
ticks() { awk '{ print $14 + $15 }' "/proc/${PID[agent-h1]}/stat"; }
for ((round = 1; round <= ROUNDS; round++)); do
	for word in accept refuse; do
		begin $word
		until_ok 10 first wait 10.65.0.1 1 || fail "no way"
		da h1 flush >/dev/null
		before=$(ticks)
		read -r sent got took < <(first rate 10.65.0.0 $N 0) || fail "no rate"
		[ "$sent" = "$got" ] || fail "of $sent packets $got arrived"
		echo "$word $(awk "BEGIN { print $got / $took, ($(ticks) - $before) * 1e6 / $(getconf CLK_TCK) / $got }")" | tee -a "$W/rounds" >&2
	done
done
da h1 stats --json | jq -c .answers >&2
jq -Rs 'split("\n") | map(select(. != "") | split(" ") | {word: .[0], rate: (.[1] | tonumber), cpu: (.[2] | tonumber)}) as $all |
	def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
	def of($w): $all | map(select(.word == $w));
	[range(of("accept") | length) | of("refuse")[.].rate / of("accept")[.].rate] as $ratios |
	{misses_a_second: {believed: (of("accept") | map(.rate) | median), proven: (of("refuse") | map(.rate) | median)},
	 ratio: ($ratios | median), least: ($ratios | min), most: ($ratios | max),
	 agent_cpu_us_a_miss: {believed: (of("accept") | map(.cpu) | median), proven: (of("refuse") | map(.cpu) | median)}}' "$W/rounds"
