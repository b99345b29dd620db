#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One authority with N (1000) networks of 1,000 endpoints and 1,000 policies each: how long it takes
# to apply them and to start, what it needs of memory, and how many answers a second it gives then:
# of pairs that it was never asked about, and again. Prints one JSON object. With DATA=DIR the
# store stays there, and the next run only starts with it.
#
# Needs wrk.
. "$(dirname "$0")/../selftests/net/lib.sh"
N=${N:-1000} EACH=1000 PART=${PART:-50} SECONDS_EACH=${SECONDS_EACH:-5}
command -v wrk >/dev/null || { echo "million: wrk is not installed" >&2; exit 1; }
room
ns_add s
DATA=${DATA:-$W/data}
HAD=$([ -d "$DATA" ] && echo yes)
mkdir -p "$DATA"
"$BUILD/dovectl" pki key bench --dir "$W" >/dev/null
echo "{\"data\": \"$DATA\", \"sign-key\": \"$W/bench.sign\", \"listen\": \"127.0.0.1:7001\"}" >"$W/dps.json"
objects() { # FIRST COUNT: of networks
	awk -v first="$1" -v n="$2" -v each=$EACH 'BEGIN {
		print "["
		for (i = first; i < first + n; i++) {
			printf "%s{\"kind\":\"network\",\"name\":\"n%d\",\"subnets\":[\"10.0.0.0/16\"]}\n", (i > first ? "," : ""), i
			for (e = 0; e < each; e++) {
				printf ",{\"kind\":\"endpoint\",\"network\":\"n%d\",\"name\":\"vm%d\",\"mac\":\"02:00:%02x:%02x:%02x:%02x\",\"addresses\":[\"10.0.%d.%d\"]}\n", i, e, i / 256, i % 256, e / 256, e % 256, e / 250, e % 250 + 2
				printf ",{\"kind\":\"policy\",\"network\":\"n%d\",\"name\":\"p%d\",\"priority\":%d,\"from\":{\"endpoints\":[\"vm%d\"]},\"to\":{\"endpoints\":[\"vm%d\"]},\"proto\":\"tcp\",\"to_port\":\"%d-%d\",\"action\":\"%s\"}\n", i, e, e % 100 + 1, e, (e * 7 + 1) % each, 1000 + e, 2000 + e, (e % 3 ? "allow" : "deny")
			}
		}
		print "]"
	}'
}
ms() { date +%s%3N; }
rss() { awk '/VmRSS/ { print int($2 / 1024) }' "/proc/${PID[dps]}/status"; }
cpu() { awk '{ print $14 + $15 }' "/proc/${PID[dps]}/stat"; }
start() { bg dps s "$BUILD/dove-dps" run --config "$W/dps.json"; }
up() { on s curl -sf -o /dev/null http://127.0.0.1:7001/healthz; }
APPLY=null APPLIED_RSS=null
if [ -z "$HAD" ]; then
	start
	until_ok 10 up || fail "dove-dps does not start"
	t=$(ms)
	for ((i = 0; i < N; i += PART)); do
		objects $i $PART >"$W/part.json"
		on s "$BUILD/dovectl" --dps http://127.0.0.1:7001 apply -f "$W/part.json" >/dev/null || fail "apply of part $i"
	done
	APPLY=$(($(ms) - t)) APPLIED_RSS=$(rss)
	stop dps
fi
[ -z "${APPLY_ONLY:-}" ] || { echo "{\"apply_ms\": $APPLY}"; exit; }
t=$(ms)
start
until_ok 300 up || fail "dove-dps does not start again"
START=$(($(ms) - t)) START_CPU=$(cpu) RSS=$(rss)
SIZE=$(du -sm "$DATA" | cut -f1)
FIRST=$(on s curl -s http://127.0.0.1:7001/v1/resolve -d '{"keys":[{"network":"n0","from":"vm0","to_endpoint":"vm1"}]}' | jq '.answers[0].source')
LAST=$(on s curl -s http://127.0.0.1:7001/v1/resolve -d "{\"keys\":[{\"network\":\"n$((N - 1))\",\"from\":\"vm999\",\"to_endpoint\":\"vm1\"}]}" | jq '.answers[0].source')
# Each asks for one of its own network: cold, of pairs all over; then of 10,000 of them.
cat >"$W/ask.lua" <<-END
	local first, last, pairs_of
	init = function(args) first, last, pairs_of = tonumber(args[1]), tonumber(args[2]), tonumber(args[3]); math.randomseed(7) end
	local headers = {["Content-Type"] = "application/json"}
	request = function()
	  local s = math.random(0, pairs_of - 1)
	  local source, to = first + math.floor(s * 7919 % (last - first)), s * 31 % 1000
	  return wrk.format("POST", "/v1/resolve", headers, string.format('{"keys":[{"source":%d,"to":"10.0.%d.%d"}]}', source, math.floor(to / 250), to % 250 + 2))
	end
END
rate() { # PAIRS: answers for each second of the server's CPU time, and of the clock
	local before after r
	before=$(cpu)
	r=$(on s wrk -t 1 -c 32 -d "$SECONDS_EACH" -s "$W/ask.lua" http://127.0.0.1:7001 -- "$FIRST" "$LAST" "$1" | awk '/Requests\/sec/ { r = $2 } /Non-2xx/ { bad = 1 } END { printf "%.0f", bad ? 0 : r }')
	after=$(cpu)
	echo "{\"cpu\": $((r * SECONDS_EACH * $(getconf CLK_TCK) / (after - before + 1))), \"wall\": $r}"
}
COLD=$(rate 1000000000)
rate 10000 >/dev/null
WARM=$(rate 10000)
ASKED_RSS=$(rss)
jq -n --argjson endpoints $((N * EACH)) --argjson apply $APPLY --argjson start $START --argjson start_cpu $((START_CPU * 1000 / $(getconf CLK_TCK))) --argjson a "$APPLIED_RSS" --argjson r "$RSS" --argjson q "$ASKED_RSS" --argjson size "$SIZE" --argjson cold "$COLD" --argjson warm "$WARM" \
	'{measure: "million", endpoints: $endpoints, policies: $endpoints, store_mb: $size, apply_s: (if $apply then $apply / 1000 else null end), start_s: ($start / 1000), start_cpu_s: ($start_cpu / 1000),
	 memory_mb: {applied: $a, started: $r, asked: $q}, bytes_each: ($r * 1048576 / ($endpoints * 2) | round), answers_per_s: {never_asked: $cold, again: $warm}}'
