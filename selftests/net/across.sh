# SPDX-License-Identifier: Apache-2.0
# A path through services of two authorities, over hosts each of which has VMs of one of them alone,
# and knows that one's local server alone.
#
#     r1 :6091, root     ns1.acme :6092 (256-511)     ns1.globex :6093 (600-699)        all on s, 192.0.2.9
#
#     ns1.site :6083, local, of acme's hosts        ns2.site :6084, local, of globex's
#         |              |                             |                |
#     h1: a1         h3: afw, acme's firewall      h2: g1, ssl2     h4: ssl1, globex's accelerator
#
# What 86-across.sh and 87-across-proven.sh have in common. Source it after lib.sh.
#
#   hosts [JSON]               agents on all of them, with that configuration, the VMs and the appliances
#   meets "APPLIANCE..." COMMAND...
#   firewall PATH, accelerator PATH, instances JSON      acme's policy, globex's, globex's instances
#   all WORD                   the paths of both, and what becomes of instances
#
# (No shebang: this file is sourced by bash scripts.)
world 4
. "$(dirname "$0")/tree.sh"
two_authorities ns1.site:6083 ns2.site:6084
for h in h1 h2 h3 h4 h9; do pki host $h; done

jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]},
  {kind: "network", name: "green", foreign: "globex:green", vnid: 600, subnets: ["10.2.0.0/24"]},
  {kind: "endpoint", network: "blue", name: "a1", mac: "02:00:00:00:01:01", addresses: ["10.1.0.11"]},
  {kind: "endpoint", network: "blue", name: "afw", mac: "02:00:00:00:09:01"},
  {kind: "service", name: "firewall", instances: [{endpoint: "blue/afw"}]},
  {kind: "policy", network: "blue", name: "out", from: {endpoints: ["a1"]}, to: {network: "green"}, action: "allow"}]' >"$W/acme.objects"
jq -n '[{kind: "network", name: "green", subnets: ["10.2.0.0/24"]},
  {kind: "network", name: "blue", foreign: "acme:blue", vnid: 256, subnets: ["10.1.0.0/24"]},
  {kind: "endpoint", network: "green", name: "g1", mac: "02:00:00:00:02:01", addresses: ["10.2.0.11"]},
  (1, 2 | {kind: "endpoint", network: "green", name: "ssl\(.)", mac: "02:00:00:00:09:1\(.)"}),
  {kind: "service", name: "ssl-accelerator", instances: [{endpoint: "green/ssl1"}]},
  {kind: "service", name: "hidden", instances: []},
  {kind: "policy", network: "green", name: "in", from: {network: "blue"}, to: {endpoints: ["g1"]}, action: "allow"}]' >"$W/globex.objects"
as acme 6092 apply -f "$W/acme.objects" >/dev/null || fail "acme's objects"
as globex 6093 apply -f "$W/globex.objects" >/dev/null || fail "globex's objects"

ALL="afw ssl1 ssl2"
start_agent() { # HOST [JSON]
	case $1 in h1 | h3) DPS_URL=$URL:6083 ;; *) DPS_URL=$URL:6084 ;; esac
	tls_agent "$@"
}
appliance() { # HOST NETWORK NAME
	ns_add "$3"
	bridge "$3"
	ip link add eth0 netns "$P-$3" type veth peer name "a-$3" netns "$P-$1"
	on "$3" ip link set eth0 master br0 up
	on "$3" ip link set eth0 type bridge_slave hairpin on
	on "$1" ip link set "a-$3" up
	da "$1" port add "a-$3" --network "$2" --endpoint "$3" >/dev/null || fail "port of $3"
}
networks() { [ "$(da "$1" status --json | jq -c '[.networks[].name]')" = "[\"$2\"]" ]; }
hosts() { # [JSON]: configuration
	local h
	for h in h1 h2 h3 h4; do
		start_agent $h "$@"
		da $h attach eth0 --ingress $([ $h = h4 ] && echo xdp || echo tc) >/dev/null || fail "attach on $h"
	done
	vm h1 a1 acme:blue a1 10.1.0.11 02:00:00:00:01:01
	vm h2 g1 globex:green g1 10.2.0.11 02:00:00:00:02:01
	on a1 ip route add default via 10.1.0.1
	on g1 ip route add default via 10.2.0.1
	bg web g1 busybox httpd -f -p 8080 -h "$W"
	appliance h3 acme:blue afw
	appliance h4 globex:green ssl1
	appliance h2 globex:green ssl2
	for h in h1:acme:blue h3:acme:blue h2:globex:green h4:globex:green; do
		check "R25: ${h%%:*} watches the networks of one authority alone" until_ok 10 networks "${h%%:*}" "${h#*:}"
	done
}
meets() { met 2 "$@"; } # both directions of it
pings() { on a1 ping -c 1 -W 2 -q 10.2.0.11; }
silent() { ! on a1 ping -c 1 -W 1 -q 10.2.0.11; }
web() { on a1 curl -sS -m 3 -o /dev/null "http://10.2.0.11:8080/"; }
firewall() { # PATH: acme's policy
	jq -n --argjson p "$1" '[{kind: "policy", network: "blue", name: "out", from: {endpoints: ["a1"]}, to: {network: "green"}, action: "allow", path: $p}]' >"$W/apply"
	as acme 6092 apply -f "$W/apply" >/dev/null
}
accelerator() { # PATH: globex's
	jq -n --argjson p "$1" '[{kind: "policy", network: "green", name: "in", from: {network: "blue"}, to: {endpoints: ["g1"]}, action: "allow", path: $p}]' >"$W/apply"
	as globex 6093 apply -f "$W/apply" >/dev/null
}
instances() { # JSON: of globex's service
	jq -n --argjson i "$1" '[{kind: "service", name: "ssl-accelerator", instances: $i}]' >"$W/apply"
	as globex 6093 apply -f "$W/apply" >/dev/null
}
services() { da "$1" status --json | jq -c '[.services[] | .name] | sort'; }
knows() { [ "$(services "$1")" = "$2" ]; }

