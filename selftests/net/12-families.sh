#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Both address families inside, over both outside, by both ways in, with real tools.
#
#   v1 -- h1 ---- IPv4 ---- r ---- IPv4 and IPv6 ---- h2 -- v2 (web, DNS)
#        (TC)               |                       (XDP)
#   v3 -- h3 ---- IPv6 -----+
#        (TC)
#
#   vN: 10.1.0.1N and fd00:1::1N. What goes to h2 is taken in by XDP, what comes back by TC.
. "$(dirname "$0")/lib.sh"

declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [v3]=10.1.0.13) IN6=([v1]=fd00:1::11 [v2]=fd00:1::12 [v3]=fd00:1::13)
declare -A MTU4=([v1]=1430 [v3]=1410) OVER=([v1]=IPv4 [v3]=IPv6)

# ready NAME PATTERN: the background command's output has it.
ready() { until_ok 5 grep -q "$2" "$W/$1.log"; }
tcp() { # FROM ADDR [ARGS]
	on "$1" iperf3 -c "$2" -t 1 -J "${@:3}" >"$W/iperf.json" || { jq .error "$W/iperf.json"; return 1; }
	jq -e '.end.sum_received.bytes > 10000000' "$W/iperf.json"
}
udp() { # FROM ADDR [ARGS]
	on "$1" iperf3 -c "$2" -t 1 -u -b 10M -l 1200 -J "${@:3}" >"$W/iperf.json" || { jq .error "$W/iperf.json"; return 1; }
	jq -c '.end.sum' "$W/iperf.json"
	jq -e '.end.sum | .packets > 100 and .lost_percent < 10' "$W/iperf.json"
}
web() { # FROM URL-HOST: a file of 2 MB comes as it is
	on "$1" curl -gsS -m 5 -o "$W/got" "http://$2/file" && cmp "$W/got" "$W/www/file"
}
asks() { # FROM ADDR [ARGS]
	on "$1" dig +time=2 +tries=1 +short "@$2" host.example.test "${@:3}" | tee /dev/stderr | grep -qx 192.0.2.77
}
# The MTU that tracepath finds is that of the overlay, and the destination is the first hop.
path() { # FROM ADDR MTU
	on "$1" tracepath -n -m 4 "$2" | tee /dev/stderr | grep -q "pmtu $3" && on "$1" tracepath -n -m 4 "$2" | grep -q "Resume: pmtu $3 hops 1"
}
neigh() { on "$1" ip neigh show "$2" dev eth0 | tee /dev/stderr | grep -qi "$3"; }

world 3 4 46 6
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24", "fd00:1::/64"]}] + [(1, 2, 3, 4) as $i |
  {kind: "endpoint", network: "blue", name: "vm\($i)", mac: "02:00:00:00:01:0\($i)",
   addresses: ["10.1.0.1\($i)", "fd00:1::1\($i)"]}]' >"$W/objects.json"
check "R27: a network of both families" ctl apply -f "$W/objects.json"
for h in h1 h2 h3; do agent $h; done
check "attach on IPv4, ingress by TC" da h1 attach eth0 --ingress tc
check "attach on both families, ingress by XDP" da h2 attach eth0 --ingress xdp
check "attach on IPv6, ingress by TC" da h3 attach eth0 --ingress tc
for i in 1 2 3; do vm h$i v$i blue vm$i 10.1.0.1$i,fd00:1::1$i 02:00:00:00:01:0$i; done
registered() { da "$1" status --json | jq -c '.nics[0].addresses' | tee /dev/stderr | grep -qFx "$2"; }
check "R12: h2 is registered under both its addresses" registered h2 '["198.51.100.5","2001:db8:2::1"]'
check "R12: h3 under the one that it has" registered h3 '["2001:db8:3::1"]'

mkdir "$W/www"
head -c 2000000 /dev/urandom >"$W/www/file"
bg web v2 busybox httpd -f -p '[::]:80' -h "$W/www"
bg dns v2 dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= \
	--log-facility=- --address=/host.example.test/192.0.2.77
bg iperf v2 iperf3 -s --forceflush
ready iperf listening
until_ok 5 on v2 curl -s -o /dev/null http://10.1.0.12/
ready dns started

