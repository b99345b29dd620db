#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a VM sends to many: who gets it, who does not, and what it may cost.
#
#   h1 (TC, IPv4 and IPv6): v1, w1 at ports of their own
#   h2 (XDP, IPv4):         v2, d2, and r2 of another network
#   h3 (IPv6):              br0 = eth0 + v3
#
#   vN: 10.1.0.1N and fd00:1::1N. So a copy of v1's goes by IPv4 and one by IPv6.
. "$(dirname "$0")/lib.sh"

declare -A MAC=([v1]=02:00:00:00:01:01 [v2]=02:00:00:00:01:02 [v3]=02:00:00:00:01:03 [w1]=02:00:00:00:01:04
	[d2]=02:00:00:00:01:05 [n3]=02:00:00:00:01:06 [r2]=02:00:00:00:01:01)
declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [v3]=10.1.0.13 [w1]=10.1.0.14 [d2]=10.1.0.15 [n3]=10.1.0.16 [r2]=10.1.0.11)
declare -A IN6=([v1]=fd00:1::11 [v2]=fd00:1::12 [v3]=fd00:1::13 [w1]=fd00:1::14 [d2]=fd00:1::15 [n3]=fd00:1::16 [r2]=fd00:1::11)
ALL="w1 v2 v3 d2"

