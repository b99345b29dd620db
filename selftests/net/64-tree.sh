#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A tree of 16 servers as processes with TLS, and the packets of agents that were given the root's key alone.
#
#              r1 :6091 (writer)    r2 :6092                          root servers
#        ___________|____________________|____________
#       |              |               |              |
#     acme 1000-      globex 2000-   initech 3000-   umbrella 4000-   authorities, :6101 to :6104
#      |    |          |    |          |    |          |    |
#     eng  ops        web  db         lab  hr         sea  air        their delegated domains, :6111 to :6118
#
#     ns1.east :6083   ns1.west :6084                                 local servers
#         |                |                                          all on s, 192.0.2.9
#     h1: e1           h2: e2, w1                     e1, e2: acme/eng:lab     w1: globex/web:shop
. "$(dirname "$0")/lib.sh"
world 2
. "$(dirname "$0")/tree.sh"

TOP=(acme globex initech umbrella)
SUB=(acme/eng acme/ops globex/web globex/db initech/lab initech/hr umbrella/sea umbrella/air)
server_of() { echo "ns1.${1//\//-}"; }
admin_of() { echo "${1//\//-}"; }
port_of() {
	local i
	for i in "${!TOP[@]}"; do [ "${TOP[i]}" != "$1" ] || echo $((6101 + i)); done
	for i in "${!SUB[@]}"; do [ "${SUB[i]}" != "$1" ] || echo $((6111 + i)); done
}

say "-- the tree"
tree_root r1:6091 r2:6092
for d in "${TOP[@]}" "${SUB[@]}" east west; do
	pki server "$(server_of "$d")" --domain "$d" --address $DPS_ADDR
	pki admin "$d"
