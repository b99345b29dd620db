#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Replies to what a policy let through pass without a second policy, and
# nothing else does; denials are silent, or told.
#
#   h1 (TC): v1, v3     h2 (XDP): v2, g1     h3 (TC): where VMs move to
#
#   blue (10.1.0.0/24, fd00:1::/64): v1, v2, v3; everything is denied that no policy allows
#   green (10.2.0.0/24): g1
. "$(dirname "$0")/lib.sh"

declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [v3]=10.1.0.13 [g1]=10.2.0.11)
declare -A IN6=([v1]=fd00:1::11 [v2]=fd00:1::12 [v3]=fd00:1::13 [g1]=fd00:9::11)

objects() { # DEFAULT POLICIES: what is not among them any more goes
	local name
	jq -n --arg default "$1" --argjson policies "$2" '[
	  {kind: "network", name: "blue", subnets: ["10.1.0.0/24", "fd00:1::/64"], default: $default},
	  {kind: "network", name: "green", subnets: ["10.2.0.0/24", "fd00:9::/64"]}] +
	  [(1, 2, 3) as $i | {kind: "endpoint", network: "blue", name: "v\($i)", mac: "02:00:00:00:01:0\($i)",
	   addresses: ["10.1.0.1\($i)", "fd00:1::1\($i)"]}] +
	  [{kind: "endpoint", network: "green", name: "g1", mac: "02:00:00:00:02:01", addresses: ["10.2.0.11", "fd00:9::11"]}] +
	  [$policies[] | {kind: "policy", network: "blue"} + .]' >"$W/objects.json"
	ctl apply -f "$W/objects.json" >/dev/null || return 1
	for name in $(ctl get policy --json | jq -r '.[] | "\(.network)/\(.name)"'); do
		jq -e --arg n "$name" 'any(.[]; .kind == "policy" and "\(.network)/\(.name)" == $n)' "$W/objects.json" >/dev/null ||
			ctl delete policy "$name" >/dev/null
	done
}
OUT='{"name": "out", "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["v2", "v3"]}, "action": "allow"}'

plug() { # HOST NAME NETWORK
	vm_plug "$1" "$2" "${IN4[$2]},${IN6[$2]}" "$(ctl get endpoint "$3/$2" --json | jq -r '.. | .mac? // empty')"
	on "$2" ip route add default via "${IN4[$2]%.*}.1"
	on "$2" ip route add default via "${IN6[$2]%::*}::1"
	da "$1" port add "v-$2" --network "$3" --endpoint "$2" >/dev/null || fail "port of $2"
}
quiet_ping() { refuses on "$1" ping -q -n -c 2 -i 0.02 -W 1 "$2"; }
web() { on "$1" curl -gsS -m "${3:-3}" -o /dev/null "http://$2/"; }
ends() { # STATUS COMMAND...: it ends so
	local want=$1 got=0
	shift
	"$@" || got=$?
	echo "status $got"
	[ $got = "$want" ]
}
asks() { on "$1" dig +time=1 +tries=1 +short "@$2" host.example.test | tee /dev/stderr | grep -qx 192.0.2.77; }
port_closed() { on "$1" dig +time=2 +tries=1 -p 5353 "@$2" host.example.test 2>&1 | tee /dev/stderr | grep -q 'connection refused'; }
trace() { on "$1" tracepath -n -m 4 "$2" | tee /dev/stderr | grep -q 'reached'; }
filtered() { on "$1" ping -n -c 1 -W 2 "$2" | tee /dev/stderr | grep -qiE 'filtered|prohibited'; }
# count_up HOST REASON COMMAND...: the command must fail, and raise that reason
# One TCP connection with an echo behind it, kept open by descriptor 7.
conn_open() { # NS ADDR
	mkfifo "$W/in"
	exec 7<>"$W/in"
	bg conn "$1" sh -c "busybox nc $2 7 <'$W/in' >'$W/heard' 7>&-"
}
echoes() { # TEXT [SECONDS]
	echo "$1" >&7
	until_ok "${2:-5}" grep -qx "$1" "$W/heard"
}
conn_close() { exec 7>&-; stop conn; }
# Another, on which the side that replies speaks, five times a second.
ticks() { # they go on
	local before; before=$(wc -l <"$W/ticks")
	sleep "${1:-1}"
	echo "$before -> $(wc -l <"$W/ticks")"
	[ "$(wc -l <"$W/ticks")" -gt $((before + 2)) ]
}

