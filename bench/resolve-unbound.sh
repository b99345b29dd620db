#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Answers a second of one core: dove-dps answering resolve from what it has prepared, next to
# unbound (one thread) answering dnsperf from its cache; over TCP and over TLS 1.3, with 32
# connections that stay open, the server on one CPU and who asks on another. ROUNDS (5) rounds of
# SECONDS_EACH (3), one after the other in each; ratios are of the same round. A rate is answers
# for each second of CPU time that the server used (user and kernel), which other load on the
# machine changes less than answers a second of the clock; those stand beside it ("wall").
# Prints one JSON object; a table for people goes to the standard error.
#
# Needs unbound, dnsperf and wrk (Debian packages of these names).
. "$(dirname "$0")/../selftests/net/lib.sh"
ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-3} CONNECTIONS=32 NAMES=1000
for tool in unbound dnsperf wrk taskset; do command -v $tool >/dev/null || { echo "resolve-unbound: $tool is not installed" >&2; exit 1; }; done
[ "$(nproc)" -ge 2 ] || { echo "resolve-unbound: needs two CPUs" >&2; exit 1; }
room
ns_add s
SERVER="taskset -c 0" CLIENT="taskset -c 1"

# ---- unbound: a cache in front of another one that has the names
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$W/tls.key" -out "$W/tls.pem" -days 2 -subj /CN=bench \
	-addext "subjectAltName=IP:127.0.0.1" 2>/dev/null
{
	echo 'server:'
	printf '  %s\n' 'interface: 127.0.0.1@5300' 'do-daemonize: no' 'username: ""' 'chroot: ""' "pidfile: \"$W/upstream.pid\"" 'use-syslog: no' 'module-config: "iterator"' 'local-zone: "bench." static'
	for ((i = 0; i < NAMES; i++)); do echo "  local-data: \"h$i.bench. 3600 A 10.1.$((i / 250)).$((i % 250 + 1))\""; done
} >"$W/upstream.conf"
{
	echo 'server:'
	printf '  %s\n' 'interface: 127.0.0.1@5301' 'interface: 127.0.0.1@5353' 'tls-port: 5353' "tls-service-key: \"$W/tls.key\"" "tls-service-pem: \"$W/tls.pem\"" \
		'num-threads: 1' 'do-daemonize: no' 'username: ""' 'chroot: ""' "pidfile: \"$W/front.pid\"" 'use-syslog: no' 'module-config: "iterator"' \
		'do-not-query-localhost: no' 'incoming-num-tcp: 1000' 'access-control: 127.0.0.0/8 allow' 'msg-cache-size: 64m' 'rrset-cache-size: 64m'
	printf 'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@5300\n'
} >"$W/front.conf"
bg upstream s unbound -d -c "$W/upstream.conf"
bg front s $SERVER unbound -d -c "$W/front.conf"
for ((i = 0; i < NAMES; i++)); do echo "h$i.bench. A"; done >"$W/names"
dns() { # MODE PORT SECONDS: answers a second
	on s $CLIENT dnsperf -s 127.0.0.1 -p "$2" -m "$1" -c $CONNECTIONS -q 1000 -l "$3" -d "$W/names" 2>/dev/null | awk '/Queries per second/ { printf "%.0f", $4 }'
}
until_ok 10 on s dnsperf -s 127.0.0.1 -p 5301 -m tcp -c 1 -n 1 -d "$W/names" || fail "unbound does not answer"

# ---- dove-dps: a network of as many endpoints, a service that signs, on TCP and on TLS
"$BUILD/dovectl" pki key bench --dir "$W" >/dev/null
{
	echo '[{"kind": "network", "name": "blue", "subnets": ["10.1.0.0/16"]}'
	for ((i = 0; i < NAMES; i++)); do
		printf ',{"kind":"endpoint","network":"blue","name":"vm%d","mac":"02:00:00:00:%02x:%02x","addresses":["10.1.%d.%d"]}\n' $i $((i >> 8)) $((i & 255)) $((i / 250)) $((i % 250 + 2))
	done
	echo ']'
} >"$W/objects.json"
for name in plain tls; do
	mkdir "$W/data-$name"
	jq -n --arg w "$W" --arg n $name '{data: "\($w)/data-\($n)", "sign-key": "\($w)/bench.sign"} +
		if $n == "tls" then {listen: "127.0.0.1:7002", "tls-cert": "\($w)/tls.pem", "tls-key": "\($w)/tls.key", insecure: true} else {listen: "127.0.0.1:7001"} end' >"$W/$name.json"
	bg $name s $SERVER "$BUILD/dove-dps" run --config "$W/$name.json"
