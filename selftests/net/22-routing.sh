#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The gateway that every VM has on its own host: between the subnets of a
# network, and between networks where policies of both allow it.
#
#   h1 (TC):  v1 (blue, .0 and fd00:1)  w1 (blue, .1 and fd00:2)
#   h2 (XDP): v2 (blue, .1 and fd00:2)  g1 (green)
#   h3:       br0 = eth0 + b1 (blue, .0 and fd00:1) + b2 (blue, .1 and fd00:2)
#
#   blue: 10.1.0.0/24 and fd00:1::/64, gateways their first addresses;
#         10.1.1.0/24 by 10.1.1.254, fd00:2::/64 by fd00:2::fe
#   green: 10.2.0.0/24, fd00:9::/64
. "$(dirname "$0")/lib.sh"

GATEWAY=02:d0:7e:00:00:01
# What each namespace has, and by which gateway it goes.
declare -A IN4=([v1]=10.1.0.11 [w1]=10.1.1.11 [v2]=10.1.1.12 [g1]=10.2.0.11 [b1]=10.1.0.13 [b2]=10.1.1.13)
declare -A IN6=([v1]=fd00:1::11 [w1]=fd00:2::11 [v2]=fd00:2::12 [g1]=fd00:9::11 [b1]=fd00:1::13 [b2]=fd00:2::13)
declare -A GW4=([v1]=10.1.0.1 [w1]=10.1.1.254 [v2]=10.1.1.254 [g1]=10.2.0.1 [b1]=10.1.0.1 [b2]=10.1.1.254)
declare -A GW6=([v1]=fd00:1::1 [w1]=fd00:2::fe [v2]=fd00:2::fe [g1]=fd00:9::1 [b1]=fd00:1::1 [b2]=fd00:2::fe)

declare -A MAC=([v1]=02:00:00:00:01:01 [w1]=02:00:00:00:01:02 [v2]=02:00:00:00:01:03 [b1]=02:00:00:00:01:04
	[b2]=02:00:00:00:01:05 [g1]=02:00:00:00:02:01)
plug() { # HOST NAME
	vm_plug "$1" "$2" "${IN4[$2]},${IN6[$2]}" "${MAC[$2]}"
	on "$2" ip route add default via "${GW4[$2]}"
	on "$2" ip route add default via "${GW6[$2]}"
}
port() { da "$1" port add "v-$2" --network "$3" --endpoint "$2" >/dev/null || fail "port of $2"; }

is_gateway() { on "$1" ip neigh show "$2" dev eth0 | tee /dev/stderr | grep -qi "$GATEWAY"; }
is_router() { on "$1" ip neigh show "$2" dev eth0 | tee /dev/stderr | grep -qi "$GATEWAY router"; }
ttl() { on "$1" ping -n -c 1 -W 2 "$2" | tee /dev/stderr | grep -q "ttl=$3 "; }
expired() { # FROM TO GATEWAY
	on "$1" ping -n -c 1 -t 1 -W 2 "$2" | tee /dev/stderr | grep -iqE "from $3.*(time to live exceeded|hop limit)"
}
unreachable() { on "$1" ping -n -c 1 -W 2 "$2" | tee /dev/stderr | grep -iqE "from $3.*(host unreachable|address unreachable)"; }
refused() { # at once, not by a timeout (28)
	local status=0
	on "$1" curl -gsS -m 9 "http://$2/" || status=$?
	[ $status = 7 ]
}
hops() { # FROM TO GATEWAY
	on "$1" busybox traceroute -n -w 2 -q 1 -m 3 "$2" >"$W/hops" 2>&1
	cat "$W/hops"
	grep -q "^ *1  $3 " "$W/hops" && grep -q "^ *2  $2 " "$W/hops"
}
path() { on "$1" tracepath -n -m 4 "$2" | tee /dev/stderr | grep -q "Resume: pmtu $3 hops 2"; }
web() { on "$1" curl -gsS -m 5 -o "$W/got" "http://$2/file" && cmp "$W/got" "$W/www/file"; }
tcp() { on "$1" iperf3 -c "$2" -t 1 -J "${@:3}" | jq -e '.end.sum_received.bytes > 10000000'; }

