#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tunnels inside VMs, and VMs that send on what they got: packets that the
# kernel has marked as encapsulated before they are ours.
#
#   h1 (TC):         v1 (veth), t1 (tap)
#   h2 (TC or XDP):  v2 (veth), t2 (tap), gw (two veths: one in blue, one in green)
#   h3 (a bridge):   br0 = eth0 + b3 (veth);  g3 (green, a port of its own)
. "$(dirname "$0")/lib.sh"

declare -A N=([v1]=1 [t1]=2 [v2]=3 [t2]=4 [b3]=5 [gw]=6)
four() { echo "10.1.0.1${N[$1]}"; }
six() { echo "fd00:1::1${N[$1]}"; }
mac() { echo "02:00:00:00:01:0${N[$1]}"; }
plug() { vm_plug "$1" "$2" "$(four "$2"),$(six "$2")" "$(mac "$2")"; } # HOST NAME: a veth
port() { da "$1" port add "v-$2" --network blue --endpoint "$2" >/dev/null || fail "port of $2"; }
ingress() { da h2 detach eth0 >/dev/null && da h2 attach eth0 --ingress "$1" >/dev/null; }
# More than socket buffers hold; what the receiver had not read at the end iperf3 leaves out.
BYTES=$((20000000 / ${DOVE_TEST_SLOW:-1}))
tcp() { # FROM ADDR [ARGS]
	timeout $((15 * ${DOVE_TEST_SLOW:-1})) ip netns exec "$P-$1" iperf3 -c "$2" -n $BYTES -J "${@:3}" |
		jq -e --argjson n $BYTES '.end | (.sum_received.bits_per_second / 1e6 | round), .sum_sent.bytes >= $n'
}

