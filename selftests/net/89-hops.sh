#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Underlay paths that lead by routers: what leaves the NIC with their headers,
# of packets and super-packets, that it goes their way, and what arrives when
# the last of them has taken off its own. What goes from vm1 to vm2, and from
# vm3 to vm4, is of the class.
#
#             q
#             |
#   v1 -- h1 -r- h2 -- v2         IPv4
#   v3 -- h3 -'`- h4 -- v4        IPv6
. "$(dirname "$0")/lib.sh"

R=198.51.100.2 Q=203.0.113.2 LONE=203.0.113.99
R6=2001:db8:3::2 Q6=2001:db8:7::2

capture() { # NAME NS DEV COMMAND...: what leaves there meanwhile, as tcpdump has it in words: $W/NAME.text
	local rc
	listener "$1" "$2" tcpdump -i "$3" -Q out --immediate-mode -B 16384 -s 250 -U -w "$W/$1.pcap"
	"${@:4}"
	rc=$?
	sleep 0.2
	stop "$1" INT
	# A packet's lines in one; only ours.
	tcpdump -envvr "$W/$1.pcap" 2>/dev/null | awk '/^[^ \t]/ && NR > 1 { print "" } { printf "%s ", $0 } END { print "" }' |
		grep '6081: ' >"$W/$1.text"
	return $rc
}
path() { # JSON: of class gold
	jq -n "[{kind: \"underlay_path\", name: \"gold\"} + $1]" >"$W/path.json"
	ctl apply -f "$W/path.json" >/dev/null
}
numbers() { on "$1" "$T/numbers" send "$2" 4000 20 1 100 1000 >/dev/null; }
received() { on "$1" nft -j list counter inet count c4000 | jq '.nftables[] | select(.counter) | .counter.packets'; }
passed() { on q nft -j list counter inet count passed | jq '.nftables[] | select(.counter) | .counter.packets'; }
stacked() { # FROM TO ADDRESS NS DEV WORDS PASSED: 20 frames leave there as said, arrive, and so many of them by q
	local before by got
	before=$(received "$2") by=$(passed)
	capture stacked "$4" "$5" numbers "$1" "$3" || return 1
	got=$(grep -cE "$6" "$W/stacked.text")
	echo "$got of 20 as '$6', arrived: $(($(received "$2") - before)), by q: $(($(passed) - by))"
	head -n 2 "$W/stacked.text"
	[ "$got" = 20 ] && [ $(($(received "$2") - before)) = 20 ] && [ $(($(passed) - by)) = "$7" ] &&
		! grep 'bad cksum' "$W/stacked.text" | grep -v 'bad udp cksum'
}
blue4() { stacked v1 v2 10.1.0.12 "$@"; }
shown() { # TEXT: at all places, once a packet has found out
	ping_ok v1 10.1.0.12 1 >/dev/null
	da h1 trace v-v1 --to 10.1.0.12 --proto udp --port 4000 | tee /dev/stderr | grep '^quality ' | grep -qF "$1" &&
		da h1 cache --json | jq -ce '.[].qos | select(.hops).hops' | grep -qF "$1" &&
		ctl resolve --network blue --from vm1 --to vm2 --json | jq -ce .qos.hops | grep -qF "$1"
}

need_root
world 4 4 4 6 6
ns_add q
ipv6 q
wire r q 203.0.113.1/30 q eth0 $Q/30
addr6 r q 2001:db8:7::1
addr6 q eth0 $Q6
on q ip route add default via 203.0.113.1
on q ip route add default via 2001:db8:7::1
on q sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for ns in r q; do
	on $ns sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >$f; done'
done
on q nft -f - <<'NFT'
table inet count {
	counter passed {}
	chain on {
		type filter hook forward priority 0
		udp dport 6081 counter name passed
	}
}
NFT
service
blue 1 2 3 4
jq -n '[{kind: "policy", network: "blue", name: "gold", priority: 10, from: {endpoints: ["vm1", "vm3"]},
  to: {endpoints: ["vm2", "vm4"]}, action: "allow", qos: {class: "gold"}}]' >"$W/policy.json"
ctl apply -f "$W/policy.json" >/dev/null || fail "policy"
for i in 1 2 3 4; do
	agent h$i
	da h$i attach eth0 --ingress tc >/dev/null
	vm h$i v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i
done
for v in v2 v4; do
	on $v nft -f - <<'NFT'
