#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# MPLS label stacks of underlay paths: what leaves the NIC under them, of
# packets and super-packets, and what arrives when the last router but one has
# taken them off. Only what goes from vm1 to vm2 is of the class.
#
#   v1 -- h1 ---- r ---- h2 -- v2
. "$(dirname "$0")/lib.sh"

capture() { # NAME COMMAND...: what leaves h1's NIC meanwhile, as tcpdump has it in words: $W/NAME.text
	local rc
	listener "$1" h1 tcpdump -i eth0 -Q out --immediate-mode -B 16384 -s 200 -U -w "$W/$1.pcap"
	"${@:2}"
	rc=$?
	sleep 0.2
	stop "$1" INT
	# A packet's lines in one; only ours.
	tcpdump -envr "$W/$1.pcap" 2>/dev/null | awk '/^[^ \t]/ && NR > 1 { print "" } { printf "%s ", $0 } END { print "" }' |
		grep '6081: ' >"$W/$1.text"
	return $rc
}
path() { # JSON: of class gold
	jq -n "[{kind: \"underlay_path\", name: \"gold\"} + $1]" >"$W/path.json"
	ctl apply -f "$W/path.json" >/dev/null
}
numbers() { on v1 "$T/numbers" send 10.1.0.12 4000 20 1 100 1000 >/dev/null; }
received() { on v2 nft -j list counter inet count c4000 | jq '.nftables[] | select(.counter) | .counter.packets'; }
stacked() { # WORDS: 20 frames leave under that stack, and arrive
	local before got
	before=$(received)
	capture stacked numbers || return 1
	got=$(grep -cE "$1" "$W/stacked.text")
	echo "$got of 20 under '$1', arrived: $(($(received) - before))"
	head -n 2 "$W/stacked.text"
	[ "$got" = 20 ] && [ $(($(received) - before)) = 20 ]
}
shown() { # TEXT: at all places, once a packet has found out
	ping_ok v1 10.1.0.12 1 >/dev/null
	da h1 trace v-v1 --to 10.1.0.12 --proto udp --port 4000 | tee /dev/stderr | grep '^quality ' | grep -qF "$1" &&
		da h1 cache --json | jq -ce '.[].qos | select(.mpls).mpls' | grep -qF "$1" &&
		ctl resolve --network blue --from vm1 --to vm2 --json | jq -ce .qos.mpls | grep -qF "$1"
}

need_root
world
service
blue 1 2
jq -n '[{kind: "policy", network: "blue", name: "gold", priority: 10, from: {endpoints: ["vm1"]},
  to: {endpoints: ["vm2"]}, action: "allow", qos: {class: "gold"}}]' >"$W/policy.json"
ctl apply -f "$W/policy.json" >/dev/null || fail "policy"
agent h1
agent h2
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress tc >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
on v2 nft -f - <<'NFT'
table inet count {
	counter c4000 {}
	chain in {
		type filter hook input priority 0
		udp dport 4000 counter name c4000
	}
}
NFT
until_ok 5 ping_ok v1 10.1.0.12 1 || fail "v1 does not reach v2"
on r "$T/unlabel" h1 || fail "unlabel"
on r "$T/untag" h1 || fail "untag"

say "-- packets"
pair() { on h1 ip link show dove-cut; }
check "R28: without a path of labels there is no device for it" refuses pair
path '{mpls: [{label: 100, tc: 5}]}' || fail "path"
check "R28: one label: what the policy decides leaves under it, and arrives" until_ok 5 stacked \
	'ethertype MPLS.*MPLS \(label 100, (tc|exp) 5, \[S\], ttl 64\).*> 198.51.100.5.6081'
check "R28: trace, cache and resolve show it" shown '[{"label":100,"tc":5}]'
path '{vlan: 200, dscp: 10, mpls: [1048575, {label: 16, tc: 1}, 300]}' || fail "path"
check "R28: three labels beside a VLAN and a DSCP, the outermost first" until_ok 5 stacked \
	'vlan 200,.*MPLS \(label 1048575, (tc|exp) 0, ttl 64\).*\(label 16, (tc|exp) 1, ttl 64\).*\(label 300, (tc|exp) 0, \[S\], ttl 64\).*tos 0x28'
