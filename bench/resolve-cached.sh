#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Answers a second of one core from a local server's cache: of networks that one authority answers for, and
# of pairs across two, of which each says a half; one key a request, and 16. Given another dove-dps (OTHER), it
# is asked in turn with ours, the ratios are of the same round. ROUNDS (5) rounds of SECONDS_EACH (2), the
# server on one CPU, who asks on another; a rate is answers for each second of CPU time of the server.
# Prints one JSON object; a table for people goes to the standard error.
#
#   r1 :6091 root        top :6092 acme (256-511), globex (600-699)        local :6083, other :6084
#
# Needs wrk (Debian package of this name).
. "$(dirname "$0")/../selftests/net/lib.sh"
ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-2} CONNECTIONS=32 NAMES=500 OTHER=${OTHER:-}
need_root
for tool in wrk taskset; do command -v $tool >/dev/null || { echo "resolve-cached: $tool is not installed" >&2; exit 1; }; done
[ "$(nproc)" -ge 2 ] || { echo "resolve-cached: needs two CPUs" >&2; exit 1; }
W=$(mktemp -d "${TMPDIR:-/tmp}/dove-bench.XXXXXX")
trap cleanup EXIT
ns_add s
SERVER="taskset -c 0" CLIENT="taskset -c 1"

for key in root acme globex; do "$BUILD/dovectl" pki key $key --dir "$W" >/dev/null; done
public() { openssl pkey -in "$W/$1.sign" -pubout -outform DER | tail -c 32 | base64; }
config() { # NAME PORT REST: all on loopback, so without TLS
	mkdir -p "$W/data-$1"
	jq -n --arg k "$(public root)" --argjson rest "$3" --arg n "$1" --arg at "127.0.0.1:$2" --arg w "$W" '{name: $n, listen: $at, data: "\($w)/data-\($n)",
		root: {keys: [$k], servers: [{name: "r1", addresses: ["127.0.0.1:6091"]}]}} + $rest' >"$W/$1.json"
}
config r1 6091 "$(jq -nc --arg k "$W/root.sign" '{"root-server": true, authorities: [{domain: ".", "sign-key": $k}]}')"
config top 6092 "$(jq -nc --arg w "$W" '{authorities: ([["acme", 256, 511], ["globex", 600, 699]] | map({domain: .[0], "sign-key": "\($w)/\(.[0]).sign",
	ranges: [.[1:3]], servers: [{name: "top", addresses: ["127.0.0.1:6092"]}]}))}')"
config local 6083 '{"local": true}'
config other 6084 '{"local": true}'
bg r1 s "$BUILD/dove-dps" run --config "$W/r1.json"
bg top s "$BUILD/dove-dps" run --config "$W/top.json"
bg local s $SERVER "$BUILD/dove-dps" run --config "$W/local.json"
PORTS="6091 6092 6083" SERVERS=local
[ -z "$OTHER" ] || { bg other s $SERVER "$OTHER" run --config "$W/other.json"; PORTS+=" 6084" SERVERS="local other"; }
for p in $PORTS; do until_ok 10 on s curl -sf -o /dev/null http://127.0.0.1:$p/healthz || fail "the server on port $p does not start"; done
put() { on s curl -sf -o /dev/null -X "${3:-PUT}" "http://127.0.0.1:$1" -d "$2" || fail "$1"; }
for d in acme:256:511 globex:600:699; do
	put "6091/v1/delegations/${d%%:*}" "$(jq -nc --arg d $d --arg k "$(public "${d%%:*}")" '($d | split(":")) as $d | {ranges: [[$d[1], $d[2]] | map(tonumber)],
		servers: [{name: "top", addresses: ["127.0.0.1:6092"]}], keys: [$k]}')"