objects() { # POLICIES
	jq -n --argjson policies "$1" '[
	  {kind: "network", name: "blue", subnets: ["10.1.0.0/24", {prefix: "10.1.1.0/24", gateway: "10.1.1.254"}, "10.1.3.0/24",
	   "fd00:1::/64", {prefix: "fd00:2::/64", gateway: "fd00:2::fe"}]},
	  {kind: "network", name: "green", subnets: ["10.2.0.0/24", "fd00:9::/64"]},
	  {kind: "endpoint", network: "blue", name: "v1", mac: "02:00:00:00:01:01", addresses: ["10.1.0.11", "fd00:1::11"]},
	  {kind: "endpoint", network: "blue", name: "w1", mac: "02:00:00:00:01:02", addresses: ["10.1.1.11", "fd00:2::11"]},
	  {kind: "endpoint", network: "blue", name: "v2", mac: "02:00:00:00:01:03", addresses: ["10.1.1.12", "fd00:2::12"]},
	  {kind: "endpoint", network: "blue", name: "b1", mac: "02:00:00:00:01:04", addresses: ["10.1.0.13", "fd00:1::13"]},
	  {kind: "endpoint", network: "blue", name: "b2", mac: "02:00:00:00:01:05", addresses: ["10.1.1.13", "fd00:2::13"]},
	  {kind: "endpoint", network: "blue", name: "off", mac: "02:00:00:00:01:06", addresses: ["10.1.1.14"]},
	  {kind: "endpoint", network: "green", name: "g1", mac: "02:00:00:00:02:01", addresses: ["10.2.0.11", "fd00:9::11"]}
	  ] + $policies' >"$W/objects.json"
	ctl apply -f "$W/objects.json"
}

world 3
service
objects '[]' >/dev/null
bridged h3
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 >/dev/null
plug h1 v1 && plug h1 w1 && plug h2 v2 && plug h2 g1 && plug h3 b1 && plug h3 b2
on h3 ip link set v-b1 master br0
on h3 ip link set v-b2 master br0
port h1 v1 blue && port h1 w1 blue && port h2 v2 blue && port h2 g1 green && port h3 b1 blue && port h3 b2 blue
bridged() { da h3 port list --json | jq -e 'length == 2 and all(.kind == "bridged")'; }
check "R4: h3's VMs are behind a bridge" bridged
mkdir "$W/www"
head -c 2000000 /dev/urandom >"$W/www/file"
bg web v2 busybox httpd -f -p '[::]:80' -h "$W/www"
bg iperf v2 iperf3 -s --forceflush
until_ok 5 grep -q listening "$W/iperf.log"