table inet count {
	counter c4000 {}
	chain in {
		type filter hook input priority 0
		udp dport 4000 counter name c4000
	}
}
NFT
done
until_ok 5 ping_ok v1 10.1.0.12 1 || fail "v1 does not reach v2"
until_ok 5 ping_ok v3 10.1.0.14 1 || fail "v3 does not reach v4"
on r "$T/unhop" h1 $R $LONE && on r "$T/unhop" h3 $R6 && on q "$T/unhop" eth0 $Q $Q6 || fail "unhop"

say "-- packets"
check "R28: without such a path nothing is passed on the way" blue4 h1 eth0 '198.51.100.1.* > 198.51.100.5.6081: ' 0
path "{hops: [\"$R\"]}" || fail "path"
check "R28: one hop: what the policy decides leaves for it, and arrives" until_ok 5 blue4 h1 eth0 \
	"DF.*proto IPIP \(4\).* 198.51.100.1 > $R: .*DF.* 198.51.100.1.* > 198.51.100.5.6081: " 0
check "R28: trace, cache and resolve show it" shown "[\"$R\"]"
watched() { # SEQUENCE|FLOOR of the policy, as h1 has watched it
	local id
	id=$(ctl resolve --network blue --from vm1 --to vm2 --json | jq .policy)
	on h1 bpftool -j map dump pinned "$W/bpf-h1/$LAYOUT/dove_policies" |
		jq --argjson id "$id" ".[].formatted | select(.key.policy == \$id).value.$1"
}
risen() { [ "$(watched sequence)" -gt "$1" ]; }
rises() {
	local before floor
	before=$(watched sequence) floor=$(watched floor)
	path "{hops: [\"$R\", \"$Q\"], dscp: 10}" && until_ok 5 risen "$before" && [ "$(watched floor)" = "$floor" ]
}
check "R20, R28: another path raises the policy's sequence, and no floor" rises
check "R28: two hops: a header for each, with the path's DSCP" until_ok 5 blue4 h1 eth0 \
	"tos 0x28.* 198.51.100.1 > $R: .*tos 0x28.* 198.51.100.1 > $Q: .*tos 0x28.* 198.51.100.1.* > 198.51.100.5.6081: " 20
check "R28: behind the first of them there is one header less" blue4 r q \
	"^[^>]* > [^>]* 198.51.100.1 > $Q: [^>]* 198.51.100.1.* > 198.51.100.5.6081: " 20
check "R28: trace, cache and resolve show both" shown "[\"$R\",\"$Q\"]"
way() { da h1 trace v-v1 --to 10.1.0.12 --proto udp --port 4000 | tee /dev/stderr | grep '^way ' | grep -q "eth0 through $R, packets up to 1390"; }
check "R28: trace says by which way" way
back() {
	capture back h2 eth0 numbers v2 10.1.0.11 && [ "$(grep -c '198.51.100.5.* > 198.51.100.1.6081: ' "$W/back.text")" -ge 20 ] &&
		refuses grep IPIP "$W/back.text"
}
check "R28: what is of no class, the other direction, goes straight" back
mtu() { # SIZE: the VM learns what is left
	on v1 ip route flush cache
	on v1 ping -c 1 -W 1 -M do -s 1400 10.1.0.12 | tee /dev/stderr | grep -q "mtu = $1" &&
		on v1 ping -c 1 -W 2 -M do -s $(($1 - 28)) 10.1.0.12
}
check "R28: the VM is told of the smaller MTU, and what fits arrives" mtu 1390
narrow() { # 1400 for what has one header more than the plain packet
	on r ip link set q mtu 1400 && on q ip link set eth0 mtu 1400
	on v1 ping -c 1 -W 1 -M do -s 1350 10.1.0.12
	until_ok 5 mtu 1310
}
check "R28: a narrower link behind the first hop is learnt from its router" narrow
on r ip link set q mtu 1500 && on q ip link set eth0 mtu 1500 || fail "mtu"

