#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A tree of servers as processes, all of them and the agents over TLS, and real packets through it.
#
#                        r1 :6091 (writer)  r2 :6094      root servers
#                         /               \
#        ns1.acme :6092 (256-511)    ns1.globex :6093 (600-699)     authorities
#
#             |
#        ns1.eng :6098 (acme/eng, 300-309)
#
#        ns1.site :6083, a local server: all that the agents know     all on s, 192.0.2.9
#              |                 |
#        h1: a1 (acme:blue)    h2: a2 (acme:blue), g1 (globex:green)
. "$(dirname "$0")/lib.sh"
world 2
. "$(dirname "$0")/tree.sh"

tree_root r1:6091 r2:6094
for n in ns1.acme:acme ns1.globex:globex ns2.globex:globex ns9.globex:globex ns1.eng:acme/eng ns1.site:site; do
	pki server "${n%%:*}" --domain "${n#*:}" --address $DPS_ADDR
done
for n in h1 h2; do pki host $n; done
for n in acme acme/eng globex site; do pki admin $n; done

# The root's delegations live for 16 s here, not for a day, so that a withdrawn one can be waited for.
config r1 6091 "$(jq -nc --arg k "$PKI/root.sign" '{"root-server": true, authorities: [{domain: ".", "sign-key": $k, life: 16}]}')"
config r2 6094 "$(jq -nc --arg a "$DPS_ADDR:6091" '{"root-server": true, primaries: [{name: "r1", addresses: [$a]}]}')"
config ns1.site 6083 '{"local": true}'
start r1
until_ok 10 healthy 6091 || { cat "$W/r1.log"; fail "the root does not start"; }

say "-- delegations"
delegate() { as root 6091 delegate "$@" -f "$W/r1.json" --dir "$PKI"; }
check "R21: dovectl delegate makes a domain, its key and its configuration" delegate acme --range 256-511 --server ns1.acme=$DPS_ADDR:6092
check "R21: a second one" delegate globex --range 600-699 --server ns1.globex=$DPS_ADDR:6093
check "R25: VNIDs that are another's are refused" refuses delegate initech --range 500-520 --server ns1.initech=$DPS_ADDR:6095
check "R25: ... and by whom" sh -c "$(declare -f on); P=$P; on s $BUILD/dovectl --dps $URL:6091 --tls-ca $PKI/ca.pem \
	--tls-cert $PKI/admin-root.pem --tls-key $PKI/admin-root.key delegate initech --range 500-520 \
	--server ns1.initech=$DPS_ADDR:6095 -f $W/r1.json --dir $PKI 2>&1 | grep -q \"VNID 500 is acme's\""
for d in acme globex; do
	config ns1.$d $([ $d = acme ] && echo 6092 || echo 6093) \
		"$(jq -c '{authorities} + {relays: ["site"]}' "$PKI/$d.json")"
	start ns1.$d