world 3
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24", "fd00:1::/64"]}, {kind: "network", name: "green", subnets: ["10.2.0.0/24", "fd00:2::/64"]},
  {kind: "endpoint", network: "green", name: "gw", mac: "02:00:00:00:02:06", addresses: ["10.2.0.16", "fd00:2::16"]},
  {kind: "endpoint", network: "green", name: "g3", mac: "02:00:00:00:02:07", addresses: ["10.2.0.17", "fd00:2::17"]}] +
  [["v1", "t1", "v2", "t2", "b3", "gw"] | to_entries[] | {kind: "endpoint", network: "blue", name: .value,
   mac: "02:00:00:00:01:0\(.key + 1)", addresses: ["10.1.0.1\(.key + 1)", "fd00:1::1\(.key + 1)"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
bridged h3
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress tc >/dev/null
da h3 attach eth0 >/dev/null
plug h1 v1 && plug h2 v2 && plug h2 gw && plug h3 b3
tap h1 t1 "$(four t1),$(six t1)" "$(mac t1)"
tap h2 t2 "$(four t2),$(six t2)" "$(mac t2)"
on h3 ip link set v-b3 master br0
for i in "h1 v1" "h1 t1" "h2 v2" "h2 t2" "h2 gw" "h3 b3"; do port $i; done
# VM gw's other leg, and who is behind it
ip link add eth1 netns "$P-gw" address 02:00:00:00:02:06 type veth peer name v-gw2 netns "$P-h2"
on gw ip addr add 10.2.0.16/24 dev eth1
on gw ip addr add fd00:2::16/64 dev eth1 nodad
on gw ip link set eth1 up
on h2 ip link set v-gw2 up
da h2 port add v-gw2 --network green --endpoint gw >/dev/null || fail "port of green/gw"
vm h3 g3 green g3 10.2.0.17,fd00:2::17 02:00:00:00:02:07
mkdir "$W/www"
head -c 500000 /dev/urandom >"$W/www/file"
for ns in v1 v2 t2 g3; do
	bg iperf-$ns $ns iperf3 -s --forceflush
	bg web-$ns $ns busybox httpd -f -p '[::]:80' -h "$W/www"
done
for ns in v1 v2 t2 g3; do until_ok 5 grep -q listening "$W/iperf-$ns.log"; done

say "-- tunnels inside VMs"
vxlan() { # NAME LOCAL REMOTE INNER MTU
	on "$1" ip link del vx0 2>/dev/null
	on "$1" ip link add vx0 mtu "$5" type vxlan id 7 local "$2" remote "$3" dstport 4789 dev eth0 &&
		on "$1" ip addr add "$4/24" dev vx0 && on "$1" ip link set vx0 up
}
same_file() { on "$1" curl -gsS -m $((8 * ${DOVE_TEST_SLOW:-1})) -o "$W/got" "http://$2/file" && cmp "$W/got" "$W/www/file"; } # FROM URL-HOST
inside() { # FROM ADDR [URL-HOST]: ping, data and TCP both ways
	ping_all "$1" "$2" && same_file "$1" "${3:-$2}" && tcp "$1" "$2" && tcp "$1" "$2" -R
}
for mode in tc xdp; do
	ingress $mode
	for pair in "v1 v2" "t1 t2" "v1 t2" "t1 v2" "b3 t2" "v2 t2"; do
		set -- $pair
		[ $mode = tc ] || [ "$pair" = "v1 v2" ] || [ "$pair" = "t1 t2" ] || continue
		vxlan $1 "$(four $1)" "$(four $2)" 192.0.2.1 1380 && vxlan $2 "$(four $2)" "$(four $1)" 192.0.2.2 1380 || fail vxlan
		check "R14: $mode: VXLAN inside $1 and $2: ping, data, TCP both ways" inside $1 192.0.2.2
	done
done
ingress tc
vxlan v1 "$(four v1)" "$(four v2)" 192.0.2.1 1380 && vxlan v2 "$(four v2)" "$(four v1)" 192.0.2.2 1380
cut() { # super-packets of a tunnel, which can't be encapsulated as they are
	local before cut; before=$(stat h1 segmenting)
	tcp v1 192.0.2.2 || return 1
	cut=$(($(stat h1 segmenting) - before))
	echo "$cut super-packets cut"
	[ $cut -gt 20 ] && [ "$(stat h1 encap_failed)" = 0 ]
}
check "R14: super-packets of a tunnel are cut on the way, by the agent's device" cut
whole() { # UDP in super-packets, inside the tunnel
	local pid
	on v2 "$T/numbers" receive 4000 1 >"$W/ear.log" &
	pid=$!
	until_ok 5 grep -q listening "$W/ear.log"
	on v1 "$T/numbers" send 192.0.2.2 4000 400 1 1200 5000 40
	wait $pid
	tail -n 1 "$W/ear.log"
	grep -qx 'received 400, doubled 0, overtaken 0, streams 1' "$W/ear.log"
}
check "R14: numbered datagrams, 40 in a super-packet, all come in order" whole
exchange() { same_file v1 192.0.2.2 && same_file v2 192.0.2.1 && same_file b3 192.0.2.2; }
vxlan b3 "$(four b3)" "$(four t2)" 192.0.2.1 1380 && vxlan t2 "$(four t2)" "$(four b3)" 192.0.2.2 1380
check "R14: all checksums are right on the wire, where NICs do none" right_on_the_wire exchange
vxlan v1 "$(six v1)" "$(six v2)" 192.0.2.1 1360 && vxlan v2 "$(six v2)" "$(six v1)" 192.0.2.2 1360
check "R14: VXLAN over IPv6 inside v1 and v2" inside v1 192.0.2.2
vxlan v1 "$(four v1)" "$(four v2)" 192.0.2.1 1450 && vxlan v2 "$(four v2)" "$(four v1)" 192.0.2.2 1450
on v1 ip route flush cache
check "R14: VXLAN as it comes, too large for the overlay by 70 bytes" inside v1 192.0.2.2
if on v1 ip link add gen0 type geneve id 7 remote "$(four v2)" 2>/dev/null; then
	on v1 ip link set gen0 mtu 1370 up && on v1 ip addr add 192.0.2.129/28 dev gen0
	on v2 ip link add gen0 mtu 1370 type geneve id 7 remote "$(four v1)" && on v2 ip addr add 192.0.2.130/28 dev gen0 && on v2 ip link set gen0 up
	check "R14: Geneve inside v1 and v2" inside v1 192.0.2.130
else
	skip "R14: Geneve inside VMs: this kernel has none"
fi

say "-- a VM that forwards: decapsulated, forwarded and encapsulated on one host"
on gw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for family in ip:10.2.0.17 ip6:fd00:2::17; do
	on gw nft -f - <<-NFT || fail "nft"
	table ${family%%:*} nat {
		chain pre {
			type nat hook prerouting priority -100
			iifname "eth0" meta l4proto { tcp, icmp, icmpv6 } ${family%%:*} daddr { $([ ${family%%:*} = ip ] && four gw || six gw) } dnat to ${family#*:}
		}
		chain post {
			type nat hook postrouting priority 100
			oifname "eth1" masquerade
		}
	}
	NFT
done
for mode in tc xdp; do
	ingress $mode
	for from in v1 t1; do
		check "R14: $mode: IPv4: ping, data, TCP both ways through it, from $from" inside $from "$(four gw)"
		check "R14: $mode: IPv6: the same, from $from" inside $from "$(six gw)" "[$(six gw)]"
	done
done
ingress tc
through() { same_file v1 "$(four gw)" && same_file t1 "[$(six gw)]" && tcp v1 "$(four gw)"; }
forwarded() { # by the VM: its network's answers alone would not show it
	on gw nft list table ip nat >/dev/null && [ "$(on gw awk '/^Ip:/ && $4 ~ /[0-9]/ { print $7 }' /proc/net/snmp)" -gt 100 ]
}
check "R14: it was the VM that forwarded" forwarded
check "R14: all checksums are right on the wire, where NICs do none" right_on_the_wire through
nothing_failed() {
	local h
	for h in h1 h2 h3; do
		echo "$h: $(stat $h segmenting) cut, $(stat $h encap_failed) and $(stat $h decap_failed) failed"
		[ "$(stat $h encap_failed)" = 0 ] && [ "$(stat $h decap_failed)" = 0 ] || return 1
	done
	# What came to h2 as super-packets, and left it again in the same headers.
	[ "$(stat h2 segmenting)" -gt 100 ]
}
check "R14: nothing failed at taking headers off or putting them on" nothing_failed
finish