for from in v1 v3; do
	over=${OVER[$from]} i=${from#v}
	say "-- over $over"
	check "R3, R14: IPv4 in $over: ping, taken in by XDP and back by TC" ping_all $from "${IN4[v2]}"
	check "R3, R14: IPv6 in $over: ping6" ping_all $from "${IN6[v2]}"
	check "R3: IPv4 in $over: and the other way" ping_all v2 "${IN4[$from]}"
	check "R3: IPv6 in $over: and the other way" ping_all v2 "${IN6[$from]}"
	for family in 4 6; do
		case $family in
		4) to=${IN4[v2]} url=${IN4[v2]} mtu=${MTU4[$from]} ;;
		6) to=${IN6[v2]} url="[${IN6[v2]}]" mtu=${MTU4[$from]} ;;
		esac
		check "R14: IPv$family in $over: curl" web $from "$url"
		check "R14: IPv$family in $over: TCP, taken in by XDP" tcp $from "$to"
		check "R14: IPv$family in $over: TCP, taken in by TC" tcp $from "$to" -R
		check "R14: IPv$family in $over: UDP, by XDP" udp $from "$to"
		check "R14: IPv$family in $over: UDP, by TC" udp $from "$to" -R
		check "R14: IPv$family in $over: dig" asks $from "$to"
		check "R14: IPv$family in $over: dig by TCP" asks $from "$to" +tcp
		check "R14: IPv$family in $over: tracepath finds the MTU, and one hop" path $from "$to" "$mtu"
	done
done

say "-- who has an address"
check "ARP is answered for a VM elsewhere" neigh v1 10.1.0.12 02:00:00:00:01:02
check "neighbour discovery is" neigh v1 fd00:1::12 02:00:00:00:01:02
link_local() { ping_all v1 fe80::ff:fe00:102%eth0; }
check "R14: a VM's link-local address is known, though nobody wrote it down" link_local
check "neighbour discovery is answered for it" neigh v1 fe80::ff:fe00:102 02:00:00:00:01:02
nobody() { local before; before=$(stat h1 no_endpoint); ! ping_ok v1 fd00:1::99 1 && [ "$(stat h1 no_endpoint)" -gt "$before" ]; }
check "neighbour discovery is not answered for an address that nobody has, which is counted" nobody
duplicate() { # RFC 4862: who looks whether an address is free is told that it is not
	on v1 sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=2
	on v1 ip addr add "$1/64" dev eth0
	until_ok 5 sh -c "! ip -n $P-v1 addr show dev eth0 | grep '$1' | grep tentative | grep -vq dadfailed"
	on v1 ip addr show dev eth0 | grep "$1" | tee /dev/stderr | grep -q "$2"
}
check "an address that is another VM's is found out as a duplicate" duplicate fd00:1::12 dadfailed
on v1 ip addr del fd00:1::12/64 dev eth0 2>/dev/null
own() { duplicate fe80::77 'scope link *$' && on v1 ip addr del fe80::77/64 dev eth0; }
check "one that nobody has is not" own
no_common() { # v1's host has IPv4 only, v3's IPv6 only
	local before; before=$(da h1 stats --json | jq '.reasons.no_place + .reasons.no_next_hop + .reasons.held_miss')
	! ping_ok v1 10.1.0.13 2 || return 1
	da h1 stats --json | jq -c '.reasons | with_entries(select(.value > 0))'
	[ "$(da h1 stats --json | jq '.reasons.no_place + .reasons.no_next_hop')" -ge 1 ]
}
check "hosts that have no family in common do not reach each other, which is counted" no_common

say "-- the underlay changes"
on h2 ip addr del "$(host_addr h2)/30" dev eth0
only6() { registered h2 '["2001:db8:2::1"]' && ! ping_ok v1 10.1.0.12 1 && ping_ok v3 10.1.0.12 1; }
check "h2 without its IPv4 address is reached over IPv6 alone" until_ok 8 only6
on h2 ip addr add "$(host_addr h2)/30" dev eth0
on h2 ip route add default via "$(router_addr h2)"
both() { registered h2 '["198.51.100.5","2001:db8:2::1"]' && ping_ok v1 10.1.0.12 1 && ping_ok v3 10.1.0.12 1; }
check "and with it again by all" until_ok 8 both
finish