plug() { vm_plug "$1" "$2" "${IN4[$2]},${IN6[$2]}" "${MAC[$2]}"; } # HOST NAME
port() { da "$1" port add "v-$2" --network "$3" --endpoint "${4:-$2}" >/dev/null || fail "port of $2"; }
blue_is() { # JSON: more of the network, applied
	jq -n --argjson more "$1" '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24", "fd00:1::/64"]} + $more]' >"$W/blue.json"
	ctl apply -f "$W/blue.json" >/dev/null
}
policy() { # NAME JSON
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
listener() { bg "ear-$1-$2" "$1" "$T/mcast" eth0 "$3" "$4" listen; } # NAME KIND GROUP PORT
# hears NAME KIND TEXT COUNT: the numbered messages came, each once, in order.
hears() {
	local want; want=$(seq 1 "$4" | sed "s/^/$3 /")
	until_ok 3 sh -c "[ \"\$(grep -c ' $3 ' '$W/ear-$1-$2.log')\" -ge $4 ]"
	[ "$(sed -n "s/.*\($3 [0-9]*\)$/\1/p" "$W/ear-$1-$2.log")" = "$want" ] && return
	echo "$1: $(grep -c " $3 " "$W/ear-$1-$2.log") of $4"
	cat "$W/ear-$1-$2.log" | tail -n 8
	return 1
}
# sent KIND GROUP PORT TEXT COUNT WHO [SIZE]: v1 sends; those of WHO hear it, of the rest nobody.
sent() {
	local ns
	on "${FROM:-v1}" "$T/mcast" eth0 "$2" "$3" send "$4" "$5" ${7:-} || return 1
	for ns in $6; do hears "$ns" "$1" "$4" "$5" || return 1; done
	for ns in $ALL v1 r2; do
		[ "$ns" = "${FROM:-v1}" ] || [[ " $6 " == *" $ns "* ]] || ! grep "$4" "$W/ear-$ns-$1.log" || return 1
	done
}
# answers FROM ADDR SOURCE...: each ping to many is answered by these, once, and by no others.
answers() {
	local from=$1 to=$2 one
	shift 2
	on "$from" ping -n -b -I eth0 -i 0.4 -w 1 "$to" >"$W/answers" 2>&1
	cat "$W/answers"
	for one in "$@"; do
		[ "$(grep -ciE "from $one(%eth0)?: icmp_seq=[12] " "$W/answers")" = 2 ] || { echo "missing: $one"; return 1; }
	done
	[ "$(grep -cE 'icmp_seq=[12] ' "$W/answers")" = $((2 * $#)) ]
}
local_of() { # NAME: its link-local address
	on "$1" ip -j -6 addr show dev eth0 scope link | jq -r '.[].addr_info[]?.local'
}

world 3 46 4 6
service
jq -n '[{kind: "network", name: ("blue", "red"), subnets: ["10.1.0.0/24", "fd00:1::/64"]},
  {kind: "endpoint", network: "red", name: "r2", mac: "02:00:00:00:01:01", addresses: ["10.1.0.11", "fd00:1::11"]}] +
  [[["v1", 1], ["v2", 2], ["v3", 3], ["w1", 4], ["d2", 5], ["n3", 6]][] | {kind: "endpoint", network: "blue", name: .[0],
   mac: "02:00:00:00:01:0\(.[1])", addresses: ["10.1.0.1\(.[1])", "fd00:1::1\(.[1])"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null
bridged h3
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 >/dev/null
plug h1 v1 && plug h1 w1 && plug h2 v2 && plug h2 d2 && plug h2 r2 && plug h3 v3
on h3 ip link set v-v3 master br0
port h1 v1 blue && port h1 w1 blue && port h2 v2 blue && port h2 d2 blue && port h2 r2 red && port h3 v3 blue
for ns in v1 $ALL r2; do
	on $ns sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0
	listener $ns four 224.0.0.251 5353
	listener $ns six ff02::fb 5353
	listener $ns all 255.255.255.255 7000
done
sleep 0.3

say "-- who gets it"
check "R14: IPv4 multicast, as mDNS sends it: the first ones too, each once, in order" sent four 224.0.0.251 5353 mdns 10 "$ALL"
check "R14: IPv6 multicast" sent six ff02::fb 5353 mdns6 10 "$ALL"
check "R14: broadcast" sent all 255.255.255.255 7000 broad 10 "$ALL"
check "R14: of the largest size" sent four 224.0.0.251 5353 large 5 "$ALL" 1382
before=$(stat h1 too_big)
check "R14: what is too large for the underlay reaches the same host alone" sent four 224.0.0.251 5353 huge 5 "w1" 1440
counted() { echo "$before -> $(stat h1 too_big)"; [ $(($(stat h1 too_big) - before)) = 5 ]; }
check "R14: which is counted: by IPv4 nobody is told" counted
on v1 "$T/mcast" eth0 ff02::fb 5353 send tell 1 1440
check "R14: by IPv6 the sender is, and goes on in fragments" sent six ff02::fb 5353 huge6 5 "$ALL" 1440
on v1 ip link set eth0 mtu 1410
check "R14: in fragments" sent four 224.0.0.251 5353 pieces 5 "$ALL" 4000
check "R14: in fragments of IPv6" sent six ff02::fb 5353 pieces6 5 "$ALL" 4000
# h3 has IPv6 and h2 IPv4: those two have no way to each other.
FROM=v3 check "R14: from behind the bridge" sent four 224.0.0.251 5353 bridge 10 "v1 w1"
FROM=v3 check "R14: from behind the bridge by IPv6" sent six ff02::fb 5353 bridge6 10 "v1 w1"
FROM=v2 check "R14: from a host with IPv4 alone: to those that it has a way to" sent four 224.0.0.251 5353 v4host 10 "v1 w1 d2"
FROM=r2 check "R2: the other network's stays there" sent four 224.0.0.251 5353 red 5 ""
check "R14: all of the network answer a ping to its broadcast address" answers v1 10.1.0.255 10.1.0.11 10.1.0.12 10.1.0.13 10.1.0.14 10.1.0.15
check "R14: to 224.0.0.1" answers v1 224.0.0.1 10.1.0.11 10.1.0.12 10.1.0.13 10.1.0.14 10.1.0.15
on v1 ping -q -c 1 -W 1 ff02::1%eth0 >/dev/null 2>&1
check "R14: all answer a ping to ff02::1" answers v1 ff02::1%eth0 "$(local_of v1)" "$(local_of w1)" "$(local_of v2)" "$(local_of v3)" "$(local_of d2)"

say "-- policy"
policy no-d2 '{"from": {"endpoints": ["v1"]}, "to": {"endpoints": ["d2"]}, "action": "deny"}'
check "R8: who may not be reached gets none" until_ok 3 sent four 224.0.0.251 5353 denied-$RANDOM 5 "w1 v2 v3"
FROM=w1 check "R8: from others it does" sent four 224.0.0.251 5353 others 5 "v1 v2 v3 d2"
policy no-d2 '{"from": {"endpoints": ["v1"]}, "to": {"endpoints": ["d2"]}, "proto": "udp", "to_port": 5353, "action": "deny"}'
sleep 0.5
check "R9: by port: what the policy names stays away" sent four 224.0.0.251 5353 port 5 "w1 v2 v3"
check "R9: the rest comes" sent all 255.255.255.255 7000 otherport 5 "$ALL"
frames() { on d2 cat /proc/net/snmp | awk '/^Ip:/ && $4 ~ /[0-9]/ { print $4 }'; }
no_pieces() { # nor any piece of it
	local before; before=$(frames)
	sent four 224.0.0.251 5353 denpieces 5 "w1 v2 v3" 4000 || return 1
	echo "IP packets received: $before -> $(frames)"
	[ "$(frames)" = "$before" ]
}
check "R9: nor a later fragment of it" no_pieces
ctl delete policy blue/no-d2 >/dev/null
sleep 0.5
check "R20: the policy gone, all comes" sent four 224.0.0.251 5353 again 5 "$ALL"
plug h3 n3
on h3 ip link set v-n3 master br0
listener n3 four 224.0.0.251 5353
port h3 n3 blue
sleep 0.5
check "R14: a VM that comes gets it from then on" sent four 224.0.0.251 5353 newcomer 5 "$ALL n3"
da h3 port del v-n3 >/dev/null
sleep 0.5
check "R14: one that goes does not" sent four 224.0.0.251 5353 goner 5 "$ALL"

say "-- DHCP"
printf '#!/bin/sh\n[ "$1" = bound ] && echo "$ip $serverid $router" >%s/lease\nexit 0\n' "$W" >"$W/lease.sh"
chmod +x "$W/lease.sh"
bg dhcp v2 dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --user=root --pid-file= --log-facility=- \
	--dhcp-leasefile="$W/leases" --dhcp-authoritative --no-ping --dhcp-range=10.1.0.0,static --dhcp-option=3,10.1.0.1 \
	--dhcp-host=02:00:00:00:01:01,10.1.0.11 --dhcp-host=02:00:00:00:01:04,10.1.0.14 --dhcp-host=02:00:00:00:01:03,10.1.0.13
until_ok 5 grep -q 'DHCP, static leases only' "$W/dhcp.log"
lease() { # NAME [ARGS]: it has no address, asks for one, gets its own, and keeps it
	rm -f "$W/lease"
	on "$1" ip -4 addr flush dev eth0
	on "$1" busybox udhcpc -i eth0 -n -q -t 5 -T 1 -s "$W/lease.sh" "${@:2}" || { tail -n 5 "$W/dhcp.log"; return 1; }
	cat "$W/lease"
	[ "$(cat "$W/lease")" = "${IN4[$1]} 10.1.0.12 10.1.0.1" ] && on "$1" ip addr add "${IN4[$1]}/24" dev eth0
}
for ns in w1 v1; do
	check "R14: DHCP from a server on another host: $ns gets its address" lease $ns
	check "R14: and by a client that wants broadcasts back" lease $ns -B
done
check "R14: and it works" ping_all v1 10.1.0.12
mine() { # the lease is another's address: it can't be used
	on v1 ip -4 addr flush dev eth0
	on v1 ip addr add 10.1.0.14/24 dev eth0
	refuses ping_ok v1 10.1.0.12 1 && on v1 ip -4 addr flush dev eth0 && on v1 ip addr add 10.1.0.11/24 dev eth0
}
check "R6: whatever address a VM takes, it speaks with its own alone" mine

say "-- off, and bounded"
blue_is '{"broadcast": false}'
sleep 0.5
before=$(stat h1 multicast)
check "R8: a network that turns it off carries none" sent four 224.0.0.251 5353 off 5 ""
off_counted() { echo "$before -> $(stat h1 multicast)"; [ $(($(stat h1 multicast) - before)) -ge 5 ]; }
check "R8: which is counted" off_counted
check "R8: ARP and neighbour discovery go on" sh -c "ip -n $P-v1 neigh flush dev eth0; ip netns exec $P-v1 ping -q -c 2 -i 0.1 -W 1 10.1.0.12 && ip netns exec $P-v1 ping -q -c 2 -i 0.1 -W 1 fd00:1::12"
blue_is '{"broadcast": true}'
sleep 0.5
check "R8: on again" sent four 224.0.0.251 5353 on 5 "$ALL"
stop agent-h1
echo '{"copy_rate": 300}' >"$W/h1.json"
agent h1
sleep 1
on v1 "$T/mcast" eth0 224.0.0.251 5353 send warm 1 >/dev/null
sleep 0.3
copies() { on h1 cat /sys/class/net/eth0/statistics/tx_packets; }
bounded() {
	local before after limited
	before=$(copies)
	SECONDS=0
	on v1 "$T/frame" eth0 200000 "01005e0000fb 020000000101 0800 4500 0020 0000 4000 0111 0000 0a01000b e00000fb 14e9 14e9 000c 0000 66666666"
	after=$(copies)
	limited=$(stat h1 group_limited)
	echo "200000 sent in ${SECONDS} s: $((after - before)) copies on the underlay, $limited held back"
	# Two copies of the four are for other hosts; half a minute's worth is far from 400,000.
	[ "$limited" -gt 100000 ] && [ $((after - before)) -lt 20000 ]
}
check "R4: a flood makes no more copies than its port may" bounded
check "R4: others' traffic goes on" ping_all w1 10.1.0.12
FROM=w1 check "R4: and what others send to many" sent four 224.0.0.251 5353 meanwhile 5 "v1 v2 v3 d2"
finish