done
until_ok 10 on s curl -sf -o /dev/null http://127.0.0.1:7001/healthz || fail "dove-dps does not answer"
until_ok 10 on s curl -sfk -o /dev/null https://127.0.0.1:7002/healthz || fail "dove-dps does not answer over TLS"
on s "$BUILD/dovectl" --dps http://127.0.0.1:7001 apply -f "$W/objects.json" >/dev/null || fail "apply"
on s "$BUILD/dovectl" --dps https://127.0.0.1:7002 --tls-ca "$W/tls.pem" apply -f "$W/objects.json" >/dev/null || fail "apply over TLS"
FIRST=$(on s curl -s http://127.0.0.1:7001/v1/resolve -d '{"keys":[{"network":"blue","from":"vm0","to_endpoint":"vm1"}]}' | jq '.answers[0].source')
# Each request is made beforehand; keys go round over as many pairs as unbound has names.
cat >"$W/ask.lua" <<-END
	local requests, at = {}, 0
	init = function(args)
	  local first, names, keys = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
	  for i = 0, names - 1 do
	    local list = {}
	    for k = 0, keys - 1 do
	      local to = (i * 7 + k + 1) % names
	      list[#list + 1] = string.format('{"source":%d,"to":"10.1.%d.%d"}', first + (i + k) % names, math.floor(to / 250), to % 250 + 2)
	    end
	    requests[#requests + 1] = wrk.format("POST", "/v1/resolve", {["Content-Type"] = "application/json"}, '{"keys":[' .. table.concat(list, ",") .. ']}')
	  end
	end
	request = function() at = at % #requests + 1; return requests[at] end
END
http() { # URL KEYS SECONDS: answers a second
	on s $CLIENT wrk -t 1 -c $CONNECTIONS -d "$3" -s "$W/ask.lua" "$1" -- "$FIRST" $NAMES "$2" 2>/dev/null | awk -v keys="$2" '/Requests\/sec/ { r = $2 } /Non-2xx/ { bad = 1 } END { printf "%.0f", bad ? 0 : r * keys }'
}

ticks() { awk '{ print $14 + $15 }' "/proc/${PID[$1]}/stat"; }
ask() { # NAME SECONDS: answers a second
	case $1 in
	unbound_tcp) dns tcp 5301 "$2" ;;
	unbound_tls) dns tls 5353 "$2" ;;
	dove_tcp) http http://127.0.0.1:7001 1 "$2" ;;
	dove_tls) http https://127.0.0.1:7002 1 "$2" ;;
	dove_tcp_16) http http://127.0.0.1:7001 16 "$2" ;;
	dove_tls_16) http https://127.0.0.1:7002 16 "$2" ;;
	esac
}
server_of() { case $1 in unbound*) echo front ;; dove_tcp*) echo plain ;; *) echo tls ;; esac; }
measure() { # NAME SECONDS: as JSON
	local server before after rate
	server=$(server_of "$1")
	before=$(ticks "$server")
	rate=$(ask "$1" "$2")
	after=$(ticks "$server")
	jq -nc --arg n "$1" --argjson r "${rate:-0}" --argjson s "$2" --argjson t $((after - before)) --argjson hz "$(getconf CLK_TCK)" \
		'{($n): (if $t == 0 then 0 else ($r * $s * $hz / $t | round) end), ($n + "_wall"): $r}'
}
NAMES_OF=(unbound_tcp dove_tcp unbound_tls dove_tls dove_tcp_16 dove_tls_16)
for name in "${NAMES_OF[@]}"; do measure $name 1 >/dev/null; done # what is cached from now on
for ((round = 0; round < ROUNDS; round++)); do
	for name in "${NAMES_OF[@]}"; do measure $name "$SECONDS_EACH"; done | jq -sc add
done >"$W/rounds"
jq -s '
	def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
	def ratio(a; b): [.[] | .[a] / .[b]] | {median: (median * 100 | round / 100), min: (min * 100 | round / 100), max: (max * 100 | round / 100)};
	. as $r | {measure: "resolve", unit: "answers for each second of the server'"'"'s CPU time", connections: '$CONNECTIONS', rounds: length,
	 rates: ($r[0] | keys_unsorted | map(. as $k | {($k): ([$r[] | .[$k]] | median | round)}) | add),
	 ratios: {tcp: ratio("dove_tcp"; "unbound_tcp"), tls: ratio("dove_tls"; "unbound_tls"),
	  tcp_16_keys: ratio("dove_tcp_16"; "unbound_tcp"), tls_16_keys: ratio("dove_tls_16"; "unbound_tls")}}' "$W/rounds" >"$W/result"
jq -r '["", "unbound", "dove-dps", "ratio", "16 keys", "ratio"], (("tcp", "tls") as $t | [$t, .rates["unbound_" + $t], .rates["dove_" + $t],
	(.ratios[$t] | "\(.median) [\(.min)..\(.max)]"), .rates["dove_" + $t + "_16"], (.ratios[$t + "_16_keys"] | "\(.median) [\(.min)..\(.max)]")]) | @tsv' "$W/result" | column -t -s "$(printf '\t')" >&2
cat "$W/result"