done
objects() { # NETWORK SUBNET OTHER VNID ITS-SUBNET
	jq -nc --argjson n $NAMES --arg net "$1" --argjson s "$2" --arg other "$3" --argjson vnid "$4" --argjson so "$5" '($other | split(":")[1]) as $o |
		[{kind: "network", name: $net, subnets: ["10.\($s).0.0/16"]}, {kind: "network", name: $o, foreign: $other, vnid: $vnid, subnets: ["10.\($so).0.0/16"]}] +
		[range($n) | {kind: "endpoint", network: $net, name: "vm\(.)", mac: "02:00:00:0\($s):0\(. / 200 | floor):\((. % 200 + 16) as $b | "0123456789abcdef" |
			.[($b / 16 | floor):($b / 16 | floor) + 1] + .[$b % 16:$b % 16 + 1])", addresses: ["10.\($s).\(. / 250 | floor).\(. % 250 + 2)"]}] +
		[{kind: "policy", network: $net, name: "out", from: "any", to: {network: $o}, action: "allow"}, {kind: "policy", network: $net, name: "in", from: {network: $o}, to: "any", action: "allow"}]'
}
objects blue 1 globex:green 600 2 >"$W/acme.objects"
objects green 2 acme:blue 256 1 >"$W/globex.objects"
for d in acme globex; do put "6092/v1/apply?domain=$d" "@$W/$d.objects" POST; done
FIRST=$(on s curl -s "http://127.0.0.1:6092/v1/resolve?domain=acme" -d '{"keys":[{"network":"blue","from":"vm0","to_endpoint":"vm1"}]}' | jq '.answers[0].source')
cat >"$W/ask.lua" <<-END
	local requests, at = {}, 0
	init = function(args)
	  local first, names, keys, subnet = tonumber(args[1]), tonumber(args[2]), tonumber(args[3]), args[4]
	  for i = 0, names - 1 do
	    local list = {}
	    for k = 0, keys - 1 do
	      local to = (i + k + 1) % names
	      list[#list + 1] = string.format('{"source":%d,"vnid":256,"to":"10.%s.%d.%d"}', first + (i + k) % names, subnet, math.floor(to / 250), to % 250 + 2)
	    end
	    requests[#requests + 1] = wrk.format("POST", "/v1/resolve", {["Content-Type"] = "application/json"}, '{"keys":[' .. table.concat(list, ",") .. ']}')
	  end
	end
	request = function() at = at % #requests + 1; return requests[at] end
END
ticks() { awk '{ print $14 + $15 }' "/proc/${PID[$1]}/stat"; }
ask() { # SERVER KEYS SUBNET SECONDS: answers for each second of its CPU time
	local port=6083 before rate
	[ "$1" = local ] || port=6084
	before=$(ticks "$1")
	rate=$(on s $CLIENT wrk -t 1 -c $CONNECTIONS -d "$4" -s "$W/ask.lua" http://127.0.0.1:$port -- "$FIRST" $NAMES "$2" "$3" 2>/dev/null |
		awk -v keys="$2" '/requests in/ { n = $1 } /Non-2xx/ { bad = 1 } END { printf "%.0f", bad ? 0 : n * keys }')
	awk -v n="$rate" -v t=$(($(ticks "$1") - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.0f", t ? n * hz / t : 0 }'
}
said() { on s curl -s "http://127.0.0.1:6083/v1/resolve" -d "{\"keys\":[{\"source\":$FIRST,\"vnid\":256,\"to\":\"10.$1.0.3\"}]}" | jq -e '.answers[0] | .verdict == "allow" and .failed == null' >/dev/null; }
for subnet in 1 2; do until_ok 10 said $subnet || fail "no answer across the tree"; done
measure() { # SECONDS
	local keys subnet server
	for keys in 1 16; do for subnet in 1 2; do for server in $SERVERS; do
		printf '{"name": "%s", "%s": %s}\n' "$([ $subnet = 1 ] && echo one || echo two)_$keys" $server "$(ask $server $keys $subnet "$1")"
	done; done; done | jq -sc 'group_by(.name) | map({(.[0].name): (add | del(.name))}) | add'
}
measure 1 >/dev/null # what is in the cache from now on
for ((round = 0; round < ROUNDS; round++)); do measure "$SECONDS_EACH"; done >"$W/rounds"
jq -s '
	def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
	def round2: . * 100 | round / 100;
	. as $r | {measure: "resolve-cached", unit: "answers for each second of the server'"'"'s CPU time", connections: '$CONNECTIONS', rounds: length,
	 kinds: ($r[0] | keys_unsorted | map(. as $k | {($k): ({dove: ([$r[] | .[$k].local] | median | round)} +
		if $r[0][$k].other then {other: ([$r[] | .[$k].other] | median | round)} + ([$r[] | .[$k] | .local / .other] | {ratio: (median | round2), min: (min | round2), max: (max | round2)}) else {} end)}) | add)}' "$W/rounds" >"$W/result"
jq -r '["", "dove-dps", "other", "ratio"], (.kinds | to_entries[] | [.key, .value.dove, .value.other // "-", if .value.ratio then "\(.value.ratio) [\(.value.min)..\(.value.max)]" else "-" end]) | @tsv' "$W/result" |
	column -t -s "$(printf '\t')" >&2
cat "$W/result"
