#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packets of all sizes: too large ones are answered, none is lost while the way
# is asked for, none becomes a fragment outside.
#
#   v1 -- h1 (TC) ---- IPv4 ---- r ---- IPv4 and IPv6 ---- h2 (XDP) -- v2 (and 1,500 more addresses)
#   v3 -- h3 (TC) ---- IPv6 -----+
#
#   VMs have an MTU of 1500, the overlay has room for 1430 over IPv4, 1410 over IPv6.
#   Answers hold for 2 s; h1's cache has room for 1,024. Later: all links with 9000.
. "$(dirname "$0")/lib.sh"

MANY=1500
declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [v3]=10.1.0.13) IN6=([v1]=fd00:1::11 [v2]=fd00:1::12 [v3]=fd00:1::13)
many() { seq 0 $((MANY - 1)) | awk '{ printf "10.2.%d.%d\n", 16 + int($1 / 256), $1 % 256 }'; }
policy() { # NAME JSON
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
setup() {
	jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24", "10.2.0.0/16", "fd00:1::/64"]}] +
	  [(1, 3) as $i | {kind: "endpoint", network: "blue", name: "vm\($i)", mac: "02:00:00:00:01:0\($i)",
	   addresses: ["10.1.0.1\($i)", "fd00:1::1\($i)"]}] +
	  [{kind: "endpoint", network: "blue", name: "vm2", mac: "02:00:00:00:01:02", addresses: (["10.1.0.12", "fd00:1::12"] + [inputs])}]' \
		< <(many | jq -R .) >"$W/objects.json"
	ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
	echo '{"cache_entries": 1024}' >"$W/h1.json"
	for h in h1 h2 h3; do agent $h; done
	da h1 attach eth0 --ingress tc >/dev/null
	da h2 attach eth0 --ingress xdp >/dev/null
	da h3 attach eth0 --ingress tc >/dev/null
}
plug() { # HOST NAME MTU
	vm_plug "$1" "$2" "${IN4[$2]},${IN6[$2]}" "02:00:00:00:01:0${2#v}" "$3"
	port "$1" "$2"
}
port() { # HOST NAME
	on "$2" ip route add default via 10.1.0.1
	da "$1" port add "v-$2" --network blue --endpoint "vm${2#v}" >/dev/null || fail "port of $2"
}
replug() { # HOST NAME MTU: the same VM, by another interface
	on "$1" ip link del "v-$2"
	until_ok 5 no_port "$1"
	ip link add eth0 netns "$P-$2" address "02:00:00:00:01:0${2#v}" mtu "$3" type veth peer name "v-$2" netns "$P-$1" mtu "$3"
	vm_addrs "$2" "${IN4[$2]},${IN6[$2]}"
	on "$2" ip link set eth0 up
	on "$1" ip link set "v-$2" up
	port "$1" "$2"
}
no_port() { da "$1" port list --json | jq -e 'length == 0'; }
# told FROM TO SIZE MTU: a ping of that size is answered with that MTU, at once.
told() {
	on "$1" ip route flush cache
	on "$1" ip -6 route flush cache
	on "$1" ping -n -M do -s "$3" -c 1 -W 1 "$2" 2>&1 | tee /dev/stderr | grep -qE "mtu ?= ?$4"
}
fits() { on "$1" ping -q -n -M do -s "$3" -c 1 -W 2 "$2"; }
pieces() { # FROM TO SIZE: what it takes to learn the MTU, and then they arrive
	on "$1" ping -q -n -s "$3" -c 5 -i 0.1 -W 2 "$2" | tee /dev/stderr | grep -qE ' [3-5] received'
}
tcp() { # FROM ADDR [ARGS]
	on "$1" iperf3 -c "$2" -t 1 -J "${@:3}" | jq -e '.end.sum_received.bytes > 10000000'
}
ear() { # SECONDS: count what comes to v2 until it is quiet so long
	rm -f "$W/ear.log"
	bg ear v2 "$T/numbers" receive 4000 "$1"
	until_ok 5 grep -q listening "$W/ear.log"
}
# whole N STREAMS: all came, once, in order.
whole() {
	wait "${PID[ear]}"
	unset "PID[ear]"
	tail -n 1 "$W/ear.log"
	grep -qx "received $1, doubled 0, overtaken 0, streams $2" "$W/ear.log"
}

world 3 4 46 6
service --lifetime 2
setup
plug h1 v1 1500 && plug h2 v2 1500 && plug h3 v3 1500
many | sed 's/.*/addr add &\/16 dev eth0/' | on v2 ip -batch -
for h in h1 h2 h3; do
	bg outer-$h r tcpdump -i $h -n -w "$W/outer-$h.pcap" '(ip and ip[6:2] & 0x3fff != 0 and udp) or ip6[6] == 44'
done
bg iperf v2 iperf3 -s --forceflush
until_ok 5 grep -q listening "$W/iperf.log"

say "-- too large"
for from in v1 v3; do
	case $from in v1) over=IPv4 mtu=1430 ;; v3) over=IPv6 mtu=1410 ;; esac
	check "R14: IPv4 in $over: what just fits" fits $from 10.1.0.12 $((mtu - 28))
	check "R14: IPv4 in $over: one byte more: fragmentation needed, with the MTU" told $from 10.1.0.12 $((mtu - 27)) $mtu
	check "R14: IPv6 in $over: what just fits" fits $from fd00:1::12 $((mtu - 48))
	check "R14: IPv6 in $over: one byte more: packet too big, with the MTU" told $from fd00:1::12 $((mtu - 47)) $mtu
	check "R14: IPv4 in $over: fragments" pieces $from 10.1.0.12 5000
	check "R14: IPv6 in $over: fragments" pieces $from fd00:1::12 5000
	check "R14: IPv4 in $over: fragments from there" pieces v2 "${IN4[$from]}" 5000
	check "R14: IPv6 in $over: fragments from there" pieces v2 "${IN6[$from]}" 5000
	check "R14: IPv4 in $over: TCP adapts" tcp $from 10.1.0.12
	check "R14: IPv6 in $over: TCP adapts" tcp $from fd00:1::12
	check "R14: IPv4 in $over: TCP from there" tcp $from 10.1.0.12 -R
	check "R14: IPv6 in $over: TCP from there" tcp $from fd00:1::12 -R