mtu() { # the VM learns what is left: 1500 - 70 - 3 * 4
	on v1 ip route flush cache
	on v1 ping -c 1 -W 1 -M do -s 1400 10.1.0.12 | tee /dev/stderr | grep -q 'mtu = 1418' && on v1 ping -c 1 -W 2 -M do -s 1390 10.1.0.12
}
check "R28: the VM is told of the smaller MTU, and what fits arrives" mtu

say "-- super-packets"
head -c 20000000 /dev/urandom >"$W/file"
bg web v1 python3 -m http.server -d "$W" 80
until_ok 5 on v2 curl -gsS -m 2 -o /dev/null http://10.1.0.11/path.json || fail "no web server on v1"
fetched() { on v2 curl -gsS -m 30 -o "$W/got" http://10.1.0.11/file && cmp "$W/got" "$W/file"; }
super() { # LABELS: the file arrives as it is, no frame was longer than the link, all were labelled
	local n long
	capture super fetched || return 1
	n=$(wc -l <"$W/super.text") long=$(sed -n 's/[^,]*, ethertype [^,]*, length \([0-9]*\): .*/\1/p' "$W/super.text" | sort -n | tail -n 1)
	echo "$n frames, $(grep -c "MPLS (label $1," "$W/super.text") of them labelled, the longest of ${long:-0} bytes"
	[ "$n" -gt 1000 ] && [ "$(grep -c "MPLS (label $1," "$W/super.text")" = "$n" ] && [ "$long" -le 1518 ]
}
check "R28: a stream arrives with the right contents, cut before its labels are pushed" super 1048575
path '{mpls: [100]}' || fail "path"
until_ok 5 shown '[{"label":100}]'
check "R28: under one label, too" super 100
cut() { # the pair did it, and the VM's super-packets were such
	local in out
	in=$(on h1 cat /sys/class/net/dove-cut/statistics/tx_packets) out=$(stat h1 segmenting)
	echo "super-packets: $out; what the pair made of them: $in"
	[ "$out" -gt 100 ] && [ "$in" -gt $((3 * out)) ]
}
check "R28: super-packets were cut by the agent's pair of devices" cut
small() { # packets do not go by it
	local before
	before=$(on h1 cat /sys/class/net/dove-cut/statistics/tx_packets)
	numbers && [ "$(on h1 cat /sys/class/net/dove-cut/statistics/tx_packets)" = "$before" ]
}
check "R28: packets take no such detour" small

rate() { # Mbit/s of TCP from v1
	on v1 timeout 20 iperf3 -c 10.1.0.12 -p 5001 -O 1 -t 3 -J | jq '.end.sum_received.bits_per_second / 1e6 | round'
}
bg iperf v2 iperf3 -s -p 5001 --forceflush
until_ok 5 grep -q listening "$W/iperf.log"
ratio() { # beside the same without labels, by the same NIC
	local with without
	with=$(rate) || return 1
	path '{dscp: 10}' && until_ok 5 refuses shown '[{"label":100}]' || return 1
	without=$(rate) || return 1
	say "-- TCP under a label: $with Mbit/s, without: $without, ratio $(jq -n "$with / $without * 100 | round / 100")" >&3
	path '{mpls: [100]}' && until_ok 5 shown '[{"label":100}]' && [ "$with" -gt 20 ]
}
exec 3>&1
check "R28: TCP passes, how fast beside none is printed" ratio

say "-- the agent comes and goes"
stop agent-h1 KILL
check "R28: without an agent labels are still pushed, and super-packets cut" super 100
agent h1
check "R28: and after its restart, by the same pair" super 100
stop agent-h1
on h1 ip link del dove-cut
agent h1
path '{mpls: [101]}' || fail "path"
until_ok 5 shown '[{"label":101}]'
check "R28: a pair that somebody removed is made again" super 101
path '{vlan: 7}' || fail "path"
check "R28: labels that are taken away are gone" until_ok 5 refuses shown '"label"'
finish
