#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a service on the way costs: one flow through no, one and two appliances, each on a host of its own that has no
# VMs, led by DOVE, and next to it led by hand: a VXLAN segment of the kernel's between each two stops, and bridges.
#
#   h1: d0a d1a d2a     h2: d0b d1b d2b     h3: one     h4: two             DOVE
#   h5: x0a x1a x2a     h6: x0b x1b x2b     h7: x1one x2one     h8: x2two   by hand
#
#   d2a -- h1 ==== h3 [one] h3 ==== h4 [two] h4 ==== h2 -- d2b     and x2a the same by h5, h7, h8, h6
#
# An appliance is a bump in the wire: a namespace with a bridge of its two ports, and nothing on it. TCP is iperf3's,
# a stream; round trips are bench/pump.c's. A round measures both kinds at each length in turn. What a length costs
# is also given as a part of the same kind's figure without a service, of the same round (KIND_of_none).
. "$(dirname "$0")/common.sh"

HOP_SECS=${HOP_SECS:-1} # whole seconds, as iperf3 has them
KINDS="dove vxlan"
declare -A LETTER=([dove]=d [vxlan]=x) MTU=([dove]=1430 [vxlan]=1450) FROM=([dove]=h1 [vxlan]=h5) TO=([dove]=h2 [vxlan]=h6)
SERVICES=(one two)

vm_addr() { echo "10.$([ "$1" = dove ]; echo $((1 + $?))).$2.$([ "$3" = a ]; echo $((11 + $?)))"; } # KIND HOPS a|b
vm_mac() { printf '02:00:00:%02x:%02x:%02x' "'${LETTER[$1]}" "$2" "'$3"; }
# Bridged frames have no business with a firewall, which would cost those with more bridges more.
no_firewall() {
	local table
	for table in iptables ip6tables arptables; do on "$1" sysctl -qw net.bridge.bridge-nf-call-$table=0 2>/dev/null; done
}
bridge() { # NS BRIDGE PORT...
	on "$1" ip link add "$2" type bridge
	for port in "${@:3}"; do on "$1" ip link set "$port" master "$2" up || fail "$port on $2"; done
	on "$1" ip link set "$2" up
}
appliance() { # HOST NAME: its ports at the host are a-NAME and a-NAME-out
	local side
	ns_add "$2"
	no_firewall "$2"
	for side in "" -out; do
		ip link add "eth0$side" netns "$P-$2" type veth peer name "a-$2$side" netns "$P-$1"
		on "$1" ip link set "a-$2$side" up
	done
	bridge "$2" br0 eth0 eth0-out
}
vms() { # KIND
	local hops
	for hops in 0 1 2; do
		vm_plug "${FROM[$1]}" "${LETTER[$1]}${hops}a" "$(vm_addr "$1" $hops a)/16" "$(vm_mac "$1" $hops a)" "${MTU[$1]}"
		vm_plug "${TO[$1]}" "${LETTER[$1]}${hops}b" "$(vm_addr "$1" $hops b)/16" "$(vm_mac "$1" $hops b)" "${MTU[$1]}"
	done
}

dove() {
	local hops end h s i=0
	{
		for hops in 0 1 2; do
			for end in a b; do
				jq -n --arg n "d$hops$end" --arg a "$(vm_addr dove $hops $end)" --arg m "$(vm_mac dove $hops $end)" \
					'{kind: "endpoint", network: "blue", name: $n, addresses: [$a], mac: $m}'
			done
		done
		for s in "${SERVICES[@]}"; do
			i=$((i + 1))
			jq -n --arg s "$s" --arg i $i '{kind: "endpoint", network: "blue", name: $s, mac: "02:00:00:00:02:0\($i)"},
				{kind: "endpoint", network: "blue", name: "\($s)-out", mac: "02:00:00:00:03:0\($i)"},
				{kind: "service", name: $s, instances: [{endpoint: "blue/\($s)", out: "blue/\($s)-out"}]}'
		done
		jq -n '{kind: "policy", network: "blue", name: "through-one", from: {endpoints: ["d1a"]}, to: "any", action: "allow", path: ["one"]},
			{kind: "policy", network: "blue", name: "through-two", from: {endpoints: ["d2a"]}, to: "any", action: "allow", path: ["one", "two"]}'
	} | jq -s '[{kind: "network", name: "blue", subnets: ["10.1.0.0/16"]}] + .' >"$W/objects.json"
	service
	ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
	for h in h1 h2 h3 h4; do
		agent $h
		da $h attach eth0 >/dev/null || fail "attach on $h"
	done
	for hops in 0 1 2; do
		da h1 port add "v-d${hops}a" --network blue --endpoint "d${hops}a" >/dev/null || fail "port d${hops}a"
		da h2 port add "v-d${hops}b" --network blue --endpoint "d${hops}b" >/dev/null || fail "port d${hops}b"
	done
	h=2
	for s in "${SERVICES[@]}"; do
		h=$((h + 1))
		appliance h$h "$s"
		for end in "" -out; do da h$h port add "a-$s$end" --network blue --endpoint "$s$end" >/dev/null || fail "port $s$end"; done
	done
}

