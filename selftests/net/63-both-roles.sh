#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One process that is the local server of its hosts, and the authority of two domains; and a
# third domain's elsewhere. Hosts watch, claim and ask of all three by it alone.
#
#       r1 :6091         root server and writer
#        |        \
#   both :6083   ns1.globex :6093     both: acme (256-511), initech (512-599), and local; globex: 600-699
#      |   |
#     h1   h2            a1, a2: acme:blue     i1, i2: initech:red     g1: globex:green
. "$(dirname "$0")/lib.sh"
world 2
. "$(dirname "$0")/tree.sh"
tree_root r1:6091
for d in acme initech globex; do pki admin $d; pki key $d; done
pki server both --domain acme --address $DPS_ADDR
pki server ns1.globex --domain globex --address $DPS_ADDR
for h in h1 h2; do pki host $h; done
config r1 6091 "$(jq -nc --arg k "$PKI/root.sign" '{"root-server": true, authorities: [{domain: ".", "sign-key": $k}]}')"
config both 6083 "$(jq -nc --arg p "$PKI" --arg a $DPS_ADDR '{local: true, authorities: ([["acme", 256, 511], ["initech", 512, 599]] |
	map({domain: .[0], "sign-key": "\($p)/\(.[0]).sign", ranges: [.[1:3]], servers: [{name: "both", addresses: ["\($a):6083"]}]}))}')"
config ns1.globex 6093 "$(jq -nc --arg p "$PKI" --arg a $DPS_ADDR '{relays: ["acme"], authorities: [{domain: "globex", "sign-key": "\($p)/globex.sign",
	ranges: [[600, 699]], servers: [{name: "ns1.globex", addresses: ["\($a):6093"]}]}]}')"
start r1
until_ok 10 healthy 6091 || fail "the root does not start"
public() { openssl pkey -in "$PKI/$1.sign" -pubout -outform DER | tail -c 32 | base64; }
as root 6091 delegate acme --range 256-511 --server both=$DPS_ADDR:6083 --key "$(public acme)" >/dev/null || fail "acme"
as root 6091 delegate initech --range 512-599 --server both=$DPS_ADDR:6083 --key "$(public initech)" >/dev/null || fail "initech"
as root 6091 delegate globex --range 600-699 --server ns1.globex=$DPS_ADDR:6093 --key "$(public globex)" >/dev/null || fail "globex"
start both
start ns1.globex
for p in 6083 6093; do until_ok 10 healthy $p || fail "the server on port $p does not start"; done

objects() { # NETWORK SUBNET FIRST-LETTER
	jq -n --arg n "$1" --arg s "$2" --arg l "$3" '[{kind: "network", name: $n, subnets: ["10.\($s).0.0/24"]}] + [range(1; 3) | {kind: "endpoint", network: $n,
		name: "\($l)\(.)", mac: "02:00:00:00:0\($s):0\(.)", addresses: ["10.\($s).0.1\(.)"]}]'
}
objects blue 1 a | jq '. + [{kind: "network", name: "green", foreign: "globex:green", vnid: 600, subnets: ["10.3.0.0/24"]},
	{kind: "policy", network: "blue", name: "out", from: "any", to: {network: "green"}, action: "allow"}]' >"$W/acme.objects"
objects red 2 i >"$W/initech.objects"
objects green 3 g | jq '. + [{kind: "network", name: "blue", foreign: "acme:blue", vnid: 256, subnets: ["10.1.0.0/24"]},
	{kind: "policy", network: "green", name: "in", from: {network: "blue"}, to: "any", action: "allow"}]' >"$W/globex.objects"
check "R25: acme's objects" as acme 6083 apply -f "$W/acme.objects" --domain acme
check "R25: initech's, in the same process" as initech 6083 apply -f "$W/initech.objects" --domain initech
check "R25: and neither by the other's administrator" refuses as acme 6083 apply -f "$W/initech.objects" --domain initech
check "R25: globex's, elsewhere" as globex 6093 apply -f "$W/globex.objects"

DPS_URL=$URL:6083
for h in h1 h2; do
	tls_agent $h
	da $h attach eth0 --ingress tc >/dev/null || fail "attach on $h"
done
vm h1 a1 acme:blue a1 10.1.0.11 02:00:00:00:01:01
vm h2 a2 acme:blue a2 10.1.0.12 02:00:00:00:01:02
vm h1 i1 initech:red i1 10.2.0.11 02:00:00:00:02:01
vm h2 i2 initech:red i2 10.2.0.12 02:00:00:00:02:02
vm h2 g1 globex:green g1 10.3.0.11 02:00:00:00:03:01
on a1 ip route add default via 10.1.0.1
on g1 ip route add default via 10.3.0.1
watches() { [ "$(da h2 status --json | jq -c '[.networks[].name] | sort')" = '["acme:blue","globex:green","initech:red"]' ]; }
check "R24: a host watches both domains that its server has, and the one that it has not" until_ok 5 watches
ping_ok() { on "$1" ping -c 1 -W 3 -q "$2"; }
check "R22: acme's packets" ping_ok a1 10.1.0.12
check "R25: initech's" ping_ok i1 10.2.0.12
check "R22: from acme, decided here, to globex, decided there" ping_ok a1 10.3.0.11
deny() { jq -n --arg n "$1" '[{kind: "policy", network: $n, name: "shut", priority: 99, from: "any", to: "any", action: "deny"}]' >"$W/deny"; }
shut() { ! on "$1" ping -c 1 -W 1 -q "$2"; }
for d in acme:6083:blue:a1:10.1.0.12 initech:6083:red:i1:10.2.0.12 globex:6093:green:a1:10.3.0.11; do
	IFS=: read -r domain port network from to <<<"$d"
	deny "$network"
	as "$domain" "$port" apply -f "$W/deny" --domain "$domain" >/dev/null || fail "deny"
	check "R20: a change of $domain's is told to its hosts: shut" until_ok 5 shut "$from" "$to"
	as "$domain" "$port" delete policy "$network/shut" --domain "$domain" >/dev/null
	check "R20: ... and open" until_ok 15 ping_ok "$from" "$to"