done
pki server ns2.acme-eng --domain acme/eng --address $DPS_ADDR
pki server ns3.east --domain east --address $DPS_ADDR
for h in h1 h2; do pki host $h; done
# The root's delegations live for 16 s, so that chains end, and are fetched anew, while this looks.
config r1 6091 "$(jq -nc --arg k "$PKI/root.sign" '{"root-server": true, authorities: [{domain: ".", "sign-key": $k, life: 16}]}')"
config r2 6092 "$(jq -nc --arg a "$DPS_ADDR:6091" '{"root-server": true, primaries: [{name: "r1", addresses: [$a]}]}')"
config ns1.east 6083 '{"local": true}'
config ns1.west 6084 '{"local": true}'
start r1
until_ok 10 healthy 6091 || fail "the root does not start"
delegate() { # ADMIN PORT DOMAIN FIRST LAST
	as "$1" "$2" delegate "$3" --range "$4-$5" --server "$(server_of "$3")=$DPS_ADDR:$(port_of "$3")" -f "$W/r1.json" --dir "$PKI" >/dev/null ||
		fail "$3 is not delegated"
	config "$(server_of "$3")" "$(port_of "$3")" "$(jq -c '{authorities} + {relays: ["east", "west"]}' "$PKI/$(admin_of "$3").json")"
	start "$(server_of "$3")"
}
for i in 0 1 2 3; do delegate root 6091 "${TOP[i]}" $(((i + 1) * 1000)) $(((i + 1) * 1000 + 999)); done
for d in "${TOP[@]}"; do until_ok 10 healthy "$(port_of "$d")" || fail "$d does not start"; done
for i in "${!SUB[@]}"; do
	top=${SUB[i]%/*} first=$(((i / 2 + 1) * 1000 + (i % 2 + 1) * 100))
	delegate "$top" "$(port_of "$top")" "${SUB[i]}" $first $((first + 99))
done
for n in r2 ns1.east ns1.west; do start $n; done
for p in 6092 6083 6084 {6111..6118}; do until_ok 10 healthy "$p" || fail "the server on port $p does not start"; done
zone_is_whole() { [ "$(curl_as root 6092 /metrics | awk '$1 == "dove_dps_root_zone_serial" { print $2 }')" = "$(metric root 6091 root_zone_serial)" ]; }
check "R21: the second root server has the zone with all four" until_ok 20 zone_is_whole
check "R21: a child gets no more than its parent has" refuses as acme 6101 delegate acme/x --range 1900-2000 --server x=$DPS_ADDR:1 -f "$W/r1.json" --dir "$PKI"
check "R21: nor what another child has" refuses as acme 6101 delegate acme/x --range 1150-1160 --server x=$DPS_ADDR:1 -f "$W/r1.json" --dir "$PKI"

endpoint() { jq -nc --arg n "$1" --arg e "$2" --arg m "$3" --arg a "$4" '{kind: "endpoint", network: $n, name: $e, mac: $m, addresses: [$a]}'; }
foreign() { jq -nc --arg n "$1" --arg f "$2" --argjson v "$3" --arg s "$4" '{kind: "network", name: $n, foreign: $f, vnid: $v, subnets: [$s]}'; }
{
	jq -nc '{kind: "network", name: "lab", subnets: ["10.1.0.0/24"]}'
	foreign shop globex/web:shop 2100 10.2.0.0/24
	endpoint lab e1 02:00:00:00:01:01 10.1.0.11
	endpoint lab e2 02:00:00:00:01:02 10.1.0.12
	jq -nc '{kind: "policy", network: "lab", name: "out", from: "any", to: {network: "shop"}, action: "allow"}'
} | jq -s . >"$W/eng-objects.json"
{
	jq -nc '{kind: "network", name: "shop", subnets: ["10.2.0.0/24"]}'
	foreign lab acme/eng:lab 1100 10.1.0.0/24
	endpoint shop w1 02:00:00:00:02:01 10.2.0.11
	jq -nc '{kind: "policy", network: "shop", name: "in", from: {network: "lab"}, to: "any", action: "allow"}'
} | jq -s . >"$W/web-objects.json"
eng() { as acme-eng 6111 "$@"; }
web() { as globex-web 6113 "$@"; }
check "R27: objects of a domain two levels down" eng apply -f "$W/eng-objects.json"
check "R27: and of another" web apply -f "$W/web-objects.json"

say "-- agents, each by its own local server"
agent_of() { # HOST PORT MORE: the root's key is all that it believes by
	DPS_URL=$URL:$2
	tls_agent "$1" "$(jq -nc --arg root "$PUB" --argjson more "$3" '{trust: [{root: $root}]} + $more')"
}
# h1 does not hold its own packets to the numbers, so what it learns of a change it learns from h2.
agent_of h1 6083 '{"origin_check": false}'
agent_of h2 6084 '{}'
for h in h1 h2; do da $h attach eth0 --ingress tc >/dev/null || fail "attach on $h"; done
vm h1 e1 acme/eng:lab e1 10.1.0.11 02:00:00:00:01:01
vm h2 e2 acme/eng:lab e2 10.1.0.12 02:00:00:00:01:02
vm h2 w1 globex/web:shop w1 10.2.0.11 02:00:00:00:02:01
for n in e1 e2; do on $n ip route add default via 10.1.0.1; done
on w1 ip route add default via 10.2.0.1
ping_ok() { on "$1" ping -c 1 -W 3 -q "$2"; }
referrals() { metric "$1" "$2" resolver_referrals_total; }
upstream() { metric "$1" "$2" resolver_upstream_total; }
questions() { da h1 stats --json | jq .questions; }
# What east knows of globex it finds out for this packet: w1 was claimed through west.
before=$(referrals east 6083)
check "R22: a packet to a domain that its local server has never heard of arrives" ping_ok e1 10.2.0.11
# Delegations that live for 16 s are asked for ahead, too: what this question did stands in the log, under its id.
id=$(sed -n 's/.*query=\([0-9a-f]*\) event=ask zone=globex .*/\1/p' "$W/ns1.east.log" | head -n 1)
way() { sed -n "s/.*query=${id:-none} event=ask zone=\([^ ]*\) .*/\1/p" "$W/ns1.east.log" | uniq | paste -sd ' '; }
leads() { way | tee /dev/stderr | grep -q '\. globex globex/web$'; }
check "R22: ... by two referrals: the root's to globex, and globex's to globex/web" leads
check "R22: ... which are counted" test $(($(referrals east 6083) - before)) -ge 2
asked=$(questions)
check "R24: the second one" ping_ok e1 10.2.0.11
check "R24: ... without leaving the host" test "$(questions)" = "$asked"
da h1 flush >/dev/null
before=$(upstream east 6083)
check "R24: when the host has forgotten it" ping_ok e1 10.2.0.11
check "R24: ... its local server has not" test "$(upstream east 6083)" = "$before"
follow() { grep -hc "query=${id:-none} event=asked" "$W"/r[12].log "$W/ns1.globex.log" "$W/ns1.globex-web.log" | paste -sd+ | bc; }
check "R25: the logs of all its servers tell that question's way, by its id" test "$(follow)" -ge 2

say "-- by the root's key alone"
hints() { da h1 stats --json | jq ".hints.$1"; }
chains() { da h1 stats --json | jq ".chains.$1"; }
DSCP=0
newer() { # the policy that decides changes, and not in what it requires: packets under the old one are stale
	DSCP=$((DSCP % 60 + 1))
	jq -n --argjson d $DSCP '[{kind: "policy", network: "lab", name: "all", priority: 5, from: "any", to: "any", action: "allow", qos: {dscp: $d}}]' >"$W/all.json"
	eng apply -f "$W/all.json" >/dev/null
	sleep 0.3
}
# Of a change h2 tells h1, with acme/eng's signature: believed, or a hint to ask while its chain is being fetched.
believes() {
	local stored=$(hints stored)
	for DSCP in $(shuf -i 1-59 -n 4); do
		newer
		on e1 ping -c 3 -i 0.2 -W 2 -q 10.1.0.12 >/dev/null || return 1
		[ "$(hints stored)" = "$stored" ] || return 0
	done
	da h1 stats --json | jq -c '[.hints, .chains]'
	return 1
}
ping_ok e1 10.1.0.12 >/dev/null
check "R24: what acme/eng has signed is believed, by its chain from the root" believes
check "R24: ... which was fetched" test "$(chains learnt)" -ge 1
learnt=$(chains learnt)
check "R24: ... and kept" sh -c "[ $learnt -le 2 ]"
again() { believes && [ "$(chains learnt)" -gt "$learnt" ]; }
check "R24: ... until it ends; then it is fetched anew" until_ok 60 again

say "-- through a firewall at h2, whose local server has never heard of who sends"
jq -n '[{kind: "endpoint", network: "lab", name: "fw", mac: "02:00:00:00:09:01"}, {kind: "service", name: "firewall", instances: [{endpoint: "lab/fw"}]},
	{kind: "policy", network: "lab", name: "fw", priority: 50, from: {endpoints: ["e1"]}, to: "any", action: "allow", path: ["firewall"]}]' >"$W/fw.json"
