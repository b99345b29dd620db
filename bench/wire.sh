#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TCP over an underlay whose NICs do nothing for tunnels: one stream of DOVE, and of kernel VXLAN with a bridge; where
# the kernel has them, of kernel Geneve with a bridge, and of Open vSwitch's Geneve, each host with a daemon of its own.
#
#   h1, h2 (TC)  h3, h4 (XDP): DOVE     h5, h6: kernel VXLAN     h7, h8: kernel Geneve     h9, h10: Open vSwitch
#
# Two hosts of a kind, the router between them, and on each host a VM on a veth and one on a tap. Hosts send
# frames of wire size, segmented by software, and receive by threaded NAPI with GRO, as from such a NIC. A round
# measures every kind in turn, so that what disturbs the machine disturbs all of them; a ratio is of one round.
#
#   ROUNDS=5 SECS=2 CC=cubic NICS="veth tap" bench/wire.sh
#
# Prints medians with [min..max], DOVE's ratios to the others, the frames' mean length on the wire, and what TCP had to
# send again. What is counted as passed or failed is that data goes through, never how fast.
. "$(dirname "$0")/../selftests/net/lib.sh"

ROUNDS=${ROUNDS:-5}
SECS=${SECS:-$((${DOVE_TEST_SLOW:-1} > 1 ? 4 : 2))}
KINDS="tc xdp vxlan"
NICS=${NICS:-veth tap}
declare -A FROM=([tc]=h1 [xdp]=h3 [vxlan]=h5 [geneve]=h7 [ovs]=h9) TO=([tc]=h2 [xdp]=h4 [vxlan]=h6 [geneve]=h8 [ovs]=h10)
declare -A MTU=([tc]=1430 [xdp]=1430 [vxlan]=1450 [geneve]=1450 [ovs]=1450)
declare -A NAME=([tc]="DOVE, TC" [xdp]="DOVE, XDP" [vxlan]="kernel VXLAN" [geneve]="kernel Geneve" [ovs]="Open vSwitch")
declare -A MBITS=() FRAME=() LOST=()
ENDPOINTS=()

addr() { echo "10.1.0.$((10 * ${1#h} + $([ "$2" = tap ]; echo $?)))"; } # HOST veth|tap
mac() { printf '02:00:00:00:%02x:%02x' "${1#h}" "$([ "$2" = tap ]; echo $?)"; }
vms() { # KIND: on both of its hosts, a VM of either kind
	local h
	for h in "${FROM[$1]}" "${TO[$1]}"; do
		vm_plug "$h" "veth$h" "$(addr "$h" veth)" "$(mac "$h" veth)" "${MTU[$1]}"
		tap "$h" "tap$h" "$(addr "$h" tap)" "$(mac "$h" tap)" --mtu "${MTU[$1]}" || fail "tap on $h"
	done
}
dove() { # KIND
	local h nic
	for h in "${FROM[$1]}" "${TO[$1]}"; do
		agent "$h"
		da "$h" attach eth0 --ingress "$1" >/dev/null || fail "attach on $h"
		for nic in veth tap; do da "$h" port add "v-$nic$h" --network blue --endpoint "$nic$h" >/dev/null || fail "port on $h"; done
	done
}
bridged() { # HOST: its tunnel device and its VMs
	local port
	on "$1" ip link add br0 mtu 1450 type bridge
	for port in tun0 "v-veth$1" "v-tap$1"; do on "$1" ip link set "$port" master br0; done
	on "$1" ip link set tun0 up
	on "$1" ip link set br0 up
}
peer_vxlan() { # HOST PEER
	on "$1" ip link add tun0 mtu 1450 type vxlan id 7 local "$(host_addr "$1")" remote "$(host_addr "$2")" dstport 4789 dev eth0 || fail "vxlan"
	bridged "$1"
}
peer_geneve() {
	on "$1" ip link add tun0 mtu 1450 type geneve id 7 remote "$(host_addr "$2")" || fail "geneve"
	bridged "$1"
}
peer_ovs() {
	local d=$W/ovs-$1 port
	local env=(env OVS_RUNDIR="$d" OVS_DBDIR="$d" OVS_LOGDIR="$d")
	mkdir -p "$d"
	"${env[@]}" ovsdb-tool create
	bg "ovsdb-$1" "$1" "${env[@]}" ovsdb-server --remote="punix:$d/db.sock"
	until_ok 10 test -S "$d/db.sock" || fail "no ovsdb-server on $1"
	bg "vswitchd-$1" "$1" "${env[@]}" ovs-vswitchd
	on "$1" "${env[@]}" ovs-vsctl -t 60 add-br br0 -- add-port br0 tun0 -- set interface tun0 type=geneve options:key=7 \
		options:remote_ip="$(host_addr "$2")" options:local_ip="$(host_addr "$1")" || fail "no Open vSwitch on $1"
	for port in "v-veth$1" "v-tap$1"; do on "$1" "${env[@]}" ovs-vsctl -t 60 add-port br0 "$port"; done
}
peers() { # KIND
	"peer_$1" "${FROM[$1]}" "${TO[$1]}"
	"peer_$1" "${TO[$1]}" "${FROM[$1]}"
}
# The kinds that not every kernel has.
has_geneve() { on r ip link add tun0 type geneve id 7 remote 192.0.2.1 && on r ip link del tun0; }
has_ovs() { type -P ovs-vswitchd && modprobe openvswitch; }
plain_nic() { # HOST: as with one that neither segments nor merges, but whose driver does GRO
	on "$1" ethtool -K eth0 gro on || fail "GRO on $1"
	on "$1" sh -c 'echo 1 >/sys/class/net/eth0/threaded' || fail "threaded NAPI on $1"
}
received() { on "$1" ip -s -j link show dev eth0 | jq -r '.[0].stats64.rx | "\(.bytes) \(.packets)"'; }
# stream KIND veth|tap: MBit/s, and into FRAME the frames' mean length
stream() {
	local from=${FROM[$1]} to=${TO[$1]} before
	before=$(received "$to")
	timeout $((SECS + 20 * ${DOVE_TEST_SLOW:-1})) ip netns exec "$P-$2$from" iperf3 -c "$(addr "$to" "$2")" -t "$SECS" ${CC:+-C "$CC"} -J >"$W/iperf.json" ||
		{ jq -r .error "$W/iperf.json"; return 1; }
	FRAME[$1 $2]=$(echo "$before $(received "$to")" | awk '{ printf "%d", ($3 - $1) / ($4 - $2) }')
	LOST[$1 $2]=$((${LOST[$1 $2]:-0} + $(jq .end.sum_sent.retransmits "$W/iperf.json")))
	MBITS[$1 $2]+=" $(jq '.end.sum_received.bits_per_second / 1e6' "$W/iperf.json")"
}
# summary NUMBER...: median [min..max]
summary() { printf '%s\n' "$@" | sort -g | awk -v f="$FORMAT" '{ v[NR] = $1 } END {
	m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; printf f " [" f ".." f "]", m, v[1], v[NR] }'; }