done
say "-- services: each domain has a firewall, by the same name; all of them are on h2, and seen from h1"
appliance() { # NETWORK NAME NUMBER
	local domain=${1%%:*} network=${1#*:} port
	port=$([ "$domain" = globex ] && echo 6093 || echo 6083)
	jq -n --arg n "$network" --arg e "$2" --arg m "02:00:00:00:09:0$3" '[{kind: "endpoint", network: $n, name: $e, mac: $m},
		{kind: "service", name: "firewall", instances: [{endpoint: "\($n)/\($e)"}]}]' >"$W/service"
	as "$domain" "$port" apply -f "$W/service" --domain "$domain" >/dev/null || fail "a service of $domain"
	ns_add "$2"
	bridge "$2"
	ip link add eth0 netns "$P-$2" type veth peer name "a-$2" netns "$P-h2"
	on "$2" ip link set eth0 master br0 up
	on "$2" ip link set eth0 type bridge_slave hairpin on
	on h2 ip link set "a-$2" up
	da h2 port add "a-$2" --network "$1" --endpoint "$2" >/dev/null || fail "port of $2"
}
# told: the services that h2, which has VMs of all three, is told of
told() { on s timeout 2 curl -sN --cacert "$PKI/ca.pem" --cert "$PKI/host-h2.pem" --key "$PKI/host-h2.key" "$URL:6083/v1/watch?host=h2" |
	jq -c 'select(.type == "services") | [.domain, (.services[] | .name)]' | sort -u | paste -sd ' '; }
appliance acme:blue afw 1
appliance initech:red ifw 2
appliance globex:green gfw 3
check "R25: a host is told of each domain's services, by their full names" \
	test "$(told)" = '["acme","acme:firewall"] ["globex","globex:firewall"] ["initech","initech:firewall"]'
knows() { [ "$(da h2 status --json | jq -c '[.services[] | .name + " " + .instances[0].endpoint + " \(.instances[0].alive)"] | sort')" = \
	'["acme:firewall blue/afw true","globex:firewall green/gfw true","initech:firewall red/ifw true"]' ]; }
check "R25: it tells them apart, and each is there" until_ok 10 knows
jq -n '[{kind: "policy", network: "blue", name: "fw", priority: 50, from: {endpoints: ["a1"]}, to: "any", action: "allow", path: ["firewall"]}]' >"$W/acme.fw"
jq -n '[{kind: "policy", network: "red", name: "fw", priority: 50, from: {endpoints: ["i1"]}, to: "any", action: "allow", path: ["firewall"]}]' >"$W/initech.fw"
jq -n '[{kind: "policy", network: "green", name: "in", from: {network: "blue"}, to: "any", action: "allow", path: ["firewall"]}]' >"$W/globex.fw"
as acme 6083 apply -f "$W/acme.fw" --domain acme >/dev/null || fail "acme's path"
as initech 6083 apply -f "$W/initech.fw" --domain initech >/dev/null || fail "initech's path"
# meets "APPLIANCE..." FROM TO: a ping, there and back by exactly these
meets() {
	local a rc=0
	declare -A was=()
	for a in afw ifw gfw; do was[$a]=$(counter $a); done
	ping_ok "$2" "$3" || rc=1
	for a in afw ifw gfw; do
		echo "$a: ${was[$a]} -> $(counter $a)"
		case " $1 " in
		*" $a "*) [ $(($(counter $a) - was[$a])) -ge 2 ] || rc=1 ;;
		*) [ "$(counter $a)" = "${was[$a]}" ] || rc=1 ;;
		esac
	done
	return $rc
}
check "R13: acme's packets meet acme's firewall, and so do the answers" until_ok 10 meets afw a1 10.1.0.12
check "R13: initech's meet initech's" until_ok 10 meets ifw i1 10.2.0.12
check "R8: from acme to globex, whose policy has no path yet: the source's alone" until_ok 10 meets afw a1 10.3.0.11
as globex 6093 apply -f "$W/globex.fw" >/dev/null || fail "globex's path"
check "R8: both have one: both are met" until_ok 10 meets "afw gfw" a1 10.3.0.11
path() { as acme 6083 resolve --network acme:blue --from a1 --to globex:green/g1 --json | jq -c .path; }
check "R8: ... the source's first" test "$(path)" = '["acme:firewall","globex:firewall"]'
stops() { on afw nft add rule bridge fw forward ip saddr 10.1.0.11 icmp type echo-request drop && ! meets afw a1 10.3.0.11; }
unseen() { local n; n=$(counter gfw); stops; [ "$(counter gfw)" = "$n" ]; }
check "R13: what the source's firewall stops the destination's never sees" unseen
on afw nft delete rule bridge fw forward handle "$(on afw nft -a list chain bridge fw forward | sed -n 's/.*10.1.0.11.*handle //p')"
stop agent-h2 KILL
agent h2
check "R26: an agent that was killed has the same numbers for them" until_ok 10 knows
check "R26: ... and paths go on" until_ok 10 meets "afw gfw" a1 10.3.0.11

stop both
start both
until_ok 10 healthy 6083 || fail "it does not start again"
check "R26: it restarts: hosts watch all three again" until_ok 20 watches
da h1 flush >/dev/null
check "R26: ... and packets are resolved" until_ok 10 ping_ok a1 10.3.0.11
check "R26: ... through both firewalls" until_ok 10 meets "afw gfw" a1 10.3.0.11
finish
