# SPDX-License-Identifier: Apache-2.0
# What the namespace tests and the demo have in common. Source it, then:
#
#   world [N [FAMILY...]]      underlay: N (2) hosts h1, h2, ... in subnets of their own, a
#                              router between them, the service's host s; each host's
#                              underlay is of family 4 (unless said), 6, or 46: both
#   service [ARGS]             start dove-dps on s
#   agent H [ARGS]             start dove-agent on host H (a file $W/H.json is its --config)
#   da H COMMAND...            dove-agent COMMAND on H
#   ctl COMMAND...             dovectl
#   vm H NAME NET VM IP MAC    a namespace NAME with a veth to host H, added as port of NET/VM;
#                              IP may be a list with commas, also of IPv6 addresses
#   tap H NAME IP MAC [ARGS]   the same on a tap, as QEMU has it (tools/tapvm.c); no port yet
#   blue I...                  network blue and its VMs, applied
#   on NAME COMMAND...         run in that namespace
#   check "R1: text" COMMAND.. one test: it passes when the command ends 0
#   right_on_the_wire COMMAND. all frames on the underlay meanwhile have right checksums
#
# Everything made is taken down when the script ends, however it ends.
#
#        s 192.0.2.9, 2001:db8::9
#        |
#   h1 --+-- r --+-- h2         h1 198.51.100.1/30, h2 198.51.100.5/30, h3 198.51.100.9/30
#                              h1 2001:db8:1::1/64, h2 2001:db8:2::1/64, h3 2001:db8:3::1/64
#
# (No shebang: this file is sourced by bash scripts.)

set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
T=$BUILD/selftests
LAYOUT=$(awk -F '"' '/define DOVE_LAYOUT_DIR/ { print $2 }' "$ROOT/maps/maps.h") # folder of the pins
P=dv$$
W=
DPS_ADDR=192.0.2.9
DPS_ADDR6=2001:db8::9
DPS_URL=http://$DPS_ADDR:6083
DPS_LISTEN=$DPS_ADDR:6083
PASSED=0 FAILED=0 SKIPPED=0
declare -A PID=() FAMILY=()

say() { printf '%s\n' "$*"; }
fail() { # TEXT: the test can't go on; the ends of the logs may tell why
	local log
	for log in "$W"/*.log; do
		[ -n "$W" ] && [ -s "$log" ] || continue
		printf '%s:\n' "${log##*/}"
		tail -n 5 "$log" | cut -c -300 | sed 's/^/  | /'
	done >&2
	printf 'error: %s\n' "$*" >&2
	exit 1
}

pass() { PASSED=$((PASSED + 1)); say "ok   $*"; }
skip() { SKIPPED=$((SKIPPED + 1)); say "skip $*"; }

# check TEXT COMMAND...: the command's output is shown only when it fails. It runs in a
# subshell: what it starts by bg(), or sets, is not known outside.
check() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		pass "$text"
	else
		FAILED=$((FAILED + 1))
		say "FAIL $text"
		say "     $*"
		printf '%s\n' "$out" | tail -n 15 | sed 's/^/     | /'
	fi
}

refuses() { ! "$@"; }
count_up() { # HOST REASON COMMAND...: the command must fail, and raise that reason
	local before; before=$(stat "$1" "$2")
	! "${@:3}" || return 1
	echo "$2: $before -> $(stat "$1" "$2")"
	[ "$(stat "$1" "$2")" -gt "$before" ]
}

on() { local ns=$1; shift; ip netns exec "$P-$ns" "$@"; }

# bridge NAME: an appliance's br0, and what it may forward; counters `seen` and `refused`
bridge() {
	on "$1" ip link add br0 type bridge stp_state 0 mcast_snooping 0
	on "$1" ip link set br0 up
	on "$1" nft -f - <<-'NFT'
	table bridge fw {
		counter seen { }
		counter refused { }
		chain forward {
			type filter hook forward priority 0; policy accept;
			ether type { ip, ip6 } counter name seen
			tcp dport 23 counter name refused drop
		}
	}
	NFT
}
# counter NS [NAME]: the packets that the bridge there has counted
counter() { on "$1" nft -j list counter bridge fw "${2:-seen}" | jq '.nftables[] | .counter? // empty | .packets'; }
# met LEAST "APPLIANCE..." COMMAND...: the command succeeds; of $ALL these have seen so many packets of it, the others none
met() {
	local least=$1 want=" $2 " a rc=0
	declare -A was=()
	for a in $ALL; do was[$a]=$(counter "$a"); done
	"${@:3}" || rc=1
	for a in $ALL; do
		echo "$a: ${was[$a]} -> $(counter "$a")"
		if [[ $want == *" $a "* ]]; then
			[ $(($(counter "$a") - was[$a])) -ge "$least" ] || rc=1
		else
			[ "$(counter "$a")" = "${was[$a]}" ] || rc=1
		fi
	done
	return $rc
}