done
start r2
start ns1.site
for p in 6092 6093 6094 6083; do until_ok 10 healthy $p || { cat "$W"/*.log; fail "the server on port $p does not start"; }; done

say "-- objects"
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"], hosts: ["h1", "h2"]},
  {kind: "network", name: "green", foreign: "globex:green", vnid: 600, subnets: ["10.2.0.0/24"]},
  {kind: "endpoint", network: "blue", name: "a1", mac: "02:00:00:00:01:01", addresses: ["10.1.0.11"]},
  {kind: "endpoint", network: "blue", name: "a2", mac: "02:00:00:00:01:02", addresses: ["10.1.0.12"]},
  {kind: "policy", network: "blue", name: "out", priority: 10, from: {endpoints: ["a1"]}, to: {network: "green"}, action: "allow"}]' >"$W/acme.json"
jq -n '[{kind: "network", name: "green", subnets: ["10.2.0.0/24"], hosts: ["h2"]},
  {kind: "network", name: "blue", foreign: "acme:blue", vnid: 256, subnets: ["10.1.0.0/24"]},
  {kind: "endpoint", network: "green", name: "g1", mac: "02:00:00:00:02:01", addresses: ["10.2.0.11"]},
  {kind: "policy", network: "green", name: "in", priority: 10, from: {network: "blue"}, to: {endpoints: ["g1"]},
   proto: "tcp", to_port: "8000-8099", action: "allow"}]' >"$W/globex.json"
check "R27: the administrator of acme applies to acme" as acme 6092 apply -f "$W/acme.json"
check "R27: that of globex to globex" as globex 6093 apply -f "$W/globex.json"
check "R25: and not to the other's" refuses as acme 6093 apply -f "$W/globex.json"
vnid() { as "$1" "$2" resolve --network "$3" --from "$4" --to "$4" --json | jq .vnid; }
check "R25: VNIDs come from the domain's range" test "$(vnid acme 6092 blue a1) $(vnid globex 6093 green g1)" = "256 600"

say "-- agents, by the local server alone"
DPS_URL=$URL:6083
for h in h1 h2; do
	tls_agent $h
	da $h attach eth0 --ingress tc >/dev/null || { cat "$W/agent-$h.log"; fail "attach on $h"; }
done
vm h1 a1 acme:blue a1 10.1.0.11 02:00:00:00:01:01
vm h2 a2 acme:blue a2 10.1.0.12 02:00:00:00:01:02
vm h2 g1 globex:green g1 10.2.0.11 02:00:00:00:02:01
# Both networks' gateways are on every host.
on a1 ip route add default via 10.1.0.1
on a2 ip route add default via 10.1.0.1
on g1 ip route add default via 10.2.0.1
ping_ok() { on "$1" ping -c 1 -W 3 -q "$2"; }
watches() { [ "$(da h2 status --json | jq -c '[.networks[].name] | sort')" = '["acme:blue","globex:green"]' ]; }
check "R22: a packet of a1's to a2 resolves through root and authority" ping_ok a1 10.1.0.12
check "R22: a host watches all domains where it has claimed something" until_ok 5 watches
check "R22: ... by referrals" test "$(metric site 6083 resolver_referrals_total)" -ge 1
before=$(metric site 6083 resolver_upstream_total)
questions() { da h1 stats --json | jq .questions; }
asked=$(questions)
check "R24: the second time" ping_ok a1 10.1.0.12
check "R24: ... without leaving the host" test "$(questions)" = "$asked"
check "R24: another host's question is answered from the cache, or asks once" ping_ok a2 10.1.0.11

say "-- across authorities"
serve() { bg "web-$1" g1 python3 -m http.server "$1" --bind 10.2.0.11; }
serve 8080
serve 9090
web() { on a1 curl -sf -m 3 -o /dev/null "http://10.2.0.11:$1/"; }
until_ok 5 on g1 curl -sf -o /dev/null http://10.2.0.11:8080/
check "R8: what both authorities allow passes, and its replies" until_ok 10 web 8080
check "R8: what only the source's allows does not: deny wins" refuses web 9090
verdict() { as site 6083 resolve --network acme:blue --from a1 --to globex:green/g1 --port "$1" --json | jq -r .verdict; }
check "R8: dovectl says so, too" test "$(verdict 8080) $(verdict 9090)" = "allow deny"
check "R21: both halves are signed, each by its own" test "$(as site 6083 resolve --network acme:blue --from a1 --to globex:green/g1 --json | jq '.signed | length')" = 2
jq -n '[{kind: "policy", network: "green", name: "shut", priority: 99, from: {network: "blue"}, to: {endpoints: ["g1"]}, action: "deny"}]' >"$W/shut.json"
as globex 6093 apply -f "$W/shut.json" >/dev/null
shut() { ! web 8080; }
check "R20: the destination's authority shuts: found out by packets" until_ok 10 shut
as globex 6093 delete policy green/shut >/dev/null
check "R20: ... and opens again" until_ok 15 web 8080
jq -n '[{kind: "policy", network: "blue", name: "stay", priority: 99, from: {endpoints: ["a1"]}, to: {network: "green"}, action: "deny"}]' >"$W/stay.json"
as acme 6092 apply -f "$W/stay.json" >/dev/null
check "R20: the source's authority shuts" until_ok 10 shut
as acme 6092 delete policy blue/stay >/dev/null
check "R20: ... and opens again" until_ok 15 web 8080

at_least() { # REVISION of green: what is said of a1's way to g1
	on s curl -s --cacert "$PKI/ca.pem" --cert "$PKI/admin-site.pem" --key "$PKI/admin-site.key" "$URL:6083/v1/resolve" \
		-d "{\"keys\":[{\"vnid\":256,\"source\":65536,\"to\":\"10.2.0.11\",\"least\":{\"vnid\":600,\"revision\":$1}}]}" |
		jq -r '.answers[0] | .failed // .sequence'
}
now=$(as globex 6093 status --json | jq .revisions.green)
check "R24: who knows of a revision is not answered from before it" test "$(at_least "$now")" = "$now"
check "R24: ... nor by a guess, where there is none yet" test "$(at_least $((now + 1000)))" = BEHIND

say "-- the local server restarts"
stop ns1.site
check "R26: known flows need no local server" web 8080
start ns1.site
until_ok 10 healthy 6083 || fail "ns1.site does not start again"
check "R26: hosts renew their claims through it, and watch as before" until_ok 20 watches
da h1 flush >/dev/null
check "R26: and it finds out anew what it has forgotten" until_ok 10 web 8080

say "-- deeper"
deeper() { as acme 6092 delegate "$@" -f "$W/r1.json" --dir "$PKI"; }
check "R21: acme delegates further" deeper acme/eng --range 300-309 --server ns1.eng=$DPS_ADDR:6098
check "R21: and not what it has not" refuses deeper acme/ops --range 500-600 --server ns1.ops=$DPS_ADDR:6099
check "R21: nor what has a network in it" refuses deeper acme/ops --range 256-260 --server ns1.ops=$DPS_ADDR:6099
check "R21: nor does acme's administrator where it is not acme's" refuses deeper globex/x --range 305-306 --server ns1.x=$DPS_ADDR:6099
config ns1.eng 6098 "$(jq -c '{authorities}' "$PKI/acme-eng.json")"
start ns1.eng
until_ok 10 healthy 6098 || { cat "$W/ns1.eng.log"; fail "ns1.eng does not start"; }
jq -n '[{kind: "network", name: "lab", subnets: ["10.7.0.0/24"]}, {kind: "endpoint", network: "lab", name: "e1", mac: "02:00:00:00:07:01", addresses: ["10.7.0.1"]},
  {kind: "endpoint", network: "lab", name: "e2", mac: "02:00:00:00:07:02", addresses: ["10.7.0.2"]},
  {kind: "endpoint", network: "lab", name: "e3", mac: "02:00:00:00:07:03", addresses: ["10.7.0.3"]}]' | sed 's/10.7.0.1"/10.7.0.11"/' >"$W/eng.json"
check "R25: its own administrator applies" as acme-eng 6098 apply -f "$W/eng.json"
check "R25: its parent's does not" refuses as acme 6098 apply -f "$W/eng.json"
config c2 6087 '{"local": true, "tls-cert": "'"$PKI"'/server-ns1.site.pem", "tls-key": "'"$PKI"'/server-ns1.site.key"}'
start c2
until_ok 10 healthy 6087 || fail "c2 does not start"
check "R22: a cold local server finds it" as site 6087 resolve --network acme/eng:lab --from e1 --to e2
check "R22: ... by two referrals" test "$(metric site 6087 resolver_referrals_total)" = 2
upstream=$(metric site 6087 resolver_upstream_total)
check "R24: and once more" as site 6087 resolve --network acme/eng:lab --from e1 --to e2
check "R24: ... asks nobody" test "$(metric site 6087 resolver_upstream_total)" = "$upstream"

say "-- a domain's key rolls over"
asks_eng() { as site 6087 resolve --network acme/eng:lab --from "$1" --to "$2" | grep -q '"verdict":.*"allow"'; }
OLD=$(as acme 6092 delegate --json | jq -r '.[] | .delegations[] | select(.domain == "acme/eng") | .keys[0]')
NEW=$("$BUILD/dovectl" pki key eng2 --dir "$PKI" | tail -n 1)
check "R25: the next key is published beside it" deeper acme/eng --key "$OLD" --key "$NEW"
jq --arg k "$PKI/eng2.sign" '.authorities[0]."sign-key" = $k' "$W/ns1.eng.json" >"$W/x.json" && mv "$W/x.json" "$W/ns1.eng.json"
stop ns1.eng
start ns1.eng
until_ok 10 healthy 6098 || fail "ns1.eng does not start with its new key"
check "R25: what it signs now is believed, by who knows the old one only" until_ok 15 asks_eng e1 e3
check "R25: the old key is dropped" deeper acme/eng --key "$NEW"
check "R25: and nothing is lost" asks_eng e3 e1

upstream=$(metric site 6087 resolver_upstream_total)
ASKING=()
for i in $(seq 20); do
	as site 6087 resolve --network acme/eng:lab --from e2 --to e1 --proto tcp --port 7 >"$W/q$i" &
	ASKING+=($!)
done
wait "${ASKING[@]}"
check "R22: twenty at once are told the same" test "$(cat "$W"/q? "$W"/q?? | grep -c '"verdict":.*"allow"')" = 20
check "R22: by one question upstream" test "$(($(metric site 6087 resolver_upstream_total) - upstream))" -le 2

say "-- a delegation moves to another server, under traffic"
config ns2.globex 6096 "$(jq -c '{authorities, relays}' "$W/ns1.globex.json")"
jq --arg d "$W/data-ns1.globex" '.data = $d' "$W/ns2.globex.json" >"$W/x.json" && mv "$W/x.json" "$W/ns2.globex.json"
stop ns1.globex
start ns2.globex
until_ok 10 healthy 6096 || fail "ns2.globex does not start"
check "R21: the root's administrator moves it" as root 6091 delegate globex --server ns2.globex=$DPS_ADDR:6096
check "R21: known flows go on" web 8080
# fresh: a question that was never asked, so that globex itself must be: who has an address that nobody has?
fresh() {
	local to=10.2.0.$((RANDOM % 200 + 30))
	on s curl -s --cacert "$PKI/ca.pem" --cert "$PKI/admin-site.pem" --key "$PKI/admin-site.key" "$URL:6083/v1/resolve" \
		-d "{\"keys\":[{\"vnid\":600,\"source\":153600,\"to\":\"$to\"}]}" | tee /dev/stderr |
		jq -c '.answers[0] | [.verdict, .sequence > 0, has("failed"), has("reason")]' | grep -q '^\["no_endpoint",true,false,false\]'
}
check "R21: what was never asked is found at the new server" until_ok 20 fresh
da h1 flush >/dev/null
check "R21: and packets find their way anew" until_ok 20 web 8080

say "-- a lame server"
config ns9.globex 6097 '{}'
start ns9.globex
until_ok 10 healthy 6097 || fail "ns9.globex does not start"
check "R26: a server that is listed and not responsible" as root 6091 delegate globex --server ns9.globex=$DPS_ADDR:6097 --server ns2.globex=$DPS_ADDR:6096
lame() { fresh >/dev/null; [ "$(metric site 6083 resolver_lame_total)" -ge 1 ]; }
check "R26: ... is found out" until_ok 40 lame
check "R26: ... and costs nobody an answer" fresh
as root 6091 delegate globex --server ns2.globex=$DPS_ADDR:6096 >/dev/null

say "-- root servers die"
check "R26: a1 reaches a2" ping_ok a1 10.1.0.12
stop r1 KILL
check "R26: one root server is enough" fresh
stop r2 KILL
check "R26: none is needed for zones that are known" fresh
check "R26: and a1 still reaches a2" ping_ok a1 10.1.0.12
unknown() { as site 6083 resolve --network initech:x --from y --to y; }
honest() { unknown 2>&1 | grep -q 'no server of the zone replies\|the time is over'; }
check "R22: for what is not, there is an honest error" honest
start r1
until_ok 10 healthy 6091
start r2
check "R26: the root is back, with what it had delegated" until_ok 30 fresh
nobody() { unknown 2>&1 | grep -q "is not an endpoint"; }
check "R22: and says that nobody has initech" until_ok 20 nobody

say "-- a delegation is withdrawn"
check "R21: the root's administrator withdraws globex" as root 6091 delegate globex --withdraw
leaves() { as root 6091 delegate initech --range 600-610 --server ns1.initech=$DPS_ADDR:6095 -f "$W/r1.json" --dir "$PKI" 2>&1 | grep -q 'may be believed'; }
check "R21: its VNIDs are given to nobody before that is over" leaves
gone() { ! fresh; }
check "R21: it is believed no more when its life is over" until_ok 40 gone
da h1 flush >/dev/null
check "R21: nor do packets get there" refuses web 8080
check "R21: acme is not concerned" ping_ok a1 10.1.0.12

say "-- one question, all servers"
as site 6083 resolve --network acme:blue --from a1 --to a2 --proto sctp --port 4242 >/dev/null
id=$(sed -n 's/.*query=\([0-9a-f]*\) event=ask zone=acme .* 132 0 4242".*/\1/p' "$W/ns1.site.log" | tail -n 1)
check "R25: the logs follow a question across servers by its id" grep -q "query=${id:-none} event=asked" "$W/ns1.acme.log"
finish