segment() { # VNI HOST HOST: device vxVNI on both
	local i=0 pair=("$2" "$3" "$2")
	for ((i = 0; i < 2; i++)); do
		on "${pair[i]}" ip link add "vx$1" mtu 1450 type vxlan id "$1" local "$(host_addr "${pair[i]}")" \
			remote "$(host_addr "${pair[i + 1]}")" dstport 4789 dev eth0 || fail "vxlan $1"
		on "${pair[i]}" ip link set "vx$1" up
	done
}
by_hand() { # HOPS HOST...: where the services are
	local hops=$1 at=h5 vni=$((10 * $1 + 5)) i=0 h name
	bridge h5 "br$hops" "v-x${hops}a"
	bridge h6 "br$hops" "v-x${hops}b"
	for h in "${@:2}" h6; do
		segment $vni $at "$h"
		on $at ip link set "vx$vni" master "$([ $at = h5 ] && echo "br$hops" || echo "br$hops-out")"
		if [ "$h" != h6 ]; then
			name=x$hops${SERVICES[i]}
			appliance "$h" "$name"
			bridge "$h" "br$hops-in" "vx$vni" "a-$name"
			bridge "$h" "br$hops-out" "a-$name-out"
		fi
		at=$h vni=$((vni + 1)) i=$((i + 1))
	done
	on h6 ip link set "vx$((vni - 1))" master "br$hops"
}

# What an appliance has let out, either way.
forwarded() { on "$1" sh -c 'cat /sys/class/net/eth0/statistics/tx_packets /sys/class/net/eth0-out/statistics/tx_packets' | awk '{ n += $1 } END { print n }'; }
met() { # KIND HOPS: the services that a VM's packets are to meet, in a list
	local i
	for ((i = 0; i < $2; i++)); do echo "$([ "$1" = dove ] || echo "x$2")${SERVICES[i]}"; done
}
checked() { # KIND HOPS: there is a way, and it is the one that is meant
	local name from=${LETTER[$1]}${2}a
	declare -A was=()
	until_ok 10 ping_ok "$from" "$(vm_addr "$1" "$2" b)" 1 || fail "no way: $1, $2 services"
	for name in one two x1one x2one x2two; do was[$name]=$(forwarded $name); done
	ping_ok "$from" "$(vm_addr "$1" "$2" b)" 20 >/dev/null || fail "no way: $1, $2 services"
	for name in one two x1one x2one x2two; do
		if [[ " $(met "$1" "$2" | xargs) " == *" $name "* ]]; then
			[ $(($(forwarded $name) - was[$name])) -ge 40 ] || fail "$1, $2 services: not through $name"
		else
			[ $(($(forwarded $name) - was[$name])) -lt 40 ] || fail "$1, $2 services: through $name"
		fi
	done
}

declare -A STRAIGHT=()
# figure WHAT KIND HOPS VALUE UNIT: as it is, and as a part of what the same kind has without a service
figure() {
	sample "$1_hops$3" "$2" "$4" "$5"
	[ "$3" != 0 ] || STRAIGHT[$1 $2]=$4
	[ "$3" = 0 ] || [ -z "${STRAIGHT[$1 $2]:-}" ] || sample "$1_hops$3" "$2_of_none" "$(jq -n "$4 / ${STRAIGHT[$1 $2]}")" "$5"
}
one() { # KIND HOPS
	local from=${LETTER[$1]}${2}a to out
	to=$(vm_addr "$1" "$2" b)
	if timeout --foreground $((HOP_SECS + 15)) ip netns exec "$P-$from" iperf3 -c "$to" -t "$HOP_SECS" ${CC:+-C "$CC"} -J >"$W/iperf.json"; then
		figure tcp "$1" "$2" "$(jq '.end.sum_received.bits_per_second / 1e6' "$W/iperf.json")" Mbit/s
	else
		note "tcp_hops$2" "$1: no stream in a round: $(jq -r .error "$W/iperf.json" 2>/dev/null)"
	fi
	out=$(pump "$from" "${LETTER[$1]}${2}b" "$to" rr) || { note "udp_rr_hops$2" "$1: no round trips in a round"; return; }
	figure udp_rr "$1" "$2" "${out%% *}" us
}

world 8
for h in h1 h2 h3 h4 h5 h6 h7 h8; do no_firewall $h; done
for kind in $KINDS; do vms $kind; done
dove
by_hand 0
by_hand 1 h7
by_hand 2 h7 h8
for kind in $KINDS; do
	for hops in 0 1 2; do
		checked $kind $hops
		listener "iperf-$kind-$hops" "${LETTER[$kind]}${hops}b" iperf3 -s --forceflush || fail "iperf3 does not listen"
	done
done
note hops "congestion control ${CC:-$(sysctl -n net.ipv4.tcp_congestion_control)}, $ROUNDS rounds, a stream of $HOP_SECS s, round trips for $SECS s"
for ((round = 1; round <= ROUNDS; round++)); do
	STRAIGHT=()
	for hops in 0 1 2; do
		for kind in $KINDS; do one $kind $hops; done
	done
done