eng apply -f "$W/fw.json" >/dev/null || fail "a service"
ns_add fw
bridge fw
ip link add eth0 netns "$P-fw" type veth peer name a-fw netns "$P-h2"
on fw ip link set eth0 master br0 up
on fw ip link set eth0 type bridge_slave hairpin on
on h2 ip link set a-fw up
da h2 port add a-fw --network acme/eng:lab --endpoint fw >/dev/null || fail "port of fw"
seen() { on fw nft -j list counter bridge fw seen | jq '.nftables[] | .counter? // empty | .packets'; }
meets() { local was; was=$(seen); ping_ok e1 10.1.0.12 && echo "$was -> $(seen)" && [ $(($(seen) - was)) -ge 2 ]; }
check "R13: packets come by there, and so do the answers" until_ok 10 meets
check "R24: h2 has proven what it was told of them" test "$(da h2 stats --json | jq '.answers | .proven > 0 and .refused == 0')" = true
lost() { da h2 flush >/dev/null; meets; }
check "R22: asked again, it is told again" until_ok 10 lost
eng delete policy lab/fw >/dev/null
past() { local was; was=$(seen); ping_ok e1 10.1.0.12 && [ "$(seen)" = "$was" ]; }
check "R20: without the policy they go past it" until_ok 10 past

say "-- the root's key rolls over"
OLD=$PUB
NEW=$("$BUILD/dovectl" pki key root2 --successor-of root --dir "$PKI" | tail -n 1)
check "R21: the next key, and the old one's word that it follows" jq -e .sig "$PKI/root2.succession"
jq --arg k "$PKI/root2.sign" --arg new "$NEW" --slurpfile s "$PKI/root2.succession" \
	'.root.keys = [$new] | .authorities[0] += {"sign-key": $k, succession: $s}' "$W/r1.json" >"$W/x.json" && mv "$W/x.json" "$W/r1.json"