world 3
service
objects deny '[]'
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 --ingress tc >/dev/null
plug h1 v1 blue && plug h2 v2 blue && plug h1 v3 blue && plug h2 g1 green
printf '#!/bin/sh\nwhile echo tick; do sleep 0.2; done\n' >"$W/tick.sh"
chmod +x "$W/tick.sh"
bg ticker v2 busybox nc -ll -p 9 -e "$W/tick.sh"
for ns in v1 v2 v3 g1; do
	bg web-$ns $ns busybox httpd -f -p '[::]:80' -h "$W/dps"
	bg echo-$ns $ns busybox nc -ll -p 7 -e cat
	bg dns-$ns $ns dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
		--pid-file= --log-facility=- --address=/host.example.test/192.0.2.77
done
until_ok 5 on g1 curl -s -o /dev/null "http://${IN4[g1]}/"

say "-- a network that denies what no policy allows"
check "R8: denied: IPv4" count_up h1 denied ping_ok v1 10.1.0.12 1
check "R8: denied: IPv6" count_up h1 denied ping_ok v1 fd00:1::12 1
check "R8: denied on one host" count_up h1 denied ping_ok v1 10.1.0.13 1
check "R8: a denial is silent: curl waits until its time is over" ends 28 web v1 10.1.0.12 2

objects deny "[$OUT]"
for to in v2 v3; do
	case $to in v2) where="on another host" ;; v3) where="on the same host" ;; esac
	say "-- one way is allowed, to a VM $where"
	for family in 4 6; do
		case $family in
		4) addr=${IN4[$to]} url=$addr back=${IN4[v1]} back_url=$back ;;
		6) addr=${IN6[$to]} url="[$addr]" back=${IN6[v1]} back_url="[$back]" ;;
		esac
		check "R8: IPv$family: replies to ping pass" until_ok 5 ping_all v1 "$addr"
		check "R8: IPv$family: replies by TCP" web v1 "$url"
		check "R8: IPv$family: replies by UDP" asks v1 "$addr"
		check "R8: IPv$family: ICMP errors about what was sent" port_closed v1 "$addr"
		check "R8: IPv$family: tracepath" trace v1 "$addr"
		check "R8: IPv$family: nothing is begun from there: ping" quiet_ping $to "$back"
		check "R8: IPv$family: nor TCP" ends 28 web $to "$back_url" 1
		check "R8: IPv$family: nor UDP" refuses asks $to "$back"
	done
done
other_port() { # from the port that answered, to another than the one that had asked
	ends 7 web v1 10.1.0.12:8088 && ends 28 on v2 curl -sS -m 1 --local-port 8088 -o /dev/null http://10.1.0.11:8089/
}
check "R8: what has a reply's addresses and not its ports is none" other_port

say "-- by protocol and port"
objects deny '[{"name": "web", "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["v2"]}, "proto": "tcp", "to_port": 80, "action": "allow"}]'
check "R9: the port that is allowed answers" until_ok 5 web v1 10.1.0.12
check "R9: another does not" ends 28 on v1 curl -sS -m 1 -o /dev/null http://10.1.0.12:7/
check "R9: ping does not" quiet_ping v1 10.1.0.12

say "-- what replies do not get past"
objects deny '[{"name": "out", "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["v2"]}, "action": "allow", "reply": false}]'
one_way() { # arrives, and is not answered
	local before after
	before=$(on v2 cat /proc/net/snmp | awk '/^Icmp:/ && $2 ~ /[0-9]/ { print $2 }')
	quiet_ping v1 10.1.0.12 || return 1
	after=$(on v2 cat /proc/net/snmp | awk '/^Icmp:/ && $2 ~ /[0-9]/ { print $2 }')
	echo "ICMP received: $before -> $after"
	[ $((after - before)) -ge 2 ]
}
check "R8: \"reply\": false: what is sent arrives, its replies do not" one_way
objects deny "[$OUT, "'{"name": "back", "priority": 5, "from": {"endpoints": ["v2"]}, "to": "any", "action": "deny"}]'
check "R8: an explicit denial of the other direction wins" quiet_ping v1 10.1.0.12
check "R8: and concerns nobody else" until_ok 5 ping_all v1 10.1.0.13
objects deny "[$OUT, "'{"name": "back", "priority": 5, "from": {"endpoints": ["v2"]}, "to": "any", "proto": "tcp", "action": "deny"}]'
check "R8: one of TCP alone leaves ping its replies" until_ok 5 ping_all v1 10.1.0.12
check "R8: and TCP none" ends 28 web v1 10.1.0.12 1