for from in v1 b1; do
	case $from in
	v1) where="a VM at its own port" near=w1 same=delivered_local host=h1 ;;
	b1) where="a VM behind a bridge" near=b2 same=delivered_local host=h3 ;;
	esac
	say "-- $where"
	check "R3: IPv4: to the other subnet, on another host" ping_all $from "${IN4[v2]}"
	check "R3: IPv6: the same" ping_all $from "${IN6[v2]}"
	check "R3: and from there" ping_all v2 "${IN4[$from]}"
	check "R3: and from there by IPv6" ping_all v2 "${IN6[$from]}"
	before=$(stat $host $same)
	check "R4: IPv4: to the other subnet, on the same host" ping_all $from "${IN4[$near]}"
	check "R4: IPv6: the same" ping_all $from "${IN6[$near]}"
	stayed() { echo "$before -> $(stat "$host" $same)"; [ $(($(stat "$host" $same) - before)) -ge 12 ]; }
	check "R4: which never left the host" stayed
	check "ARP is answered for the gateway" is_gateway $from "${GW4[$from]}"
	check "neighbour discovery is, as a router's" is_router $from "${GW6[$from]}"
	check "the gateway answers ping" ping_all $from "${GW4[$from]}"
	check "and ping6" ping_all $from "${GW6[$from]}"
	check "also at its address in the other subnet" ping_all $from "${GW4[v2]}"
	check "and in the other subnet's IPv6" ping_all $from "${GW6[v2]}"
	check "IPv4: the TTL falls by one" ttl $from "${IN4[v2]}" 63
	check "IPv6: so does the hop limit" ttl $from "${IN6[v2]}" 63
	check "on the same host, too" ttl $from "${IN4[$near]}" 63
	check "IPv4: time exceeded is answered by the gateway" expired $from "${IN4[v2]}" "${GW4[$from]}"
	check "IPv6: so is a hop limit used up" expired $from "${IN6[v2]}" "${GW6[$from]}"
	check "IPv4: traceroute shows the gateway and the VM" hops $from "${IN4[v2]}" "${GW4[$from]}"
	check "IPv6: traceroute" hops $from "${IN6[v2]}" "${GW6[$from]}"
	check "IPv4: tracepath finds the MTU and two hops" path $from "${IN4[v2]}" 1430
	check "IPv6: tracepath" path $from "${IN6[v2]}" 1430
	check "IPv4: an address that nobody has is unreachable" unreachable $from 10.1.1.99 "${GW4[$from]}"
	check "IPv6: an address that nobody has" unreachable $from fd00:2::99 "${GW6[$from]}"
	check "an address outside of all networks" unreachable $from 203.0.113.9 "${GW4[$from]}"
	check "the gateway has no services" refused $from "${GW4[$from]}"
	check "nor by IPv6" refused $from "[${GW6[$from]}]"
	check "R14: IPv4: curl" web $from "${IN4[v2]}"
	check "R14: IPv6: curl" web $from "[${IN6[v2]}]"
	check "R14: IPv4: TCP" tcp $from "${IN4[v2]}"
	check "R14: IPv4: TCP, and back" tcp $from "${IN4[v2]}" -R
	check "R14: IPv6: TCP" tcp $from "${IN6[v2]}"
	check "R14: IPv6: TCP, and back" tcp $from "${IN6[v2]}" -R
done

say "-- what is not routed"
no_place() { local before; before=$(stat h1 no_place); ! ping_ok v1 10.1.1.14 2 && [ "$(stat h1 no_place)" -gt "$before" ]; }
check "a VM that is attached nowhere" no_place
ask_gateway() { on v1 ping -n -c 1 -W 1 -b 10.1.0.255 >/dev/null 2>&1; on v1 ip neigh flush dev eth0; ping_all v1 10.1.0.1; }
check "the gateway is found again after its neighbour entry went" ask_gateway
mine() { # the gateway's MAC is nobody else's
	local before; before=$(stat h1 spoofed_mac)
	on v1 "$T/frame" eth0 5 "020000000103 02d07e000001 0800 4500 001c 0000 4000 4011 0000 0a01000b 0a01010c 1e61 1e61 0008 0000"
	[ $(($(stat h1 spoofed_mac) - before)) = 5 ]
}
check "R6: a VM can't speak with the gateway's MAC" mine
claims() { # RFC 4861, 6.2: a router advertisement
	local before; before=$(stat h1 router_claim)
	on v1 "$T/frame" eth0 3 "333300000001 020000000101 86dd 6000 0000 0010 3aff fe80000000000000000000fffe000101 ff020000000000000000000000000001 8600 0000 40000708 0000000000000000"
	[ $(($(stat h1 router_claim) - before)) = 3 ]
}
check "R6: nor advertise itself as a router" claims
jq -n '[{kind: "endpoint", network: "blue", name: "v1", mac: "02:00:00:00:01:01", addresses: ["10.1.0.11", "fd00:1::11", "10.1.3.11"]},
  {kind: "endpoint", network: "blue", name: "v2", mac: "02:00:00:00:01:03", addresses: ["10.1.1.12", "fd00:2::12", "10.1.3.1"]}]' >"$W/own.json"