say "-- super-packets"
head -c 20000000 /dev/urandom >"$W/file"
bg web v1 python3 -m http.server -d "$W" 80
until_ok 5 on v2 curl -gsS -m 2 -o /dev/null http://10.1.0.11/path.json || fail "no web server on v1"
fetched() { on v2 curl -gsS -m 30 -o "$W/got" http://10.1.0.11/file && cmp "$W/got" "$W/file"; }
super() { # the file arrives as it is, no frame was longer than the link, all had both headers and went by q
	local n long by of
	by=$(passed)
	capture super h1 eth0 fetched || return 1
	n=$(wc -l <"$W/super.text") long=$(sed -n 's/[^,]*, ethertype [^,]*, length \([0-9]*\): .*/\1/p' "$W/super.text" | sort -n | tail -n 1)
	of=$(grep -c "> $R: .*> $Q: " "$W/super.text") by=$(($(passed) - by))
	echo "$n frames, $of of them for both hops, $by by q, the longest of ${long:-0} bytes"
	[ "$n" -gt 1000 ] && [ "$of" = "$n" ] && [ "$by" -ge "$n" ] && [ "$long" -le 1518 ]
}
check "R28: a stream arrives with the right contents, cut before its headers are put on" super
cut() { [ "$(stat h1 segmenting)" -gt 100 ]; }
check "R28: super-packets were cut by the agent's pair of devices" cut
rate() { # Mbit/s of TCP from v1
	on v1 timeout 20 iperf3 -c 10.1.0.12 -p 5001 -O 1 -t 3 -J | jq '.end.sum_received.bits_per_second / 1e6 | round'
}
bg iperf v2 iperf3 -s -p 5001 --forceflush
until_ok 5 grep -q listening "$W/iperf.log"
ratio() { # beside the same without hops, by the same NIC
	local with without
	with=$(rate) || return 1
	path '{dscp: 10}' && until_ok 5 refuses shown "[\"$R\",\"$Q\"]" || return 1
	without=$(rate) || return 1
	say "-- TCP by two hops: $with Mbit/s, without: $without, ratio $(jq -n "$with / $without * 100 | round / 100")" >&3
	path "{hops: [\"$R\", \"$Q\"]}" && until_ok 5 shown "[\"$R\",\"$Q\"]" && [ "$with" -gt 20 ]
}
exec 3>&1
check "R28: TCP passes, how fast beside none is printed" ratio

say "-- the first hop is not to be found"
on h1 ip route add $LONE dev eth0
lone() { # held for a while, and not sent on past it
	local before
	before=$(stat h1 held_next_hop)
	path "{hops: [\"$LONE\"]}" && until_ok 5 refuses ping_ok v1 10.1.0.12 1 &&
		until_ok 5 eval "[ \$(stat h1 held_next_hop) -gt $before ]"
}
check "R28: what is to pass a router that does not answer goes nowhere" lone
check "R28: what is of no class does" ping_ok v2 10.1.0.12 1
routers() { da h1 status --json | tee /dev/stderr | jq -e --arg a "$1" --argjson is "$2" '.routers | any(.address == $a and .reachable == $is)'; }
check "R28: status says so" routers $LONE false
on r ip addr add $LONE/32 dev h1
check "R28: when it answers, packets go by it" until_ok 10 blue4 h1 eth0 "> $LONE: .*> 198.51.100.5.6081: " 0
check "R28: and status says that" routers $LONE true

say "-- the agent comes and goes"
path "{hops: [\"$R\", \"$Q\"]}" || fail "path"
until_ok 5 shown "[\"$R\",\"$Q\"]"
stop agent-h1 KILL
check "R28: without an agent packets still go by their hops" blue4 h1 eth0 "> $R: .*> $Q: " 20
agent h1
check "R28: and after its restart, super-packets too" super
check "R28: it knows the way to the first one from before" routers $R true

say "-- IPv6"
blue6() { stacked v3 v4 10.1.0.14 "$@"; }
check "R28: routers of IPv4 lead to no host of IPv6: without headers" blue6 h3 eth0 \
	'^[^>]* > [^>]* 2001:db8:3::1.[0-9]+ > 2001:db8:4::1.6081: ' 0
path "{hops: [\"$R6\", \"$Q6\"]}" || fail "path"
check "R28: routers of IPv6 do, by a header for each" until_ok 5 blue6 h3 eth0 \
	"next-header IPv6 \(41\).* 2001:db8:3::1 > $R6: .* 2001:db8:3::1 > $Q6: .* > 2001:db8:4::1.6081: " 20
check "R28: and none to one of IPv4" until_ok 5 blue4 h1 eth0 '^[^>]* > [^>]* 198.51.100.1.[0-9]+ > 198.51.100.5.6081: ' 0
path '{vlan: 7}' || fail "path"
check "R28: hops that are taken away are gone" until_ok 5 refuses shown '2001'
finish