stop r1
start r1
until_ok 10 healthy 6091 || fail "the root does not start with its next key"
signer() { curl_as east 6083 "/v1/chain/$1" --cert "$PKI/host-h1.pem" --key "$PKI/host-h1.key" | jq -r '.chain[0].key'; }
OLD_ID=$(signer acme)
until_ok 20 zone_is_whole
moved_on() { local id; id=$(signer globex); [ -n "$id" ] && [ "$id" != null ] && [ "$id" != "$OLD_ID" ]; }
check "R21: a local server that runs with the old key follows" until_ok 40 moved_on
config ns3.east 6085 '{"local": true}'
start ns3.east
until_ok 10 healthy 6085 || fail "ns3.east does not start"
cold() { as east 6085 resolve --network acme/eng:lab --from e1 --to e2; }
check "R21: and one that starts with it, cold" until_ok 10 cold
stop ns3.east
check "R21: a packet to where nobody has been" ping_ok e2 10.2.0.11
roots() { believes && [ "$(chains roots)" -ge 1 ]; }
check "R24: an agent that was given the old key believes, by its successor" until_ok 60 roots
# What the old key signs is the root's no more: its thief's root zone is refused by who has met the new one.
jq --arg k "$PKI/root.sign" --arg old "$OLD" '.root.keys = [$old] | .authorities[0] |= (.["sign-key"] = $k | del(.succession)) | .data = "'"$W"'/thief"' "$W/r1.json" >"$W/thief.json"
mkdir -p "$W/thief"
stop r1
start thief
until_ok 10 healthy 6091 || fail "the thief does not start"
believed() { # The thief can't renew what the root has signed: that ends meanwhile, and then there is none.
	for _ in $(seq 30); do
		[ "$(signer globex)" != "$OLD_ID" ] || return 0
		sleep 0.2
	done
	return 1
}
check "R21: who has only the old key is the root no more" refuses believed
check "R21: ... though it was asked" grep -q 'event=asked zone=\.' "$W/thief.log"
stop thief
start r1
until_ok 10 healthy 6091
check "R21: the root is back, by its next key" until_ok 20 moved_on

say "-- a delegation moves to another server, under traffic"
bg flood e1 ping -i 0.02 -q 10.1.0.12
# asks: of addresses that were never asked for, so that only the authority can answer. Each answer is right, or it is said.
asks() {
	local i
	for i in $(seq 200); do
		curl_as east 6083 /v1/resolve -d "{\"keys\":[{\"vnid\":1100,\"source\":281600,\"to\":\"10.1.$((i / 100 + 1)).$((i % 100 + 1))\"}]}" |
			jq -c '.answers[0] | [.verdict, .failed // ""]'
		sleep 0.02
	done
}
asks >"$W/asks" &
ASKS=$!
sleep 1
jq --arg d "$W/data-ns2.acme-eng" --arg pki "$PKI" --arg at "$DPS_ADDR:6121" '.name = "ns2.acme-eng" | .listen = $at | .data = $d |
	."tls-cert" = "\($pki)/server-ns2.acme-eng.pem" | ."tls-key" = "\($pki)/server-ns2.acme-eng.key"' "$W/ns1.acme-eng.json" >"$W/ns2.acme-eng.json"
stop ns1.acme-eng
cp -r "$W/data-ns1.acme-eng" "$W/data-ns2.acme-eng"
start ns1.acme-eng
start ns2.acme-eng
until_ok 10 healthy 6121 || fail "ns2.acme-eng does not start"
check "R21: its parent says where it is now" as acme 6101 delegate acme/eng --server ns2.acme-eng=$DPS_ADDR:6121
sleep 1
stop ns1.acme-eng
wait $ASKS
stop flood INT
found() { curl_as east 6083 /v1/resolve -d "{\"keys\":[{\"vnid\":1100,\"source\":281600,\"to\":\"10.1.7.$((RANDOM % 250 + 1))\"}]}" | jq -c '.answers[0] | [.verdict, .sequence > 0, has("failed")]' | grep -q '^\["no_endpoint",true,false\]'; }
check "R21: what was never asked is found at the new server" until_ok 20 found
tail -n 4 "$W/flood.log"
check "R26: packets that flowed lost nothing" grep -q " 0% packet loss" "$W/flood.log"
sort "$W/asks" | uniq -c
# Who has just asked the parent for a delegation asks again after 2 s (QUERY_RENEW_MS): until then it says so.
check "R21: of 200 questions meanwhile none was answered wrongly" test "$(grep -vc '^\["no_endpoint","\(NO_SERVER\|DEADLINE\|BUDGET\|UNBELIEVABLE\|\)"\]' "$W/asks")" = 0
check "R21: ... and there were answers" test "$(grep -c '^\["no_endpoint",""\]' "$W/asks")" -ge 20
da h1 flush >/dev/null
check "R21: packets find their way anew" until_ok 10 ping_ok e1 10.1.0.12
finish
