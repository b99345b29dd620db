#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The way from VM to VM: DOVE, kernel VXLAN with a bridge, and a bridge alone, side by side between the same two
# hosts and their router, each on a NIC of its own.
#
#            d1, td1 --+                                  +-- d2, td2       DOVE
#            x1, tx1 --+-- h1 -- eth0, eth1, eth2 -- r -- h2 -- x2, tx2     kernel VXLAN, static, and a bridge
#            b1, tb1 --+                                  +-- b2, tb2       a bridge; r routes between both sides
#
# VMs are on veths, those with a t on taps, as QEMU has them. First on an underlay whose NICs segment, then (_wire)
# on one of wire-size frames, segmented by software, merged by threaded NAPI with GRO. A round measures every kind
# in turn; QUICK: veths and the first underlay alone.
. "$(dirname "$0")/common.sh"

KINDS="dove vxlan raw"
declare -A LETTER=([dove]=d [vxlan]=x [raw]=b) MTU=([dove]=1430 [vxlan]=1450 [raw]=1500)
NICS=(eth0 eth1 eth2)
PLACES="veth tap"
[ -z "$QUICK" ] || PLACES=veth

far_name() { echo "$([ "$2" = tap ] && echo t)${LETTER[$1]}$3"; } # KIND PLACE HOST-NUMBER
# The raw bridges' VMs are in subnets of their own, between which the router routes.
vm_addr() { # KIND PLACE HOST-NUMBER
	local subnet=1
	[ "$1" != raw ] || subnet=$((100 + $3))
	echo "10.$subnet.0.$((10 * $3 + 1 + $([ "$2" = veth ]; echo $?)))"
}
vm_mac() { printf '02:00:00:%02x:%02x:%02x' "'${LETTER[$1]}" "$3" "$([ "$2" = veth ]; echo $?)"; }

more_nics() { # HOST-NUMBER
	local h=h$1
	wire $h eth1 "198.51.101.$((4 * $1 - 3))/30" r ${h}x "198.51.101.$((4 * $1 - 2))/30"
	on $h ip route add 198.51.101.0/24 via "198.51.101.$((4 * $1 - 2))" dev eth1
	wire $h eth2 - r ${h}b "10.$((100 + $1)).0.1/24"
}
vms() { # KIND HOST-NUMBER
	local place name
	for place in $PLACES; do
		name=$(far_name "$1" $place "$2")
		if [ $place = veth ]; then
			vm_plug "h$2" "$name" "$(vm_addr "$1" veth "$2")" "$(vm_mac "$1" veth "$2")" "${MTU[$1]}"
		else
			tap "h$2" "$name" "$(vm_addr "$1" tap "$2")" "$(vm_mac "$1" tap "$2")" --mtu "${MTU[$1]}" || fail "tap $name"
		fi
		[ "$1" != raw ] || on "$name" ip route add default via "10.$((100 + $2)).0.1"
	done
}
bridge() { # HOST BRIDGE PORT...
	on "$1" ip link add "$2" type bridge
	for port in "${@:3}"; do on "$1" ip link set "$port" master "$2" || fail "$port on $2"; done
	on "$1" ip link set "$2" up
}
members() { for place in $PLACES; do echo "v-$(far_name "$1" $place "$2")"; done; }
kernel_vxlan() { # HOST-NUMBER PEER
	on "h$1" ip link add vx0 mtu 1450 type vxlan id 7 local "198.51.101.$((4 * $1 - 3))" remote "198.51.101.$((4 * $2 - 3))" \
		dstport 4789 dev eth1 || fail "vxlan"
	on "h$1" ip link set vx0 up
	bridge "h$1" br0 vx0 $(members vxlan "$1")
}
dove() {
	local h place name
	for h in 1 2; do
		for place in $PLACES; do
			name=$(far_name dove $place $h)
			jq -n --arg n "$name" --arg a "$(vm_addr dove $place $h)" --arg m "$(vm_mac dove $place $h)" \
				'{kind: "endpoint", network: "blue", name: $n, addresses: [$a], mac: $m}'
		done
	done | jq -s '[{kind: "network", name: "blue", subnets: ["10.1.0.0/16"]}] + .' >"$W/objects.json"
	service
	ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
	for h in 1 2; do
		agent h$h
		da h$h attach eth0 >/dev/null || fail "attach on h$h"
		for place in $PLACES; do
			name=$(far_name dove $place $h)
			da h$h port add "v-$name" --network blue --endpoint "$name" >/dev/null || fail "port $name"
		done
	done
}

nics() { # COMMAND...: with the namespace and the device at its end, for every device of the underlay
	local h nic
	for h in h1 h2; do
		for nic in "${NICS[@]}"; do "$@" $h $nic; done
		for nic in $h ${h}x ${h}b; do "$@" r $nic; done
	done
}
offload() { on "$2" ethtool -K "$3" tso "$1" gso "$1" tx-udp_tnl-segmentation "$1" tx-udp_tnl-csum-segmentation "$1" >/dev/null 2>&1; }
# As with a NIC that neither segments nor merges, but whose driver does GRO.
merging() {
	[[ $3 != eth* ]] || { on "$2" ethtool -K "$3" gro "$1" && on "$2" sh -c "echo $([ "$1" = on ]; echo $((1 - $?))) >/sys/class/net/$3/threaded"; }
}

# one MEASURE PLACE SUFFIX: of every kind, in turn
one() {
	local kind name out
	name=$1$([ "$2" = tap ] && echo _tap)$3
	for kind in $KINDS; do
		out=$(pump "$(far_name $kind "$2" 1)" "$(far_name $kind "$2" 2)" "$(vm_addr $kind "$2" 2)" ${WHAT[$1]}) ||
			{ note "$name" "$kind: no traffic in a round"; continue; }
		set -- "$1" "$2" "$3" $out
		sample "$name" $kind "$4" "${UNIT[$1]}"
		[ "$1" != tcp1 ] || sample "cpu_per_gbit${name#tcp1}" $kind "$5" "cpu-s/Gbit"
	done
}
declare -A WHAT=([tcp1]="tcp 1" [tcp4]="tcp 4" [pps64]=pps [udp_rr]=rr) UNIT=([tcp1]=Mbit/s [tcp4]=Mbit/s [pps64]=packets/s [udp_rr]=us)
rounds() { # SUFFIX
	local round place what
	for ((round = 1; round <= ROUNDS; round++)); do
		for place in $PLACES; do
			for what in tcp1 udp_rr pps64 tcp4; do one $what $place "$1"; done
		done
	done
}

world 2
for i in 1 2; do
	# Bridged frames have no business with the host's firewall, which would cost the others dear.
	for table in iptables ip6tables arptables; do on h$i sysctl -qw net.bridge.bridge-nf-call-$table=0 2>/dev/null; done
	more_nics $i
	for kind in $KINDS; do vms $kind $i; done
	bridge h$i br1 eth2 $(members raw $i)
	on h$i ip link set eth2 up
done
kernel_vxlan 1 2
kernel_vxlan 2 1
dove
for kind in $KINDS; do
	for place in $PLACES; do
		until_ok 5 ping_ok "$(far_name $kind $place 1)" "$(vm_addr $kind $place 2)" 1 || fail "no way: $kind, $place"
	done
done
note path "congestion control ${CC:-$(sysctl -n net.ipv4.tcp_congestion_control)}, $ROUNDS rounds of $SECS s"
rounds ""
if [ -z "$QUICK" ]; then
	nics offload off
	nics merging on
	rounds _wire
fi