ratios() { paste <(tr ' ' '\n' <<<"${MBITS[$1]# }") <(tr ' ' '\n' <<<"${MBITS[$2]# }") | awk '{ print $1 / $2 }'; }

need_root
CC=${CC-cubic}
grep -qw "${CC:-x}" /proc/sys/net/ipv4/tcp_available_congestion_control || CC=
world 10
for kind in geneve ovs; do
	if "has_$kind" >/dev/null 2>&1; then KINDS+=" $kind"; else say "-- no ${NAME[$kind]} here: not compared"; fi
done
for kind in $KINDS; do vms "$kind"; done
for h in h1 h2 h3 h4; do
	for nic in veth tap; do ENDPOINTS+=("$nic$h $(addr $h $nic) $(mac $h $nic)"); done
done
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}] + [$ARGS.positional[] | split(" ") |
  {kind: "endpoint", network: "blue", name: .[0], addresses: [.[1]], mac: .[2]}]' \
	--args "${ENDPOINTS[@]}" >"$W/objects.json"
service
ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
dove tc
dove xdp
for kind in ${KINDS#tc xdp}; do peers "$kind"; done
links off tso gso tx-udp_tnl-segmentation tx-udp_tnl-csum-segmentation
for kind in $KINDS; do
	for h in "${FROM[$kind]}" "${TO[$kind]}"; do plain_nic "$h"; done
	for nic in $NICS; do
		bg "iperf-$kind-$nic" "$nic${TO[$kind]}" iperf3 -s --forceflush
		until_ok 5 grep -q listening "$W/iperf-$kind-$nic.log"
		check "$kind: from a $nic to a $nic" until_ok 5 ping_ok "$nic${FROM[$kind]}" "$(addr "${TO[$kind]}" $nic)" 1
	done
done
tunnel=$(on h2 ip -d -j link show dev dove-tunnel | jq -r '.[0].linkinfo.info_kind')
say "-- $(uname -r), $(nproc) processors; $tunnel as tunnel device; ${CC:-$(on vethh1 sysctl -n net.ipv4.tcp_congestion_control)}; $ROUNDS rounds of $SECS s"
for ((round = 1; round <= ROUNDS; round++)); do
	for nic in $NICS; do
		for kind in $KINDS; do stream $kind $nic || fail "no stream from a $nic to a $nic: $kind"; done
	done
done
say
printf '%-28s %-22s %-15s %s\n' "one TCP stream" "MBit/s" "bytes a frame" "sent again, in all"
for nic in $NICS; do
	for kind in $KINDS; do
		printf '%-28s %-22s %-15s %s\n' "$nic to $nic, ${NAME[$kind]}" "$(FORMAT=%.0f summary ${MBITS[$kind $nic]})" "${FRAME[$kind $nic]}" "${LOST[$kind $nic]}"
	done
done
say
for nic in $NICS; do
	for other in ${KINDS#tc xdp}; do
		for kind in tc xdp; do
			printf '%-46s %s\n' "$nic to $nic, ${NAME[$kind]} / ${NAME[$other]}" "$(FORMAT=%.2f summary $(ratios "$kind $nic" "$other $nic"))"
		done
	done
done
say
finish