done
options() { # RFC 1812, 4.3.2.3: the quoted header has its options
	on v1 ip route flush cache
	on v1 ping -n -M do -s 1380 -c 1 -W 1 -T tsonly 10.1.0.12 2>&1 | tee /dev/stderr | grep -qE "mtu ?= ?1430"
}
check "R14: with IP options, too" options

say "-- fragments and policy"
policy no-dns '{"from": {"endpoints": ["vm1"]}, "to": {"endpoints": ["vm2"]}, "proto": "udp", "to_port": 4000, "action": "deny"}'
sleep 0.5
in_packets() { on v2 awk '/^Ip:/ && $4 ~ /[0-9]/ { print $4 }' /proc/net/snmp; }
nothing() {
	local before; before=$(in_packets)
	on v1 "$T/numbers" send 10.1.0.12 4000 20 1 4000
	sleep 0.2
	echo "IP packets received: $before -> $(in_packets)"
	[ "$(in_packets)" = "$before" ]
}
check "R9: fragments of what is denied: none arrives" nothing
others() {
	local before; before=$(in_packets)
	on v1 "$T/numbers" send 10.1.0.12 4001 20 1 4000
	sleep 0.2
	echo "IP packets received: $before -> $(in_packets)"
	[ $(($(in_packets) - before)) -ge 54 ]
}
check "R9: to another port they do" others
orphan() { # a later fragment whose first was never seen can't be decided where ports decide
	local before; before=$(stat h1 fragment)
	on v1 "$T/frame" eth0 10 "020000000102 020000000101 0800 4500 0024 7777 0010 4011 0000 0a01000b 0a01000c 00112233445566778899aabbccddeeff"
	echo "$before -> $(stat h1 fragment)"
	[ $(($(stat h1 fragment) - before)) = 10 ]
}
check "R9: a fragment without its first is dropped, and counted" orphan
ctl delete policy blue/no-dns >/dev/null
sleep 0.5

