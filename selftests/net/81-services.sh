#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Service paths: real packets through real appliances, hop by hop, and the
# reference table (R10). An appliance is a namespace with a Linux bridge and
# nftables' bridge family on it; it counts what it sees.
#
#   h1 (TC): vm1 vm2 vm5 | local1     h2 (XDP): vm3 vm7 | local2     h3 (TC): fw1 fw2 ssl ips
#
#   fw1, fw2           two ports: eth0 -- br0 -- eth0-out; let TCP back only as answers to what
#                      they saw go out, and forbid port 23
#   ssl, ips, local1/2 one port: what goes in comes out of it again (hairpin)
#   fw4 (h3)           the same on a tap: a process that can be killed
#   router (h3)        one port, and an address: its kernel routes
. "$(dirname "$0")/lib.sh"

declare -A ADDR=()
for i in 1 2 3 5 7 8; do ADDR[vm$i]=10.1.0.1$i; done

stateful() { # NAME: what comes back must answer what went out (not every kernel has conntrack for bridges)
	on "$1" nft -f - <<-'NFT'
	table bridge fw {
		set flows {
			type ipv4_addr . inet_service . ipv4_addr . inet_service
			flags dynamic, timeout; timeout 60s; size 65536
		}
		chain forward {
			iifname eth0 ip protocol tcp update @flows { ip saddr . tcp sport . ip daddr . tcp dport }
			iifname eth0-out ip protocol tcp ip daddr . tcp dport . ip saddr . tcp sport @flows accept
			iifname eth0-out ip protocol tcp counter name refused drop
		}
	}
	NFT
}
# member HOST NAME PORT: one of the bridge's ports, and the endpoint's port on the host
member() {
	ip link add "eth0$3" netns "$P-$2" type veth peer name "a-$2$3" netns "$P-$1"
	on "$2" ip link set "eth0$3" master br0 up
	on "$1" ip link set "a-$2$3" up
	da "$1" port add "a-$2$3" --network blue --endpoint "$2$3" >/dev/null || fail "port of $2$3 on $1"
}
appliance1() { # HOST NAME
	ns_add "$2"
	bridge "$2"
	member "$1" "$2" ""
	on "$2" ip link set eth0 type bridge_slave hairpin on
}
appliance2() { # HOST NAME
	ns_add "$2"
	bridge "$2"
	member "$1" "$2" ""
	member "$1" "$2" -out
}
ALL="fw1 fw2 ssl ips local1 local2"
meets() { met 1 "$@"; }
apply() { jq -n "$1" >"$W/apply.json" && ctl apply -f "$W/apply.json" >/dev/null; }
policy() { # NAME JSON
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
firewalls() { jq -n --argjson i "$1" '[{kind: "service", name: "firewall", instances: $i}]' >"$W/fw.json" && ctl apply -f "$W/fw.json" >/dev/null; }
FW1='{"endpoint": "blue/fw1", "out": "blue/fw1-out"}'
FW2='{"endpoint": "blue/fw2", "out": "blue/fw2-out"}'
FW3='{"endpoint": "blue/fw3", "out": "blue/fw3-out"}'
web() { on "$1" curl -sS -m 3 -o /dev/null "http://${ADDR[$2]}:$3/"; }
pings() { ping_all "$1" "${ADDR[$2]}"; }
silent() { ! ping_ok "$1" "${ADDR[$2]}" 2; }

world 3
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}] + [(1, 2, 3, 5, 7, 8) as $i | {kind: "endpoint", network: "blue",
  name: "vm\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]}] +
  [["fw1", "fw1-out", "fw2", "fw2-out", "ssl", "ips", "local1", "local2", "router", "fw3", "fw3-out", "fw4"] | to_entries[] | {kind: "endpoint", network: "blue", name: .value,
   mac: "02:00:00:00:02:\(.key + 10)", addresses: (if .value == "router" then ["10.1.0.50"] else [] end)}] +
  [{kind: "service", name: "firewall", instances: [{endpoint: "blue/fw1", out: "blue/fw1-out"}]},
   {kind: "service", name: "ssl-accelerator", instances: [{endpoint: "blue/ssl"}]},
   {kind: "service", name: "looks-twice", instances: [{endpoint: "blue/ips"}]},
   {kind: "service", name: "here", instances: [{endpoint: "blue/local1"}]},
   {kind: "service", name: "there", instances: [{endpoint: "blue/local2"}]},
   {kind: "service", name: "router", instances: [{endpoint: "blue/router", mode: "routed"}]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null
apply '[{kind:"policy",network:"blue",name:"vm1-out",priority:100,from:{endpoints:["vm1"]},to:"any",action:"allow",path:["firewall"]},
  {kind:"policy",network:"blue",name:"no-db",priority:200,from:{endpoints:["vm1","vm2","vm5"]},to:{endpoints:["vm7","vm8"]},action:"deny"},
  {kind:"policy",network:"blue",name:"tls-in",priority:50,from:"any",to:{endpoints:["vm3"]},proto:"tcp",to_port:443,action:"allow",path:["ssl-accelerator"]},
  {kind:"policy",network:"blue",name:"tls-out",priority:50,from:{endpoints:["vm3"]},to:"any",proto:"tcp",from_port:443,action:"allow",path:["ssl-accelerator"]}]'
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 --ingress tc >/dev/null
for i in 1 2 5; do vm h1 vm$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
for i in 3 7; do vm h2 vm$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
appliance2 h3 fw1
appliance2 h3 fw2
for a in fw1 fw2; do stateful $a; done
for a in ssl ips; do appliance1 h3 $a; done
appliance1 h1 local1
appliance1 h2 local2
head -c 3000000 /dev/urandom >"$W/dps/big"
for port in 23 80 443; do bg web$port vm3 busybox httpd -f -p $port -h "$W/dps"; done
bg web1 vm1 busybox httpd -f -p 80 -h "$W/dps"
until_ok 5 on vm3 curl -s -o /dev/null http://10.1.0.13:443/

say "-- the reference table"
check "R10a: what VM 1 sends goes through the firewall, and so does the answer" meets "fw1" pings vm1 vm3
check "R10a: TCP too: the firewall, which is stateful, sees both sides" meets "fw1" web vm1 vm3 80
forbidden() { ! web vm1 vm3 23 && [ "$(counter fw1 refused)" -gt 0 ]; }
check "R10a: what the firewall forbids does not arrive" forbidden
check "R10: the same from VM 2 does: it meets no appliance" meets "" web vm2 vm3 23
check "R10b: VM 1 to VM 7: dropped before any appliance" meets "" count_up h1 denied ping_ok vm1 10.1.0.17 2
check "R10b: VM 2 and VM 5 to VM 7: dropped" meets "" count_up h1 denied ping_ok vm5 10.1.0.17 2
check "R10: VM 2 to VM 3: no appliance" meets "" pings vm2 vm3
check "R10a: what VM 1 answers to VM 3, which began, is sent by VM 1 as well" meets "fw1" web vm3 vm1 80
check "R10c, d: port 443 of VM 3: through the accelerator, there and back" meets "ssl" web vm2 vm3 443
check "R13: VM 1 to port 443 of VM 3: firewall and accelerator add up" meets "fw1 ssl" web vm1 vm3 443
whole() { on vm1 curl -sS -m 20 -o "$W/got" http://10.1.0.13/big && cmp "$W/got" "$W/dps/big"; }
check "R13: 3 MB through the firewall arrive whole" meets "fw1" whole

say "-- longer paths, and shorter ways"
policy vm5-out '{"priority":90,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["firewall","looks-twice"]}'
check "R13: two services, of a kind that only this test knows" meets "fw1 ips" until_ok 2 pings vm5 vm3
check "R13: and TCP" meets "fw1 ips" web vm5 vm3 80
first_stops() { on fw1 nft add rule bridge fw forward ip saddr 10.1.0.15 icmp type echo-request drop && meets "fw1" silent vm5 vm3; }
check "R13: in order: what the first one stops the second never sees" first_stops
on fw1 nft delete rule bridge fw forward handle "$(on fw1 nft -a list chain bridge fw forward | sed -n 's/.*10.1.0.15.*handle //p')"
policy vm5-out '{"priority":90,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["here"]}'
check "R13: appliance and sender on one host" meets "local1" until_ok 2 pings vm5 vm3
policy vm5-out '{"priority":90,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["there"]}'
check "R13: appliance and destination on one host" meets "local2" until_ok 2 pings vm5 vm3
policy vm5-out '{"priority":90,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["here","there","firewall"]}'
check "R13: three services on three hosts, to a VM of the sender's own" meets "fw1 local1 local2" until_ok 2 pings vm5 vm2
policy vm5-out '{"priority":90,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["here"]}'
check "R13: appliance, sender and destination on one host" meets "local1" until_ok 2 pings vm5 vm2
policy vm5-out '{"priority":110,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["here"],"final":true}'
policy vm5-low '{"priority":10,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["looks-twice"]}'
check "R13: final: nothing below adds to it" meets "local1" until_ok 2 pings vm5 vm3
ctl delete policy blue/vm5-low >/dev/null
policy vm5-out '{"priority":90,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["here"],"reply":false}'
check "R13: reply false: what answers goes its own way, and so passes no firewall that looks at both sides" meets "local1" until_ok 2 pings vm5 vm3
back_alone() { local n; n=$(counter local1) && pings vm5 vm3 >/dev/null && [ $(($(counter local1) - n)) = 3 ]; }
check "R13: only the three that went out came by" back_alone
vm_plug h3 router 10.1.0.50 02:00:00:00:02:18
on router sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0 \
	net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
da h3 port add v-router --network blue --endpoint router >/dev/null
policy vm5-out '{"priority":90,"from":{"endpoints":["vm5"]},"to":"any","action":"allow","path":["router"]}'
forwarded() { on router awk '/^Ip: [0-9]/ { print $7 }' /proc/net/snmp; }
routed() {
	local n; n=$(forwarded)
	on vm5 ping -n -c 3 -i 0.1 -W 1 10.1.0.13 | tee /dev/stderr | grep -c 'ttl=63' | grep -qx 3 && [ $(($(forwarded) - n)) -ge 6 ]
}
check "R13: a routed appliance: there and back, a hop of their life less" until_ok 3 routed
check "R13: and TCP" meets "" web vm5 vm3 80
ctl delete policy blue/vm5-out >/dev/null

say "-- no way round"
on fw1 ip addr add 10.1.0.11/24 dev br0
on fw1 ip neigh add 10.1.0.13 lladdr 02:00:00:00:01:03 dev br0
inject() { on fw1 ping -q -n -c 2 -i 0.1 -W 1 -I br0 10.1.0.13; }
check "what did not go into the appliance does not come out of it, in VM 1's name" count_up h3 off_path inject
on fw1 ip addr del 10.1.0.11/24 dev br0
until_ok 3 pings vm1 vm3 && sleep 1 && pings vm1 vm3 >/dev/null
apply '[{kind:"service",name:"here"}]' # h1 has no instance any more
forged() { # a host of ours that has no instance says of a packet that no service is ahead
	da h1 cache --json | jq '[.[] | select(.to == "10.1.0.13")]' >"$W/cache.json"
	on h1 python3 - "$W/cache.json" <<-'PY'
	import json, socket, struct, sys
	for t in json.load(open(sys.argv[1])):
	    rules = t.get("rules") or [t]
	    for rule in rules:
	        inner = bytes.fromhex("020000000103020000000101") + b"\x08\x00"
	        icmp = struct.pack("!BBHHH", 8, 0, 0xf7ff - 77, 77, 0)
	        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 1, 0, bytes([10, 1, 0, 11]), bytes([10, 1, 0, 13]))
	        option = struct.pack("!HBBIIII", 0xff01, 0x81, 4, rule["policy"], t["sequence"], t["source"], t["vnid"])
	        geneve = struct.pack("!BBHI", 5, 0x40, 0x6558, t["vnid"] << 8)
	        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	        s.sendto(geneve + option + inner + ip + icmp, ("198.51.100.5", 6081))
	PY
	sleep 0.3
}
forge() { local i; for i in 1 2 3; do pings vm1 vm3 >/dev/null; forged; done; false; }
check "R20: a host that says there is no service ahead is not believed" count_up h2 bypassed forge

say "-- from allowed to allowed through a firewall, in mid-stream"
datagrams() { on "$1" cat /proc/net/snmp | awk '/^Udp: [0-9]/ { print $2 + $3 }'; }
arrives_no_more() {
	local n
	sleep 0.5
	n=$(datagrams vm3)
	sleep 1
	echo "datagrams: $n -> $(datagrams vm3)"
	[ "$(datagrams vm3)" = "$n" ]
}
on fw1 nft insert rule bridge fw forward udp dport 4000 counter name refused drop
bg send vm2 "$T/probe" send 10.1.0.13 4000 500 6 "$W/sent"
moving() { local n; n=$(datagrams vm3); sleep 0.3; [ "$(datagrams vm3)" -gt "$n" ]; }
check "R20: a stream of datagrams arrives" until_ok 2 moving
policy vm2-out '{"priority":90,"from":{"endpoints":["vm2"]},"to":"any","proto":"udp","action":"allow","path":["firewall"]}'
check "R20: led through a firewall that forbids it: nothing passes under the old translation" arrives_no_more
ctl delete policy blue/vm2-out >/dev/null
check "R20: taken away: it arrives again" until_ok 2 moving
stop send

say "-- which instance, and none"
firewalls "[]"
check "R13: no instance: closed, and counted" count_up h1 no_service ping_ok vm1 10.1.0.13 2
policy vm1-out '{"priority":100,"from":{"endpoints":["vm1"]},"to":"any","action":"allow","path":["firewall"],"on_failure":"open"}'
check "R13: no instance, and the policy says open" meets "" until_ok 2 pings vm1 vm3
policy vm1-out '{"priority":100,"from":{"endpoints":["vm1"]},"to":"any","action":"allow","path":["firewall"]}'
check "R13: and closed again" until_ok 2 silent vm1 vm3
firewalls "[$FW1, $FW2]"
check "R28: two instances: flows come by" until_ok 2 web vm1 vm3 80
both() { local i; for i in $(seq 40); do web vm1 vm3 80 || return 1; done; }
check "R28: 40 connections through both, each whole: both sides by the same instance" meets "fw1 fw2" both
firewalls "[$FW1, $(jq -c '. + {weight: 9}' <<<"$FW2")]"
heavier() {
	local a b
	sleep 0.3
	a=$(counter fw1) b=$(counter fw2)
	both && both || return 1
	a=$(($(counter fw1) - a)) b=$(($(counter fw2) - b))
	echo "fw1 $a, fw2 $b"
	[ "$b" -gt $((2 * a)) ]
}
check "R28: nine of ten flows to the heavier" heavier
firewalls "[$FW1, $(jq -c '. + {state: "down"}' <<<"$FW2")]"
check "R28: one is taken out by the administrator: within a second" until_ok 1 meets "fw1" both
firewalls "[$FW1, $FW2]"
until_ok 2 meets "fw1 fw2" both >/dev/null
no_carrier() { on fw2 ip link set eth0-out down && sleep 0.5 && meets "fw1" both; }
check "R28: one has lost a port's carrier: half a second later all goes by the other" no_carrier
on fw2 ip link set eth0-out up
check "R28: and comes back" until_ok 2 meets "fw1 fw2" both

say "-- an instance that dies under load"
# The other is on another host, which has to be told.
appliance2 h1 fw3
stateful fw3
tap h3 fw4 "" 02:00:00:00:02:21 || fail "tap of fw4"
bridge fw4
on fw4 ip link set eth0 master br0
on fw4 ip link set eth0 type bridge_slave hairpin on
da h3 port add v-fw4 --network blue --endpoint fw4 >/dev/null || fail "port of fw4"
for a in fw2 fw3 fw4; do
	on $a nft add counter bridge fw stream
	on $a nft insert rule bridge fw forward udp dport 4001 counter name stream
done
rising() { local n; n=$(counter "$1" stream); sleep 0.2; [ "$(counter "$1" stream)" -gt "$n" ]; }
# A numbered stream by that appliance, 1,000 a second: its ports give a flow its instance, and there are two.
stream_by() { # NAME
	local i
	for i in 1 2 3 4 5 6 7 8; do
		on "$1" nft reset counter bridge fw stream >/dev/null
		on fw3 nft reset counter bridge fw stream >/dev/null
		listener in vm3 "$T/probe" receive 4001 4 "$W/received" || return 1
		bg out vm1 "$T/probe" send 10.1.0.13 4001 1000 6 "$W/sent"
		until_ok 1 rising "$1" && return 0
		stop out
		stop in
	done
	return 1
}
two_alive() { da h1 status --json | jq -e '.services[] | select(.name == "firewall").instances | length == 2 and all(.alive)'; }
# dies NAME INSTANCE HOW COMMAND...: fw3 is there beside it. What was lost, and for how long, is told, and not judged.
dies() {
	local died n
	firewalls "[$FW3, $(jq -c '. + {weight: 9}' <<<"$2")]"
	until_ok 5 two_alive || fail "no two firewalls"
	stream_by "$1" || fail "no stream by $1"
	died=$(date +%s%N)
	"${@:4}"
	check "R28: $3 under load: the flow comes to use the other" until_ok 5 rising fw3
	wait "${PID[out]}" "${PID[in]}"
	unset "PID[out]" "PID[in]"
	: >"$W/none"
	"$T/probe" judge "$W/sent" "$W/received" "$W/none" >"$W/judged" 2>/dev/null
	say "     $(sed 's/ (.*doubled/, doubled/; s/, overtaken.*//' "$W/judged"); longest silence $("$T/probe" silence "$W/received" "$died")"
	n=$(sed -n 's/.*received \([0-9]*\),.*/\1/p' "$W/judged")
	check "R28: $3 under load: no packet has come by neither" test "$n" -gt 0 -a "$n" -le $(($(counter "$1" stream) + $(counter fw3 stream)))
}
dies fw2 "$FW2" "a port without carrier" on fw2 ip link set eth0-out down
on fw2 ip link set eth0-out up
dies fw4 '{"endpoint": "blue/fw4"}' "a process that is killed" stop tap-fw4 KILL

# One on h1 is left when h3 is gone; h3's underlay is cut, nothing else.
firewalls "[$FW1, $FW3]"
ALL="fw1 fw2 fw3"
check "R28: two on two hosts: flows come by both" until_ok 2 meets "fw1 fw3" both
cut_off() { on r ip link set h3 down && sleep 1 && meets "fw3" both; }
check "R28: one's host does not answer: a second later all goes by the other" cut_off
on r ip link set h3 up
check "R28: and is back" until_ok 5 meets "fw1 fw3" both
firewalls "[$FW1, $FW2]"
until_ok 2 meets "fw1 fw2" both >/dev/null
gone() { da h3 port del a-fw2 >/dev/null && sleep 0.5 && meets "fw1" both; }
check "R28: one is unplugged" gone

say "-- an agent that comes back, and what it tells"
again() { stop agent-h3 && meets "fw1" pings vm1 vm3 && agent h3 && meets "fw1" pings vm1 vm3 && meets "fw1" web vm1 vm3 80; }
check "without its agent an appliance's host goes on, and with a new one" again
tells() {
	da h1 trace v-vm1 --to 10.1.0.13 --proto tcp --port 443 --json | tee /dev/stderr |
		jq -e '[.hops[] | [.stage, .service, .instance, .host]] == [[2, "firewall", "blue/fw1", "h3"], [1, "ssl-accelerator", "blue/ssl", "h3"]]'
}
check "R13: trace tells each hop: service, instance, host" tells
finish
