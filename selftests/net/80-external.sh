#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# External networks through a gateway host, for two tenants with the same addresses.
#
#   h1: v1 blue/vm1 ----+        +-- eth0 h3 out0 ------------ x ------------ o
#   h2: w1 red/vm1  ----+-- r ---+   blue/vm3: v3         the router      the server
#                                    203.0.113.1    203.0.113.2  198.18.0.1   198.18.0.9
#                                    2001:db8:f::1  2001:db8:f::2  2001:db8:e::1  2001:db8:e::9
#
#   blue/vm1 and red/vm1 both have 10.1.0.11, fd00:1::11 and 02:00:00:00:01:01.
#   blue's "internet" is everything, red's "lab" is 198.18.0.0/24 and 2001:db8:e::/64 alone.
. "$(dirname "$0")/lib.sh"

O=198.18.0.9 O6=2001:db8:e::9

world 3
ns_add x o
ipv6 h3 x o
wire h3 out0 203.0.113.1/24 x h3 203.0.113.2/24
wire x o 198.18.0.1/24 o x $O/24
addr6 h3 out0 2001:db8:f::1
addr6 x h3 2001:db8:f::2
addr6 x o 2001:db8:e::1
addr6 o x $O6
on x sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
on h3 ip route add 198.18.0.0/24 via 203.0.113.2
on h3 ip route add 2001:db8:e::/64 via 2001:db8:f::2
on o ip route add default via 198.18.0.1
on o ip route add default via 2001:db8:e::1
on h3 sysctl -qw net.ipv4.conf.all.rp_filter=1