say "-- nothing lost, nothing overtaken"
stream() { # FROM ADDR COUNT STREAMS SIZE INTERVAL-US [SEGMENTS]
	da "h${1#v}" flush >/dev/null
	ear 2
	on "$1" "$T/numbers" send "$2" 4000 "$3" "$4" "$5" "$6" ${7:-}
	whole $(($3 * $4)) "$4"
}
for from in v1 v3; do
	check "R11: first packets: 100 to one, as fast as they come, $from" stream $from 10.1.0.12 100 1 64 0
	check "R11: the same by IPv6" stream $from fd00:1::12 100 1 64 0
	check "R11: a super-packet first: 46 of 1,350 bytes in one" stream $from 10.1.0.12 460 1 1350 20000 46
	check "R11: a super-packet first, by IPv6" stream $from fd00:1::12 460 1 1330 20000 46
done
flushed() { # forgotten again and again in mid-stream
	ear 2
	on v1 "$T/numbers" send 10.1.0.12 4000 8000 1 200 500 &
	local pid=$! i
	for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; da h1 flush >/dev/null; done
	wait $pid
	whole 8000 1
}
check "R11: a stream whose translation is forgotten ten times" flushed
expiry() {
	local before; before=$(da h1 stats --json | jq .agent.refreshed)
	ear 3
	on v1 "$T/numbers" send 10.1.0.12 4000 6000 1 200 1000
	echo "renewed: $before -> $(da h1 stats --json | jq .agent.refreshed)"
	whole 6000 1
}
check "R12: a stream of 6 s, answers hold for 2" expiry
slow() { # one packet in 2.2 s: whatever is remembered of its way is old
	ear 4
	on v1 "$T/numbers" send 10.1.0.12 4000 3 1 200 2200000
	whole 3 1
}
check "R12: a stream slower than answers hold" slow
evicted() {
	local before after
	before=$(stat h1 misses)
	stream v1 10.2.16.0 5 $MANY 64 300 || return 1
	after=$(stat h1 misses)
	echo "$((after - before)) misses for $((5 * MANY)) packets to $MANY addresses"
	[ $((after - before)) -gt $((MANY + 500)) ]
}
check "R11: five rounds to 1,500 addresses, more than the cache has room for" evicted
sleep 0.3
for h in h1 h2 h3; do stop outer-$h INT; done
no_fragments() {
	local h out
	for h in h1 h2 h3; do
		out=$(tcpdump -n -r "$W/outer-$h.pcap" 2>/dev/null) || return 1
		[ -z "$out" ] || { echo "$out" | head -n 3; return 1; }
	done
}
check "R14: and not one fragment was seen on the underlay" no_fragments

say "-- jumbo frames"
for h in h1 h2 h3; do
	on r ip link set $h mtu 9000
	on $h ip link set eth0 mtu 9000
done
for i in 1 2 3; do replug h$i v$i 9000; done
sleep 0.5
for from in v1 v3; do
	case $from in v1) over=IPv4 mtu=8930 ;; v3) over=IPv6 mtu=8910 ;; esac
	da "h${from#v}" flush >/dev/null
	check "R11: IPv4 in $over: a first packet of 9 kB" fits $from 10.1.0.12 $((mtu - 28))
	da "h${from#v}" flush >/dev/null
	check "R11: IPv6 in $over: a first packet of 9 kB" fits $from fd00:1::12 $((mtu - 48))
	check "R14: IPv4 in $over: one byte more" told $from 10.1.0.12 $((mtu - 27)) $mtu
	check "R14: IPv6 in $over: one byte more" told $from fd00:1::12 $((mtu - 47)) $mtu
	check "R14: IPv4 in $over: TCP" tcp $from 10.1.0.12
	check "R14: IPv6 in $over: TCP from there" tcp $from fd00:1::12 -R
done
finish