own_router() { # an endpoint that has the gateway's address is the gateway
	ctl apply -f "$W/own.json" >/dev/null
	on v1 ip addr add 10.1.3.11/24 dev eth0
	on v2 ip addr add 10.1.3.1/24 dev eth0
	until_ok 3 ping_all v1 10.1.3.1
	on v1 ip neigh show 10.1.3.1 | tee /dev/stderr | grep -q 02:00:00:00:01:03
}
check "an endpoint that has the gateway's address is asked instead" own_router

say "-- two networks"
check "R8: networks that nothing joins do not reach each other" refuses ping_ok v1 10.2.0.11 2
TO_GREEN='{"kind":"policy","network":"blue","name":"to-green","from":{"endpoints":["v1","b1"]},"to":{"network":"green"},"action":"allow"}'
FROM_BLUE='{"kind":"policy","network":"green","name":"from-blue","from":{"network":"blue"},"to":"any","action":"allow"}'
TO_BLUE='{"kind":"policy","network":"green","name":"to-blue","from":"any","to":{"network":"blue"},"action":"allow"}'
FROM_GREEN='{"kind":"policy","network":"blue","name":"from-green","from":{"network":"green"},"to":{"endpoints":["v1"]},"action":"allow"}'
objects "[$TO_GREEN]" >/dev/null
check "R8: a policy of the one alone is not enough" refuses ping_ok v1 10.2.0.11 2
objects "[$TO_GREEN, $FROM_BLUE]" >/dev/null
# h1 does not serve green: nobody tells it that green has a policy more, so it asks again every second.
once() { on "$1" ping -q -n -c 1 -W 0.3 "$2"; }
check "R8, R20: IPv4: policies of both: they reach each other within a second" until_ok 1 once v1 10.2.0.11
check "R8: replies included" ping_all v1 10.2.0.11
questions() { da h2 stats --json | jq .questions; }
unasked() { # h2 would let nothing into blue that is no reply
	local before; before=$(questions)
	on v1 ping -q -n -c 13 -i 0.2 -W 2 10.2.0.11 | grep ' 0% packet loss' || return 1
	echo "$before -> $(questions)"
	[ "$(questions)" = "$before" ]
}
check "R8, R20: ... which no question interrupts" unasked
check "R8: IPv6: the same" until_ok 5 ping_all v1 fd00:9::11
check "R8: from behind the bridge" until_ok 5 ping_all b1 10.2.0.11
objects "[$TO_GREEN, ${FROM_BLUE/\"action\"/\"proto\":\"udp\",\"action\"}]" >/dev/null
check "R20: narrowed to UDP: no ping" until_ok 2 refuses once v1 10.2.0.11
check "R20: ... held for longer than a refusal is" refuses ping_ok v1 10.2.0.11 2
objects "[$TO_GREEN, $FROM_BLUE]" >/dev/null
check "R20: and for all again, in a pair that was partly allowed" until_ok 1 once v1 10.2.0.11
check "the TTL falls by one" ttl v1 10.2.0.11 63
check "traceroute shows the gateway and the VM" hops v1 10.2.0.11 10.1.0.1
check "the other network's gateway answers" ping_all v1 10.2.0.1
check "R8: a VM that the policy does not name stays outside" refuses ping_ok w1 10.2.0.11 2
check "R8: and nothing is begun from there" refuses ping_ok g1 10.1.0.11 2
objects "[$TO_GREEN, $FROM_BLUE, $TO_BLUE, $FROM_GREEN]" >/dev/null
check "R8: until policies of both allow that, too" until_ok 5 ping_all g1 10.1.0.11
check "R8: by IPv6" until_ok 5 ping_all g1 fd00:1::11
check "R8: to that VM alone" refuses ping_ok g1 10.1.0.13 2
apart() {
	ctl delete policy green/from-blue >/dev/null && ctl delete policy green/to-blue >/dev/null
	until_ok 3 refuses ping_ok v1 10.2.0.11 1
}
check "R20: without the one's policies they part again" apart
finish
