#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A thousand agents at one service with its default limits: each has a watch and a connection for its questions,
# both by TLS with its host's certificate.
#
#   1,000 agents of 40 hosts (tools/agents.c) ----> dove-dps 127.0.0.1:7185, in one namespace
. "$(dirname "$0")/lib.sh"
need_root
AGENTS=1000 HOSTS=40
W=$(mktemp -d "${TMPDIR:-/tmp}/dove-test.XXXXXX")
trap cleanup EXIT
trap 'exit 130' INT TERM
ns_add s
PKI=$W/pki URL=https://127.0.0.1:7185
pki() { "$BUILD/dovectl" pki "$@" --dir "$PKI" >/dev/null || fail "pki $*"; }
pki root
pki server s1 --domain acme --address 127.0.0.1
pki admin acme
for ((i = 1; i <= HOSTS; i++)); do pki host h$i; done
mkdir "$W/dps"
# As most systems begin: with room for 1,024 files.
bg dps s sh -c 'ulimit -Sn 1024 && exec "$@"' sh "$BUILD/dove-dps" run --data "$W/dps" --listen 127.0.0.1:7185 \
	--tls-cert "$PKI/server-s1.pem" --tls-key "$PKI/server-s1.key" --tls-ca "$PKI/ca.pem"
TLS=(--cacert "$PKI/ca.pem" --cert "$PKI/admin-acme.pem" --key "$PKI/admin-acme.key")
curl_dps() { on s curl -sf -m 5 "${TLS[@]}" "$@"; }
ctl() { on s "$BUILD/dovectl" --dps $URL --tls-ca "$PKI/ca.pem" --tls-cert "$PKI/admin-acme.pem" --tls-key "$PKI/admin-acme.key" "$@"; }
until_ok 10 curl_dps $URL/healthz || { cat "$W/dps.log"; fail "dove-dps does not answer"; }

jq -n --argjson n $HOSTS '[{kind: "network", name: "blue", subnets: ["10.1.0.0/16"]}] + [range(1; $n + 1) | {kind: "endpoint", network: "blue",
	name: "vm\(. + 100)", mac: "02:00:00:00:01:\(. + 9)", addresses: ["10.1.0.\(. + 10)"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null || fail "apply"
for ((i = 1; i <= HOSTS; i++)); do
	curl_dps -o /dev/null -X PUT -d "{\"addresses\": [\"192.0.2.$i\"]}" $URL/v1/hosts/h$i --next -sf -m 5 "${TLS[@]}" -o /dev/null \
		-X PUT -d "{\"host\": \"h$i\"}" "$URL/v1/endpoints/blue/vm$((i + 100))/place" || fail "host h$i"
done
FIRST=$(curl_dps $URL/v1/resolve -d '{"keys":[{"network":"blue","from":"vm101","to_endpoint":"vm102"}]}' | jq '.answers[0].source')
rss() { awk '/VmRSS/ { print $2 }' "/proc/${PID[dps]}/status"; }
metric() { curl_dps $URL/metrics | awk -v n="dove_dps_$1" '$1 == n { print $2 }'; }
before=$(rss)

bg agents s "$T/agents" 127.0.0.1 7185 "$PKI" $HOSTS $AGENTS "$FIRST" 10.1.0.12 change-1 change-2
heard() { grep "^$1" "$W/agents.log"; }
check "R26: $AGENTS agents connect, watch, and are answered" until_ok 35 heard "ready $AGENTS"
all_here() { echo "$(metric connections) connections, $(ctl status --json | jq .watchers) watchers"; [ "$(metric connections)" -ge $((2 * AGENTS)) ] && [ "$(ctl status --json | jq .watchers)" = $AGENTS ]; }
check "R26: all of them at once, in $(heard ready | cut -d ' ' -f 3) s" all_here
each=$((($(rss) - before) / AGENTS))
check "R26: the service takes $each kB for each, $(($(rss) / 1024)) MB in all" test $each -lt 400
# change N: a policy; milliseconds until the last watcher has been told, TOLD
change() {
	local from
	jq -n --arg n "change-$1" --argjson p "$1" '[{kind: "policy", network: "blue", name: $n, priority: $p, from: "any", to: "any", action: "allow"}]' >"$W/policy.json"
	from=$(date +%s.%N)
	ctl apply -f "$W/policy.json" >/dev/null || return 1
	until_ok 10 heard "told change-$1 " || { heard over; return 1; }
	TOLD=$(heard "told change-$1 " | awk -v from="$from" '{ printf "%.0f", ($3 - from) * 1000 }')
}
for n in 1 2; do
	TOLD=
	change $n
	check "R18: a change reaches every watcher within ${TOLD:-?} ms" test -n "$TOLD" -a "${TOLD:-99999}" -lt $((2000 * ${DOVE_TEST_SLOW:-1}))
done
others() { local i; for i in 1 2 3 4 5; do curl_dps -m 2 -o /dev/null $URL/healthz && ctl resolve --network blue --from vm101 --to vm102 >/dev/null || return 1; done; }
check "R26: others are answered meanwhile" others
stop agents
read -r _ answers slowest failed open < <(heard asked)
check "R26: $answers questions were answered, the slowest within $slowest ms, none went wrong" test "$failed" = 0 -a "$answers" -ge $AGENTS -a "$slowest" -lt $((5000 * ${DOVE_TEST_SLOW:-1}))
check "R26: no watch has ended" test "$open" = $AGENTS
check "R26: the guard has shut none of them" test "$(metric connections_crowded_total)$(metric connections_slow_total)$(metric connections_idle_total)" = 000
none_left() { [ "$(metric connections)" -le 2 ]; }
check "R26: no connection is left when they are gone" until_ok 5 none_left
finish