say "-- two networks"
jq -n '[{kind: "policy", network: "green", name: "from-blue", from: {network: "blue"}, to: "any", action: "allow"}]' >"$W/green.json"
both='{"name": "to-green", "from": {"endpoints": ["v1"]}, "to": {"network": "green"}, "action": "allow"}'
objects deny "[$both]"
ctl apply -f "$W/green.json" >/dev/null
check "R8: between networks replies pass, too" until_ok 5 ping_all v1 10.2.0.11
check "R8: by IPv6" ping_all v1 fd00:9::11
check "R8: by TCP" web v1 10.2.0.11
check "R8: nothing is begun from there" quiet_ping g1 10.1.0.11
sed -i 's/"action"/"reply": false, "action"/' "$W/green.json"
ctl apply -f "$W/green.json" >/dev/null
check "R8: unless either of the two says no" until_ok 3 refuses ping_ok v1 10.2.0.11 1

say "-- denials that are told"
objects reject "[$OUT]"
check "R8: a network whose default rejects: TCP is refused at once" until_ok 3 ends 7 web v3 10.1.0.12
check "R8: by IPv6" ends 7 web v3 "[fd00:1::12]"
check "R8: ping is told that it is prohibited" filtered v3 10.1.0.12
check "R8: by IPv6" filtered v3 fd00:1::12
check "R8: UDP is told" sh -c "ip netns exec $P-v3 dig +time=5 +tries=1 @10.1.0.12 a.test 2>&1 | grep -E 'unreachable|refused'"
check "R8: on one host" ends 7 web v3 10.1.0.11
check "R8: the reason says so" [ "$(stat h1 rejected)" -gt 0 ]
check "R8: replies pass all the same" ping_all v1 10.1.0.12
objects deny '[{"name": "no", "from": {"endpoints": ["v1"]}, "to": {"endpoints": ["v2"]}, "proto": "tcp", "action": "reject"}]'
check "R8: a policy that rejects" until_ok 3 ends 7 web v1 10.1.0.12
check "R8: and the default beside it, which is silent" ends 1 ping_ok v1 10.1.0.12 1

say "-- agents restart, policies change, VMs move: an open connection"
objects deny "[$OUT]"
until_ok 5 ping_ok v1 10.1.0.12 1
conn_open v1 10.1.0.12
check "R8: it opens" echoes zero
bg listener v1 sh -c "busybox nc 10.1.0.12 9 >'$W/ticks'"
check "R8: and another, on which the VM that replies speaks" until_ok 5 ticks
stop agent-h1 KILL
stop agent-h2 KILL
check "R8: both agents dead: it goes on" echoes one
agent h1
agent h2
check "R8: both back: it goes on" echoes two
unrelated() { # raises what the destination's entries rest on: its agent asks whether the flow still holds
	objects deny "[$OUT, "'{"name": "other", "priority": 9, "from": {"endpoints": ["v3"]}, "to": {"endpoints": ["v1", "v2"]}, "action": "deny"}]'
	sleep 0.3
	echoes three
}
check "R17: policies change that do not concern it: it goes on" unrelated
asked() { da h2 stats --json | jq -e '.replies.asked >= 1 and .replies.ended == 0' || { da h2 stats --json | jq -c .replies; false; }; }
check "R17: nor the one on which the VM that replies speaks" until_ok 5 ticks
check "R17: for which its host's agent had asked" asked
move() { # NAME FROM TO: the interface, the sockets stay
	on "$1" ip link set eth0 down
	on "$1" ip link set eth0 name "old$2"
	on "$1" ip addr flush dev "old$2"
	vm_wire "$3" "$1" "${IN4[$1]},${IN6[$1]}" "$(on "$1" cat "/sys/class/net/old$2/address")"
	da "$3" port add "v-$1" --network blue --endpoint "$1"
}
check "R5: the VM that answers moves" move v2 h2 h3
check "R5: the connection goes on, first of all what is said from where it moved" until_ok 8 ticks
check "R5: so does the other" echoes four
check "R5: nothing else is begun from there" quiet_ping v2 10.1.0.11
check "R5: the VM that began it moves" move v1 h1 h3
check "R5: the connections go on, on one host now" echoes five
check "R5: both" until_ok 8 ticks
gone() {
	objects deny '[]'
	sleep 0.3
	refuses echoes six 1
}
check "R20: the policy is taken away: it ends" gone
conn_close
finish
