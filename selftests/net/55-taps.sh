#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# VMs on taps, as QEMU has them: super-packets stay whole, checksums come right.
#
#   h1:             v1 (veth), t1 (tap)
#   h2:             v2 (veth), t2 (tap), p2 (tap that takes no offloads)
#   h3 (a bridge):  br0 = eth0 + b3 (veth) + c3 (tap)
#
#   The hosts take in by TC, and again by XDP.
#
# And the same without overlay, for comparison: x1 and x2 are bridges, as is the
# router between them.
. "$(dirname "$0")/lib.sh"

declare -A N=([v1]=1 [t1]=2 [v2]=3 [t2]=4 [p2]=5 [b3]=6 [c3]=7)
four() { echo "10.1.0.1${N[$1]}"; }
six() { echo "fd00:1::1${N[$1]}"; }
mac() { echo "02:00:00:00:01:0${N[$1]}"; }

port() { da "$1" port add "v-$2" --network blue --endpoint "$2" >/dev/null || fail "port of $2"; }
plug() { # HOST NAME: a veth
	vm_plug "$1" "$2" "$(four "$2"),$(six "$2")" "$(mac "$2")"
}
# carried NAME FIELD: to the tap, since the last time
carried() {
	local lines; lines=$(wc -l <"$W/tap-$1.log")
	kill -USR1 "${PID[tap-$1]}"
	until_ok 2 sh -c "[ \$(wc -l <'$W/tap-$1.log') -gt $lines ]"
	tail -n 1 "$W/tap-$1.log" | sed "s/.*to_vm \(.*\), from_vm.*/\1/" | tee /dev/stderr | sed "s/.*\b$2 \([0-9]*\).*/\1/"
}
BYTES=$((40000000 / ${DOVE_TEST_SLOW:-1}))
tcp() { # FROM ADDR [ARGS]: MBit/s
	on "$1" iperf3 -c "$2" -n $BYTES -J "${@:3}" >"$W/iperf.json" || { jq -r .error "$W/iperf.json" >&2; return 1; }
	jq '.end.sum_received.bits_per_second / 1e6 | round' "$W/iperf.json"
}
frames_above() { # FROM TAP BYTES
	carried "$2" max >/dev/null 2>&1
	tcp "$1" "$(four "$2")" && [ "$(carried "$2" max)" -gt "$3" ]
}
received() { on h2 ip -s -j link show dev eth0 | jq -r '.[0].stats64.rx | "\(.bytes) \(.packets)"'; }
# share FROM TAP: of a stream's bytes how many percent came in frames longer than the wire's,
# which had none.
share() {
	local before; before=$(received)
	carried "$2" max >/dev/null 2>&1
	tcp "$1" "$(four "$2")" >/dev/null || return 1
	echo "$before $(received)" | awk '{ n = ($3 - $1) / ($4 - $2); printf "on the wire %d bytes a frame\n", n; exit n > 1514 }' >&2 || return 1
	carried "$2" 'bytes [0-9]* max [0-9]* merged' 2>&1 >/dev/null |
		awk '{ for (i = 1; i < NF; i++) v[$i] = $(i + 1) } END { printf "%d\n", 100 * v["merged"] / v["bytes"] }'
}
merged() { local got; got=$(share "$1" "$2") && echo "$got % merged" && [ "$got" -gt 50 ]; }
in_pieces() { local got; got=$(share "$1" "$2") && echo "$got % merged" && [ "$got" -lt 10 ]; }
same_file() { # FROM URL-HOST
	on "$1" curl -gsS -m 8 -o "$W/got" "http://$2/file" && cmp "$W/got" "$W/www/file"
}
# right_sums NAMES COMMAND...: all that comes to those VMs meanwhile has right checksums.
right_sums() {
	local names=$1 ns rc
	shift
	for ns in $names; do
		rm -f "$W/sums-$ns.log"
		bg sums-$ns $ns "$T/sums" eth0
	done
	for ns in $names; do until_ok 5 grep -q ready "$W/sums-$ns.log"; done
	"$@"
	rc=$?
	sleep 0.2
	for ns in $names; do
		stop sums-$ns
		sed "s/^/$ns: /" "$W/sums-$ns.log"
		grep -qE '^checked [1-9].* wrong 0$' "$W/sums-$ns.log" || rc=1
	done
	return $rc
}
# exchange FROM TO: TCP both ways, UDP one by one and as super-packets, pings
exchange() {
	local addr
	same_file "$1" "$(four "$2")" && same_file "$1" "[$(six "$2")]" || return 1
	for addr in "$(four "$2")" "$(six "$2")"; do
		on "$1" "$T/numbers" send "$addr" 4000 3 1 1200 0 && on "$1" "$T/numbers" send "$addr" 4000 40 1 1200 0 40 &&
			on "$1" ping -q -c 2 -i 0.02 -s 600 -W 2 "$addr" || return 1
	done
}
exchanges() { # FROM:TO...
	local pair
	for pair in "$@"; do
		exchange ${pair%:*} ${pair#*:} >"$W/exchange.log" 2>&1 || { echo "$pair"; cat "$W/exchange.log"; return 1; }
	done
}
all_to_all() { # over hosts, on one host, from and to behind a bridge
	local from to
	for from in $ALL; do
		for to in $ALL; do [ $from = $to ] || exchanges $from:$to || return 1; done
	done
}

world 3
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24", "fd00:1::/64"]},
  {kind: "policy", network: "blue", name: "no", from: {endpoints: ["p2"]}, to: {endpoints: ["v1"]}, proto: "tcp", to_port: 81, action: "reject"}] +
  [["v1", "t1", "v2", "t2", "p2", "b3", "c3"] | to_entries[] | {kind: "endpoint", network: "blue", name: .value,
   mac: "02:00:00:00:01:0\(.key + 1)", addresses: ["10.1.0.1\(.key + 1)", "fd00:1::1\(.key + 1)"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
bridged h3
for h in h1 h2 h3; do agent $h; done
for h in h1 h2 h3; do da $h attach eth0 --ingress tc >/dev/null || fail "attach"; done
plug h1 v1 && plug h2 v2 && plug h3 b3
check "a VM on a tap" tap h1 t1 "$(four t1),$(six t1)" "$(mac t1)"
tap h2 t2 "$(four t2),$(six t2)" "$(mac t2)"
tap h2 p2 "$(four p2),$(six p2)" "$(mac p2)" --plain
tap h3 c3 "$(four c3),$(six c3)" "$(mac c3)"
on h3 ip link set v-b3 master br0
on h3 ip link set v-c3 master br0
for i in "h1 v1" "h1 t1" "h2 v2" "h2 t2" "h2 p2" "h3 b3" "h3 c3"; do port $i; done
ALL="v1 t1 v2 t2 p2 b3 c3"
mkdir "$W/www"
head -c 200000 /dev/urandom >"$W/www/file"
for ns in $ALL; do
	bg iperf-$ns $ns iperf3 -s --forceflush
	bg web-$ns $ns busybox httpd -f -p '[::]:80' -h "$W/www"
done
for ns in $ALL; do until_ok 5 grep -q listening "$W/iperf-$ns.log"; done
ingress() { # tc, xdp: on all hosts
	local h
	for h in h1 h2 h3; do da $h detach eth0 >/dev/null && da $h attach eth0 --ingress "$1" >/dev/null || fail "attach"; done
	until_ok 5 ping_ok v1 "$(four t2)" 1 && until_ok 5 ping_ok v1 "$(four c3)" 1
}
# Hosts send what the wire takes, as with NICs that segment nothing.
wire_size() { if [ "$1" = on ]; then links off tso gso; else links on tso gso; fi; }

for mode in tc xdp; do
	say "-- ingress by $mode"
	ingress $mode
	for from in v1 t1; do
		check "R14: $mode: a super-packet reaches a tap as one, from $from: frames above 16 kB" frames_above $from t2 16384
	done
	wire_size on
	for from in v1 t1; do
		check "R14: $mode: of a stream of wire size more than half reaches it merged, from $from" merged $from t2
	done
	if [ $mode = xdp ]; then
		on h2 ethtool -K eth0 gro off
		check "R14: xdp: the NIC's GRO switched off, it comes in pieces" in_pieces v1 t2
		on h2 ethtool -K eth0 gro on
	fi
	wire_size off
	check "R14: $mode: data and checksums are right, from all kinds to all kinds" right_sums "$ALL" all_to_all
	check "R14: $mode: and all checksums on the wire, where NICs do none" right_on_the_wire \
		exchanges v1:v2 t1:t2 b3:p2 c3:v1 v2:t1 t2:b3 p2:c3
done
ingress tc
bad_sum() { # UDP to port 4000 of v2, whose checksum ought to be another
	on v1 "$T/frame" eth0 1 "020000000103 020000000101 0800 4500 0020 0000 4000 4011 26b4 0a01000b 0a01000d 0fa0 0fa0 000c 1234 00000000"
}
found_out() { right_sums v2 bad_sum >"$W/found.log"; cat "$W/found.log"; grep -qx 'v2: checked 1, undone 0, wrong 1' "$W/found.log"; }
check "R14: one that its sender made wrong arrives, and is found out" found_out
answers() { # what is answered in place, to what left with its checksum undone
	on p2 ip route flush cache
	on p2 ip -6 route flush cache
	on p2 iperf3 -c "$(four v1)" -n 300K
	on p2 iperf3 -c "$(six v1)" -n 300K
	on p2 curl -s -m 2 "http://$(four v1):81/"
	on p2 curl -gs -m 2 "http://[$(six v1)]:81/"
	on p2 "$T/numbers" send "$(four v1)" 4000 3 1 1450
	on p2 "$T/numbers" send "$(six v1)" 4000 3 1 1430
	true
} >/dev/null 2>&1
told() { [ "$(stat h2 too_big_answered)" -gt "$1" ] && [ "$(stat h2 rejected)" -gt "$2" ]; }
before="$(stat h2 too_big_answered) $(stat h2 rejected)"
check "R14: so are they in what the data path itself answers" right_sums p2 answers
check "R14: which was: too large, and rejected" told $before

say "-- without the tunnel device"
drop_h2() {
	local one
	for one in v2 t2 p2; do da h2 port del v-$one >/dev/null; done
	da h2 detach eth0 >/dev/null
	stop agent-h2
}
again_h2() {
	local one
	agent h2
	da h2 attach eth0 --ingress tc >/dev/null
	for one in v2 t2 p2; do port h2 $one; done
	until_ok 5 ping_ok v1 "$(four t2)" 1
}
drop_h2
on h2 ip link add other type vxlan external dstport 6081
on h2 ip link set other up
again_h2
check "R14: the port taken by another's device: no frame above 16 kB reaches the tap" refuses frames_above v1 t2 16384
wire_size on
check "R14: and a stream of wire size does in pieces" in_pieces v1 t2
wire_size off
check "R14: though data and checksums are right" right_sums "v2 t2 p2" exchanges v1:v2 t1:t2 c3:p2
drop_h2
on h2 ip link del other
again_h2
check "R14: with the device it is as before" frames_above v1 t2 16384

[ "${DOVE_TEST_SLOW:-1}" = 1 ] || { finish; exit; } # emulated, it says nothing
say "-- throughput, TCP, one stream, MBit/s (no test: for comparison)"
ns_add x1 xr x2
for ns in x1 xr x2; do
	on $ns ip link add br0 type bridge
	on $ns ip link set br0 up
done
wire x1 eth0 - xr h1 -
wire x2 eth0 - xr h2 -
on x1 ip link set eth0 master br0
on x2 ip link set eth0 master br0
on xr ip link set h1 master br0
on xr ip link set h2 master br0
N+=([xv1]=1 [xt1]=2 [xv2]=3 [xt2]=4)
for n in 1 2; do
	plug x$n xv$n
	tap x$n xt$n "$(four xt$n),$(six xt$n)" "$(mac xt$n)"
	on x$n ip link set v-xv$n master br0
	on x$n ip link set v-xt$n master br0
done
for ns in xv2 xt2; do bg iperf-$ns $ns iperf3 -s --forceflush; done
for ns in xv2 xt2; do until_ok 5 grep -q listening "$W/iperf-$ns.log"; done
ping_ok xv1 "$(four xv2)" 2 >/dev/null
declare -A MBITS
pairs="v1:v2 v1:t2 t1:v2 t1:t2"
for mode in tc xdp; do
	ingress $mode
	for pair in $pairs; do MBITS[$mode:$pair]=$(tcp ${pair%:*} "$(four ${pair#*:})" -n 250M); done
done
for pair in $pairs; do MBITS[bridges:$pair]=$(tcp x${pair%:*} "$(four x${pair#*:})" -n 250M); done
kind() { case $1 in v*) echo veth ;; t*) echo tap ;; esac; }
printf '%-14s %9s %9s %9s   (%s)\n' "from -> to" TC XDP bridges "$(on v1 sysctl -n net.ipv4.tcp_congestion_control)"
for pair in $pairs; do
	printf '%-14s %9s %9s %9s\n' "$(kind $pair) -> $(kind ${pair#*:})" "${MBITS[tc:$pair]}" "${MBITS[xdp:$pair]}" "${MBITS[bridges:$pair]}"
done
finish