service
jq -n '["blue", "red"] as $nets | [$nets[] | {kind: "network", name: ., subnets: ["10.1.0.0/24", "fd00:1::/64"]}] +
  [$nets[] as $n | (1, 3) as $i | {kind: "endpoint", network: $n, name: "vm\($i)", mac: "02:00:00:00:01:0\($i)",
  addresses: ["10.1.0.1\($i)", "fd00:1::1\($i)"]}] +
  [{kind: "external", network: "blue", name: "internet", prefixes: ["0.0.0.0/0", "::/0"], gateway: {host: "h3"}},
   {kind: "external", network: "red", name: "lab", prefixes: ["198.18.0.0/24", "2001:db8:e::/64"], gateway: {host: "h3"}}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null

for h in h1 h2 h3; do
	agent $h
	da $h attach eth0 >/dev/null
done
routed() { on "$1" ip route add default via 10.1.0.1; on "$1" ip route add default via fd00:1::1; }
vm h1 v1 blue vm1 10.1.0.11,fd00:1::11 02:00:00:00:01:01
vm h2 w1 red vm1 10.1.0.11,fd00:1::11 02:00:00:00:01:01
vm h3 v3 blue vm3 10.1.0.13,fd00:1::13 02:00:00:00:01:03
for v in v1 w1 v3; do routed $v; done

mkdir -p "$W/www/cgi-bin"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"; sleep 0.5; echo "$REMOTE_ADDR $REMOTE_PORT" | sed "s/::ffff://; s/[][]//g"\n' >"$W/www/cgi-bin/who"
chmod +x "$W/www/cgi-bin/who"
dd if=/dev/zero of="$W/www/big" bs=1M count=32 status=none
bg httpd o busybox httpd -f -p 80 -h "$W/www"

allow() { # NETWORK NAME EXTERNAL [FURTHER FIELDS]
	jq -n --arg n "$1" --arg p "$2" --arg x "$3" "[{kind: \"policy\", network: \$n, name: \$p, priority: 10, from: \"any\",
	  to: {external: \$x}, action: \"allow\"${4:-}}]" >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
externals() { da h3 status --json | jq -e "$1"; }
dropped() { on h3 nft list table inet dove | grep -F "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }

say "-- the gateway"
both_up() { externals '.externals | length == 2 and all(.state == "up" and .mtu == 1430)'; }
check "R8: both external networks are here, with the underlay's MTU less what we add" until_ok 5 both_up
listed() { da h3 port list --json | jq -e 'map(select(.kind == "external")) | length == 2 and all(.state == "up")'; }
check "they are among the ports" listed
dark() { externals '.forwarding == {"ipv4": false, "ipv6": false}' && grep -q 'IPv4 forwarding is off' "$W/agent-h3.log"; }
check "a host that does not forward says so" dark
on h3 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
check "one that does, too" externals '.forwarding == {"ipv4": true, "ipv6": true}'

say "-- policies"
closed() { refuses ping_ok v1 $O 2 && [ "$(stat h1 denied)" -ge 2 ]; }
check "R8: without a policy nothing goes out, and is counted" closed
closed6() { refuses ping_ok v1 $O6 2; }
check "R8: nor by IPv6" closed6
allow blue out internet
check "R8: a policy to an external network lets it out" until_ok 5 ping_all v1 $O
check "R8: by IPv6, too" until_ok 5 ping_all v1 $O6
check "R8: a VM on the gateway host itself" ping_all v3 $O
check "R8: and the other tenant's policy is its own" refuses ping_ok w1 $O 1
allow red web lab ', proto: "tcp", to_port: 80'
who() { on "$1" curl -s -m 5 "${@:3}" "http://$2/cgi-bin/who"; }
check "R9: protocol and port decide" until_ok 5 who w1 $O
check "R9: what they don't name stays inside" refuses ping_ok w1 $O 1
allow red web lab

say "-- packets"
masked() { local seen; seen=$(who v1 $O); echo "$seen"; [[ $seen == "203.0.113.1 "* ]]; }
check "the server sees the gateway host's address" masked
masked6() { local seen; seen=$(who v1 [$O6]); echo "$seen"; [[ $seen == "2001:db8:f::1 "* ]]; }
check "by IPv6, too" masked6
same_ports() { # both tenants, the same source address and port, at the same time
	local a b pid
	who w1 $O --local-port 5555 >"$W/red" & pid=$!
	a=$(who v1 $O --local-port 5555)
	wait $pid
	b=$(cat "$W/red")
	echo "blue $a, red $b"
	[[ $a == "203.0.113.1 "* && $b == "203.0.113.1 "* && $a != "$b" ]]
}
check "R2: two tenants with the same address and port at the same time" same_ports
bg iperf o iperf3 -s --forceflush
until_ok 5 grep -q listening "$W/iperf.log"
# What the server has not read yet when the client has sent all is not counted.
tcp() { on "$1" timeout $((10 * ${DOVE_TEST_SLOW:-1})) iperf3 -c "$2" -n 16M -J "${@:3}" | jq -e '.end.sum_received.bytes > 4000000'; }
check "TCP out" tcp v1 $O
check "TCP back" tcp v1 $O -R
check "TCP out, IPv6" tcp v1 $O6
check "TCP back, IPv6" tcp v1 $O6 -R
check "TCP out, from the gateway host's own VM" tcp v3 $O
check "TCP back" tcp v3 $O -R
udp() { on v1 iperf3 -u -b 2M -c $O -t 1 -J "$@" | tee /dev/stderr | jq -e '.end.sum | .lost_percent < 50 and .packets > 100'; }
check "UDP out" udp
check "UDP back" udp -R
large() { on v1 ping -q -n -s 3000 -c 3 -i 0.05 -W 1 "$1" | grep ' 0% packet loss'; }
check "fragments, once both ends know the way's MTU" until_ok 5 large $O
check "fragments, IPv6" until_ok 5 large $O6

say "-- sight"
traced() { local said; said=$(da "$1" trace "$2" "${@:4}") && echo "$said" && grep -qE "$3" <<<"$said"; }
check "trace: which external network" traced h1 v-v1 "external network [0-9]+ 'internet'" --to $O
check "trace: by which host" traced h1 v-v1 'way .*to host h3 at 198.51.100.9' --to $O
check "trace: of another prefix it is none" refuses traced h2 v-w1 'external network' --to 203.0.113.2
check "trace: at the gateway host" traced h3 v-v3 'way .*out by dvx[0-9]+, to this host' --to $O6
PORT=$(da h3 port list --json | jq -r '.[] | select(.kind == "external" and .network == "blue").device')
check "trace: what comes from outside is a reply, or denied" \
	traced h3 "$PORT" "'default' denies it, unless it is a reply" --from $O --to 10.1.0.11 --proto tcp --port 80
check "trace: nobody speaks from there with another's address" traced h3 "$PORT" 'spoofed_ip' --from 10.1.0.13 --to 10.1.0.11
event_of() { da h1 events | grep 'denied .*network blue policy default .* 10.1.0.11:0 -> internet:0'; }
check "events name the external network" event_of
cached() { da h1 cache --json | jq -e 'any(.external_name == "internet" and .host == "h3")'; }
check "so does the cache" cached
not_ours() { ! da h3 "$@" 2>"$W/said" && [ "$(cat "$W/said")" = "dove-agent: ${PORT/p/x}, $PORT: are the way out to external network blue/internet" ]; }
check "its devices are no VM's port" not_ours port add "$PORT" --network blue --endpoint vm9
check "nor to be taken away" not_ours port del "$PORT"
check "nor the underlay's" not_ours attach "${PORT/p/x}"

say "-- the way"
hops() { on "$1" busybox traceroute -n -q 1 -w 2 $O | tee /dev/stderr | awk 'NR > 1 { print $2 }' | paste -sd' '; }
way() { local seen; seen=$(hops "$1"); [[ $seen == "10.1.0.1 "[1-9]*" 203.0.113.2 $O" && $(wc -w <<<"$seen") = 4 ]]; }
check "traceroute: the gateway, its host, the router, the server" way v1
check "also where the router is not of the external network" way w1
hops6() { on v1 busybox traceroute6 -n -q 1 -w 2 $O6 | tee /dev/stderr | awk 'NR > 1 { print $2 }' | paste -sd' '; }
way6() { local seen; seen=$(hops6); [[ $seen == "fd00:1::1 "2*" 2001:db8:f::2 $O6" && $(wc -w <<<"$seen") = 4 ]]; }
check "traceroute, IPv6" way6
frag_needed() { on "$1" ping -n -M do -s 1472 -c 2 -i 0.2 -W 1 "$2" 2>&1 | tee /dev/stderr | grep -qE 'mtu ?= ?1430'; }
check "a packet of 1500 bytes is answered: 1430 fit" frag_needed v1 $O
too_big() { on v1 ping -n -M do -s 1452 -c 2 -i 0.2 -W 1 $O6 2>&1 | tee /dev/stderr | grep -qE 'mtu[:=] ?1430'; }
check "IPv6: packet too big" too_big
on x ip link set o mtu 1300
narrow() { on "$1" ping -n -M do -s 1372 -c 2 -i 0.2 -W 1 $O 2>&1 | tee /dev/stderr | grep -qE 'mtu ?= ?1300'; }
check "a router beyond, of another prefix, is heard" narrow w1
on x ip link set o mtu 1500
pmtu() { # the server's datagrams are too large for the overlay: it learns that from the gateway host
	on v1 iperf3 -u -b 2M -l 1472 --dont-fragment -R -c $O -t 1 >/dev/null
	on o ip route get 203.0.113.1 | tee /dev/stderr | grep -q 'mtu 1430'
}
check "a server that sends too large is told, in the name that it knows" pmtu
nothing_learned() { on v1 ip route flush cache; on o ip route flush cache; }
segments() { # their sizes are right even where nobody is told
	nothing_learned
	on o nft 'add table ip deaf; add chain ip deaf in { type filter hook input priority 0; }; add rule ip deaf in icmp type destination-unreachable drop'
	tcp v1 $O -R
}
check "TCP gets along where ICMP is filtered" segments
on o nft flush ruleset
tcp_unclamped() { # without our help with segments
	nothing_learned
	on h3 nft flush chain inet dove segments
	tcp v1 $O -R
}
check "TCP finds the way's MTU by itself" tcp_unclamped

say "-- walls"
check "what is not of the external network is not reached" refuses ping_ok w1 203.0.113.2 2
bg listen h3 busybox httpd -f -p 8080 -h "$W/www"
bg listen1 h1 busybox httpd -f -p 8080 -h "$W/www"
until_ok 5 on h3 curl -s -m 1 http://203.0.113.1:8080/cgi-bin/who
not_host() {
	local a
	for a in 203.0.113.1 198.51.100.9 [2001:db8:f::1]; do
		! on v1 curl -s -m 1 "http://$a:8080/cgi-bin/who" || return 1
	done
	! ping_ok v1 203.0.113.1 1 && [ "$(dropped 'iifname "dvx*" counter')" -gt 0 ]
}
check "R6: the gateway host itself is out of reach" not_host
not_tunnels() {
	local before after
	before=$(dropped 'udp dport')
	for a in 198.51.100.1/6082 198.51.100.1/6081 198.51.100.9/6082; do on v1 bash -c "echo forged >/dev/udp/$a"; done
	sleep 0.3
	after=$(dropped 'udp dport')
	echo "$before -> $after, hints $(stat h3 hints.received) $(stat h1 hints.received)"
	[ $((after - before)) = 2 ]
}
check "R6: nor are tunnels and agents, of no host" not_tunnels
on x ip addr add 169.254.169.254/32 dev lo
on h3 ip route add 169.254.169.254 via 203.0.113.2
not_link_local() { ping_ok h3 169.254.169.254 1 && ! ping_ok v1 169.254.169.254 2 && [ "$(dropped 169.254)" = 2 ]; }
check "R6: nor link-local addresses, which the host reaches" not_link_local
on x nft 'add table ip seen; add chain ip seen in { type filter hook prerouting priority 0; }; add rule ip seen in ip saddr 10.1.0.0/24 counter'
on v1 nft 'add table ip odd; add chain ip odd out { type filter hook postrouting priority 0; }; add rule ip odd out tcp dport 81 tcp flags set rst'
not_unmasked() { # RSTs of no connection
	! on v1 curl -s -m 1 http://$O:81/ && on x nft list table ip seen | tee /dev/stderr | grep 'packets 0 ' &&
		[ "$(dropped 'ct state invalid')" -gt 0 ]
}
check "R6: nothing leaves under a VM's address" not_unmasked
meets() { on h3 nft list table inet dove | grep -q 'iifname "dvx\*" oifname "dvx\*" counter packets 0 bytes 0 drop'; }

near() { # a second external network of the same tenant, with a part of the first one's addresses
	jq -n '[{kind: "external", network: "blue", name: "near", prefixes: ["203.0.113.0/24"], gateway: {host: "h3"}}]' >"$W/near.json"
	ctl apply -f "$W/near.json" >/dev/null
	until_ok 5 externals '.externals | length == 3 and all(.state == "up")' && refuses ping_ok v1 203.0.113.2 1
}
check "R8: the longest prefix decides which external network, and with it the policy" near
allow blue to-near near
check "R8: both of them are reached" until_ok 5 ping_all v1 203.0.113.2
check "R8: each by its own way" ping_all v1 $O
ctl delete policy blue/to-near >/dev/null
check "R8: a policy that goes closes the way" until_ok 5 refuses ping_ok v1 203.0.113.2 1
ctl delete external blue/near >/dev/null

check "R2: nothing went from one network to the other" meets

say "-- inbound"
mark() { da h3 status --json | jq -r ".externals[] | select(.network == \"$1\").mark"; }
on h3 nft -f - <<END
table ip operator {
	chain in { type nat hook prerouting priority dstnat;
		iifname "out0" tcp dport 8001 ct mark set $(mark blue) dnat to 10.1.0.11:80
		iifname "out0" tcp dport 8002 ct mark set $(mark red) dnat to 10.1.0.11:80
		tcp dport 8003 ct mark set $(mark red) dnat to 10.1.0.11:80
	}
}
END
mkdir -p "$W/blue" "$W/red.d"
echo blue >"$W/blue/index.html"
echo red >"$W/red.d/index.html"
bg httpd-v1 v1 busybox httpd -f -p 80 -h "$W/blue"
bg httpd-w1 w1 busybox httpd -f -p 80 -h "$W/red.d"
inbound() { [ "$(on o curl -s -m 2 http://203.0.113.1:$1/)" = "$2" ]; }
check "R8: nobody gets in without a policy" refuses inbound 8001 blue
let_in() {
	jq -n --arg n "$1" --arg x "$2" '[{kind: "policy", network: $n, name: "in", priority: 10, from: {external: $x},
	  to: {endpoints: ["vm1"]}, proto: "tcp", to_port: 80, action: "allow"}]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
let_in blue internet
check "R8: from an external network, by a policy" until_ok 5 inbound 8001 blue
check "R8: which is that tenant's alone" refuses inbound 8002 red
let_in red lab
check "R2: the same address of the other tenant" until_ok 5 inbound 8002 red
check "R2: and still the first one's" inbound 8001 blue
around() { inbound 8003 red && ! on v1 curl -s -m 1 http://203.0.113.1:8003/ && ! meets; }
check "R2: from inside nobody gets to another network, or back, by such a rule" around

say "-- the agent comes and goes"
bg download v1 curl -s -m 30 --limit-rate 4M -o "$W/got" http://$O/big
sleep 1
stop agent-h3 KILL
sleep 0.5
check "what is under way goes on without the agent" ping_all v1 $O
agent h3
check "the next one takes up what is there" until_ok 5 both_up
bg upload v3 curl -s -m 30 --limit-rate 4M -o "$W/got3" http://$O/big
sleep 0.5
stop agent-h3
agent h3
until_ok 5 both_up
whole() { wait "${PID[download]}" "${PID[upload]}"; cmp "$W/got" "$W/www/big" && cmp "$W/got3" "$W/www/big"; }
until_ok 25 cmp "$W/got" "$W/www/big"
until_ok 25 cmp "$W/got3" "$W/www/big"
same() { cmp "$W/got" "$W/www/big" && cmp "$W/got3" "$W/www/big"; }
check "downloads end whole, over a crash and a restart" same
on h3 nft flush ruleset
again() { on h3 nft list table inet dove && ping_all v1 $O; }
check "somebody's 'nft flush ruleset' is made good" until_ok 5 again
on h3 ip link del dvx1
check "so is a device that somebody removed" until_ok 5 again
check "and for the other tenant" until_ok 5 ping_all w1 $O
wider() { on h3 ip link show | grep -c '^[0-9]*: dvx.*mtu 1330' | grep -qx 2; }
on h3 ip link set eth0 mtu 1400
check "another MTU of the underlay is followed" until_ok 5 wider
on h3 ip link set eth0 mtu 1500

gateway_at() { jq --arg h "$1" 'map(select(.kind == "external" and .network == "blue") | .gateway.host = $h)' "$W/objects.json" >"$W/at.json" && ctl apply -f "$W/at.json" >/dev/null; }
on h1 sysctl -qw net.ipv4.ip_forward=1
check "what only the underlay leads to is reached like all else" ping_all v1 $DPS_ADDR
gateway_at h1
taken() { ping_all v1 $DPS_ADDR && da h1 status --json | jq -e '.externals[0].state == "up"' && externals '.externals | length == 1'; }
check "another host becomes the gateway" until_ok 5 taken
gateway_at h3
back() { ping_all v1 $O && da h1 status --json | jq -e '.externals == []'; }
check "and the first one again" until_ok 5 back

say "-- and leaves"
nothing_of() { # NUMBER
	! on h3 ip link show "dvx$1" && ! on h3 ip link show "dvp$1" && ! on h3 ip rule | grep -q "de00000$1" &&
		! on h3 ip -6 rule | grep -q "de00000$1" && ! on h3 ip route show table all | grep -q "dvx$1"
}
RED=$(mark red)
RED_MARK=$(($RED))
connections() { on h3 grep -c "mark=$RED_MARK " /proc/net/nf_conntrack; }
check "connections have their network's mark" connections
red_gone() { nothing_of "${RED: -1}" && [ "$(connections)" = 0 ] && externals '.externals | length == 1'; }
ctl delete policy red/web >/dev/null
ctl delete policy red/in >/dev/null
ctl delete external red/lab >/dev/null
check "an external network that goes takes all of its own with it" until_ok 5 red_gone
check "and nothing of another" ping_all v1 $O
stop agent-h3 KILL
ctl delete policy blue/out >/dev/null
ctl delete policy blue/in >/dev/null
ctl delete external blue/internet >/dev/null
agent h3
clean() {
	externals '.externals == []' && nothing_of 1 && nothing_of 2 && ! on h3 nft list table inet dove 2>/dev/null &&
		[ "$(on h3 sysctl -n net.ipv4.fwmark_reflect net.ipv6.fwmark_reflect | paste -sd' ')" = "0 0" ]
}
check "one that went while no agent ran, too: nothing is left" until_ok 5 clean
check "the host's VMs go on" ping_all v1 10.1.0.13
ctl apply -f "$W/objects.json" >/dev/null
check "and it comes again" until_ok 5 both_up
da h3 port del v-v3 >/dev/null
da h3 detach eth0 >/dev/null
stop agent-h3
left() { on h3 ip -br link | grep -E 'dvx|dvp|dove-'; on h3 ip rule | grep de0000; on h3 nft list ruleset; ls -d "$W"/bpf-h3/v* 2>/dev/null; }
nothing() { [ -z "$(left)" ] || { left; return 1; }; }
check "a host with nothing attached keeps nothing" nothing
finish