# In the worst case each host on the way finds out by a packet that what it holds is old: the last one first.
SOON=40
all() { # WORD
	say "-- $1: the destination's service"
	accelerator '["ssl-accelerator"]'
	check "R13: $1: from acme, through globex's accelerator, there and back" until_ok $SOON meets ssl1 pings
	check "R13: $1: the sender knows that one, which has none of globex's VMs" until_ok 5 knows h1 '["acme:firewall","globex:ssl-accelerator"]'
	say "-- $1: both"
	firewall '["firewall"]'
	check "R13: $1: acme's firewall, then globex's accelerator, and back through both" until_ok $SOON meets "afw ssl1" pings
	check "R13: $1: TCP" until_ok 5 meets "afw ssl1" web
	check "R13: $1: what the first one stops the second never sees" unseen
	say "-- $1: instances come and go"
	instances '[{"endpoint": "green/ssl1", "state": "down"}, {"endpoint": "green/ssl2"}]'
	check "R28: $1: another instance is used, when what was said is over" until_ok $SOON meets "afw ssl2" pings
	instances '[]'
	check "R13: $1: none: closed" until_ok $SOON silent
	check "R13: $1: ... and counted" until_ok 10 closed
	instances '[{"endpoint": "green/ssl1"}]'
	check "R28: $1: one again" until_ok $SOON meets "afw ssl1" pings
}
stops() { on afw nft add rule bridge fw forward ip saddr 10.1.0.11 icmp type echo-request drop && silent; }
unseen() {
	local n rc=0
	n=$(counter ssl1)
	stops || rc=1
	[ "$(counter ssl1)" = "$n" ] || rc=1
	on afw nft delete rule bridge fw forward handle "$(on afw nft -a list chain bridge fw forward | sed -n 's/.*10.1.0.11.*handle //p')"
	return $rc
}
says_place() { # BOOLEAN ADDRESS
	said h2 6084 "{\"vnid\":256,\"source\":65536,\"address\":\"$2\"}" | head -n 1 | jq -r .statement.body | tee /dev/stderr | jq -e "has(\"answer\") == $1"
}
admin_refused() { [ "$(curl_as acme 6083 /v1/statement -o /dev/null -w '%{http_code}' -d "{\"service\":\"globex:ssl-accelerator\",$KEY}")" = 403 ]; }
# instances_for REST: what ns1.globex tells acme's own server
instances_for() {
	on s curl -s --cacert "$PKI/ca.pem" --cert "$PKI/server-ns1.acme.pem" --key "$PKI/server-ns1.acme.key" "$URL:6093/v1/ask" \
		-d "{\"questions\":[{\"kind\":\"service\",\"name\":\"globex:ssl-accelerator\",\"zone\":\"globex\"$1}]}" |
		jq -r '.replies[0].statement.body' | jq '.answer.instances | if . then length else null end'
}
no_service() { echo $(($(stat h1 no_service) + $(stat h3 no_service))); }
closed() { local n; n=$(no_service); silent && [ "$(no_service)" -gt "$n" ]; }