# bg NAME NS COMMAND...: in the background, output to $W/NAME.log, pid in PID[NAME].
bg() {
	local name=$1 ns=$2
	shift 2
	ip netns exec "$P-$ns" "$@" >>"$W/$name.log" 2>&1 &
	PID[$name]=$!
}

# stop NAME [SIGNAL]: end it, and wait until it has.
stop() {
	local pid=${PID[$1]:-}
	[ -n "$pid" ] || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	unset "PID[$1]"
}

# listener NAME NS COMMAND...: bg() of what says "listening", and until it does. In a new log: what an earlier one of
# that name has said would be taken for it.
listener() {
	rm -f "$W/$1.log"
	bg "$@"
	until_ok 5 grep -q listening "$W/$1.log"
}

# until_ok SECONDS COMMAND...: again and again until it ends 0. DOVE_TEST_SLOW stretches it.
until_ok() {
	local end=$((${EPOCHREALTIME//[.,]/} + $1 * 1000000 * ${DOVE_TEST_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME//[.,]/}" -lt $end ] || return 1
		sleep 0.05
	done
}

cleanup() {
	local name pids ns
	trap '' INT TERM
	for name in "${!PID[@]}"; do kill "${PID[$name]}" 2>/dev/null; done
	for name in "${!PID[@]}"; do wait "${PID[$name]}" 2>/dev/null; done
	for ns in $(ip netns list | sed -n "s/^\($P-[^ ]*\).*/\1/p"); do
		pids=$(ip netns pids "$ns" 2>/dev/null)
		[ -z "$pids" ] || kill -9 $pids 2>/dev/null
		ip netns del "$ns" 2>/dev/null
	done
	for name in "${!NEIGHBOURS[@]}"; do echo "${NEIGHBOURS[$name]}" >"$name"; done
	if [ -n "$W" ]; then
		for name in "$W"/bpf-*; do umount "$name" 2>/dev/null; done
		[ -n "${KEEP_LOGS:-}" ] || rm -rf "$W"
	fi
}

finish() {
	say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ "$FAILED" = 0 ]
}

need_root() { [ "$(id -u)" = 0 ] || { say "skip $0: needs root"; say "0 passed, 0 failed, 1 skipped"; exit 0; }; }

ns_add() {
	local ns
	for ns in "$@"; do
		ip netns add "$P-$ns" || fail "namespace $P-$ns"
		on "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
		on "$ns" ip link set lo up
	done
}

# wire NS1 DEV1 ADDR1 NS2 DEV2 ADDR2: with the MTU $WIRE_MTU (1500)
wire() {
	ip link add "$2" netns "$P-$1" mtu "${WIRE_MTU:-1500}" type veth peer name "$5" netns "$P-$4" mtu "${WIRE_MTU:-1500}"
	[ "$3" = - ] || on "$1" ip addr add "$3" dev "$2"
	[ "$6" = - ] || on "$4" ip addr add "$6" dev "$5"
	on "$1" ip link set "$2" up
	on "$4" ip link set "$5" up
}

host_addr() { echo "198.51.100.$((4 * ${1#h} - 3))"; }
router_addr() { echo "198.51.100.$((4 * ${1#h} - 2))"; }
host_addr6() { echo "2001:db8:${1#h}::1"; }
router_addr6() { echo "2001:db8:${1#h}::2"; }

# ipv6 NS...: these namespaces speak IPv6, too. Before they get interfaces.
ipv6() {
	local ns
	for ns in "$@"; do
		on "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
			net.ipv6.conf.default.accept_dad=0
	done
}

# An interface's further address, of the underlay, and of hosts the way to all others.
addr6() { on "$1" ip addr add "$3/64" dev "$2" nodad; }
# bridged HOST: br0 takes eth0 and its addresses, of each family that the host has. Its
# Ethernet address is eth0's and stays: the kernel would else choose the lowest of all
# members', anew with each VM that is plugged in, and the router send to the old one.
bridged() {
	on "$1" ip link add br0 address "$(on "$1" cat /sys/class/net/eth0/address)" type bridge
	on "$1" ip link set br0 up
	on "$1" ip addr flush dev eth0 scope global
	on "$1" ip link set eth0 master br0
	if [[ ${FAMILY[$1]} == *4* ]]; then
		on "$1" ip addr add "$(host_addr "$1")/30" dev br0
		on "$1" ip route replace default via "$(router_addr "$1")"
	fi
	[[ ${FAMILY[$1]} == *6* ]] || return 0
	addr6 "$1" br0 "$(host_addr6 "$1")"
	on "$1" ip -6 route replace default via "$(router_addr6 "$1")" dev br0
	on "$1" ip -6 route flush dev eth0
}
world_host() { # H
	local h=$1 addr=- router=-
	ns_add "$h"
	[[ ${FAMILY[$h]} != *6* ]] || ipv6 "$h"
	[[ ${FAMILY[$h]} != *4* ]] || addr=$(host_addr "$h")/30 router=$(router_addr "$h")/30
	wire "$h" eth0 "$addr" r "$h" "$router"
	[ $addr = - ] || on "$h" ip route add default via "$(router_addr "$h")"
	[[ ${FAMILY[$h]} == *6* ]] || return 0
	addr6 "$h" eth0 "$(host_addr6 "$h")"
	addr6 r "$h" "$(router_addr6 "$h")"
	on "$h" ip route add default via "$(router_addr6 "$h")"
}

# The kernel's neighbour tables have one bound for all namespaces, 1,024: a test's VM with a thousand neighbours
# would leave none to anybody else. Put back by cleanup().
declare -A NEIGHBOURS=()
neighbours_many() {
	local f
	for f in /proc/sys/net/ipv{4,6}/neigh/default/gc_thresh3; do
		[ -w $f ] && [ "$(cat $f)" -lt 16384 ] || continue
		NEIGHBOURS[$f]=$(cat $f)
		echo 16384 >$f
	done
}

# room: $W, and that all is taken down. world() begins with it.
room() {
	need_root
	trap 'cleanup' EXIT
	trap "trap '' INT TERM; exit 130" INT TERM # a second one would cut short what the first began
	W=$(mktemp -d "${TMPDIR:-/tmp}/dove-test.XXXXXX") || exit 1
}

world() {
	local n=${1:-2} i
	room
	neighbours_many
	for ((i = 1; i <= n; i++)); do
		shift $(($# > 0))
		FAMILY[h$i]=${1:-4}
	done
	ns_add r s
	on r sysctl -qw net.ipv4.ip_forward=1
	[[ ${FAMILY[*]} != *6* ]] || ipv6 r s
	wire s eth0 $DPS_ADDR/24 r s0 192.0.2.1/24
	on s ip route add default via 192.0.2.1
	if [[ ${FAMILY[*]} == *6* ]]; then
		on r sysctl -qw net.ipv6.conf.all.forwarding=1
		addr6 s eth0 $DPS_ADDR6
		addr6 r s0 2001:db8::1
		on s ip route add default via 2001:db8::1
		DPS_LISTEN=[::]:6083
	fi
	for ((i = 1; i <= n; i++)); do world_host h$i; done
}

service() {
	mkdir -p "$W/dps"
	bg dps s "$BUILD/dove-dps" run --data "$W/dps" --listen "$DPS_LISTEN" --insecure "$@"
	until_ok 15 ctl status || { cat "$W/dps.log" >&2; fail "dove-dps does not answer"; }
}

ctl() { on s "$BUILD/dovectl" --dps $DPS_URL "$@"; }

agent() {
	local h=$1 url=$DPS_URL
	shift
	[[ ${FAMILY[$h]} == *4* ]] || url=http://[$DPS_ADDR6]:6083
	mkdir -p "$W/bpf-$h" "$W/run-$h"
	mountpoint -q "$W/bpf-$h" || mount -t bpf bpf "$W/bpf-$h"
	[ ! -f "$W/$h.json" ] || set -- --config "$W/$h.json" "$@"
	bg "agent-$h" "$h" "$BUILD/dove-agent" run --host "$h" --dps "$url" --run-dir "$W/run-$h" \
		--pin-dir "$W/bpf-$h" "$@"
	until_ok 15 da "$h" status || { cat "$W/agent-$h.log" >&2; fail "dove-agent on $h does not answer"; }
}

# da HOST COMMAND...: the run directory goes after the command's words.
da() {
	local h=$1
	shift
	case $1 in
	port) on "$h" "$BUILD/dove-agent" "$1" "$2" --run-dir "$W/run-$h" "${@:3}" ;;
	*) on "$h" "$BUILD/dove-agent" "$1" --run-dir "$W/run-$h" "${@:2}" ;;
	esac
}

# vm_addrs NAME ADDR,...: give the namespace's eth0 these addresses, /24 or /64 where they have no length.
vm_addrs() {
	local ns=$1 addr
	for addr in ${2//,/ }; do
		case $addr in
		*:*/*) on "$ns" ip addr add "$addr" dev eth0 nodad ;;
		*:*) on "$ns" ip addr add "$addr/64" dev eth0 nodad ;;
		*/*) on "$ns" ip addr add "$addr" dev eth0 ;;
		*) on "$ns" ip addr add "$addr/24" dev eth0 ;;
		esac
	done
}

# vm_wire HOST NAME ADDR,... MAC [MTU]: a veth from the host to the namespace's eth0, no port.
vm_wire() {
	ip link add eth0 netns "$P-$2" address "$4" mtu "${5:-1500}" type veth peer name "v-$2" netns "$P-$1" \
		mtu "${5:-1500}"
	vm_addrs "$2" "$3"
	on "$2" ip link set eth0 up
	on "$1" ip link set "v-$2" up
}

# vm_plug HOST NAME ADDR,... MAC [MTU]: the same, and the namespace.
vm_plug() {
	ns_add "$2"
	[[ $3 != *:* ]] || ipv6 "$2"
	vm_wire "$@"
}

# tap HOST NAME ADDR,... MAC [ARGS]: the same as vm_plug on a tap; ARGS are tapvm's.
tap() {
	ns_add "$2"
	[[ $3 != *:* ]] || ipv6 "$2"
	bg "tap-$2" "$1" "$T/tapvm" "v-$2" "/run/netns/$P-$2" "$4" "${@:5}"
	until_ok 5 grep -q ready "$W/tap-$2.log" || { cat "$W/tap-$2.log"; return 1; }
	vm_addrs "$2" "$3"
}

# vm HOST NAME NETWORK VM IP MAC
vm() {
	vm_plug "$1" "$2" "$5" "$6"
	da "$1" port add "v-$2" --network "$3" --endpoint "$4" >/dev/null || fail "port of $3/$4 on $1"
}

# blue I...: apply network blue (10.1.0.0/16) with a VM vmI for each I: 02:00:00:00:01:0I, 10.1.0.1I.
blue() {
	jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/16"]}] + [$ARGS.positional[] as $i | {kind: "endpoint",
	  network: "blue", name: "vm\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]}]' \
		--args "$@" >"$W/objects.json"
	ctl apply -f "$W/objects.json" >/dev/null
}

# stat HOST NAME: a reason's count, or a field of the stats (hits, misses, questions, stale).
stat() { da "$1" stats --json | jq -r "if .reasons.$2 != null then .reasons.$2 else .$2 end"; }

ping_ok() { on "$1" ping -q -n -c "${3:-3}" -i 0.02 -W 2 "$2"; }
ping_all() { ping_ok "$@" | grep -q ' 0% packet loss'; }

# links on|off FEATURE...: of all the underlay's interfaces, hosts' and the router's towards them.
links() {
	local h feature
	for h in "${!FAMILY[@]}"; do
		for feature in "${@:2}"; do
			on "$h" ethtool -K eth0 "$feature" "$1" >/dev/null 2>&1
			on r ethtool -K "$h" "$feature" "$1" >/dev/null 2>&1
		done
	done
}

# sums_in PCAP: "GOOD BAD", the frames with a right checksum of TCP, UDP or ICMP, and those with any that is wrong.
sums_in() {
	tshark -r "$1" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -T fields \
		-e ip.checksum.status -e tcp.checksum.status -e udp.checksum.status -e icmp.checksum.status \
		-e icmpv6.checksum.status -e tcp.checksum 2>/dev/null |
		# 0: bad, 1: good. The kernel writes TCP's 0 as 0xffff, which is the same number.
		awk -F '\t' '{ bad += $1 $3 $4 $5 ~ /0/ || ($2 ~ /0/ && $6 != "0xffff"); good += $2 $3 $4 $5 ~ /1/ }
			END { print good + 0, bad + 0 }'
}

# right_on_the_wire COMMAND...: what leaves the hosts meanwhile has right checksums, outer and inner, where
# no NIC makes them.
right_on_the_wire() {
	local h rc good bad
	links off tx
	for h in "${!FAMILY[@]}"; do
		# Short, for many of them: in this mode the buffer's places are of the longest's size.
		listener "wire-$h" r tcpdump -i "$h" -Q in --immediate-mode -B 16384 -s 2048 -U -w "$W/wire-$h.pcap" udp port 6081
	done
	"$@"
	rc=$?
	sleep 0.3
	for h in "${!FAMILY[@]}"; do
		stop "wire-$h" INT
		read -r good bad < <(sums_in "$W/wire-$h.pcap")
		echo "$h: $good frames with a good checksum, $bad with a bad one"
		[ "$good" -gt 100 ] && [ "$bad" = 0 ] || rc=1
	done
	links on tx tso
	return $rc
}
