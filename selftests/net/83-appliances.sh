#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The reference table (R10) by appliances as they are in use: a transparent nftables firewall, Suricata inline as
# an IPS, HAProxy as the SSL accelerator. Each is in a namespace of its own, on a host without VMs; what each
# has met is said by its own counters, what came in and went out by captures.
#
#   h1 (TC): vm1 vm2     h2 (XDP): vm3     h3 (TC): fw ips ssl
#
#   fw    eth0 -- br0 -- eth0-out: forbids port 23
#   ips   eth0 -- Suricata -- eth0-out: drops what says attack-at-dawn
#   ssl   eth0 -- HAProxy -- eth0-out: TLS with the client, in the clear with VM 3, each in the other's name
#
# Suricata and HAProxy are unpacked from Debian's packages into build/appliances, not installed.
. "$(dirname "$0")/lib.sh"
UNPACKED=$BUILD/appliances
. "$ROOT/scripts/unpack.sh"

fetch() {
	local newer=$CODENAME
	mkdir -p "$UNPACKED/bin"
	[ "$CODENAME" != bookworm ] || newer=bookworm-backports # bookworm itself has no Suricata
	unpack suricata . "$CODENAME $newer" {suricata,libhtp2}/$newer || return 1
	unpack haproxy . "$CODENAME" haproxy || return 1
	wrapper suricata "$UNPACKED/suricata" "$UNPACKED/suricata/usr/bin/suricata"
	wrapper haproxy "$UNPACKED/haproxy" "$UNPACKED/haproxy/usr/sbin/haproxy"
}

# leg NAME PORT MAC: one of the appliance's two ports, and the endpoint's port on h3
leg() {
	ip link add "eth0$2" netns "$P-$1" address "$3" type veth peer name "a-$1$2" netns "$P-h3"
	on "$1" ip link set "eth0$2" up
	on h3 ip link set "a-$1$2" up
	da h3 port add "a-$1$2" --network blue --endpoint "$1$2" >/dev/null || fail "port of $1$2"
}
appliance() { # NAME MAC MAC
	ns_add "$1"
	leg "$1" "" "$2"
	leg "$1" -out "$3"
}

firewall() {
	bridge fw
	on fw ip link set eth0 master br0
	on fw ip link set eth0-out master br0
}

# Suricata takes frames as they were on a wire: of no more than the MTU, their checksums right.
ips() {
	local side
	for side in "" -out; do on h3 ethtool -K "a-ips$side" tx off tso off gso off >/dev/null; done
	mkdir "$W/ips"
	cat >"$W/ips/rules" <<-'RULES'
	drop tcp any any -> any any (msg:"the word"; content:"attack-at-dawn"; sid:1; rev:1;)
	RULES
	cat >"$W/ips/suricata.yaml" <<-YAML
	%YAML 1.1
	---
	default-rule-path: $W/ips
	rule-files: [rules]
	classification-file: $UNPACKED/suricata/etc/suricata/classification.config
	reference-config-file: $UNPACKED/suricata/etc/suricata/reference.config
	threshold-file: $UNPACKED/suricata/etc/suricata/threshold.config
	stats: {enabled: yes, interval: 1}
	outputs:
	  - eve-log: {enabled: yes, filename: eve.json, types: [alert, drop, stats]}
	logging: {default-log-level: notice, outputs: [console: {enabled: yes}]}
	max-pending-packets: 256
	flow: {memcap: 8mb, hash-size: 1024, prealloc: 100}
	defrag: {memcap: 4mb, hash-size: 1024, max-frags: 1024}
	stream: {memcap: 8mb, inline: yes, prealloc-sessions: 64, reassembly: {memcap: 16mb}}
	host: {hash-size: 256, prealloc: 64, memcap: 4mb}
	unix-command: {enabled: no}
	af-packet:
	  - {interface: eth0, copy-iface: eth0-out, copy-mode: ips, threads: 1, cluster-id: 1, cluster-type: cluster_flow,
	     defrag: no, use-mmap: yes, ring-size: 1024}
	  - {interface: eth0-out, copy-iface: eth0, copy-mode: ips, threads: 1, cluster-id: 2, cluster-type: cluster_flow,
	     defrag: no, use-mmap: yes, ring-size: 1024}
	YAML
	bg suricata ips "$UNPACKED/bin/suricata" -c "$W/ips/suricata.yaml" -l "$W/ips" --af-packet --runmode workers
	until_ok 20 grep -q 'Engine started' "$W/suricata.log" || { cat "$W/suricata.log"; fail "Suricata does not start"; }
}

# The kernel's way to be everybody (Documentation/networking/tproxy.rst): what is for a socket of HAProxy's, by
# whatever address, is delivered here. What it sends must fit the underlay with our headers.
ssl() {
	local side
	on ssl sysctl -qw net.ipv4.conf.all.rp_filter=0
	for side in "" -out; do
		on ssl sysctl -qw "net.ipv4.conf.eth0$side.rp_filter=0"
		on ssl ip link set "eth0$side" mtu 1430
	done
	on ssl ip addr add 10.1.0.51/24 dev eth0
	on ssl ip addr add 10.1.0.52/24 dev eth0-out
	on ssl ip rule add fwmark 1 lookup 100
	on ssl ip route add local 0.0.0.0/0 dev lo table 100
	on ssl nft -f - <<-'NFT'
	table ip proxy {
		chain prerouting {
			type filter hook prerouting priority mangle;
			socket transparent 1 meta mark set 1 accept
			iifname eth0 tcp dport 443 tproxy to :443 meta mark set 1 accept
		}
	}
	NFT
	mkdir "$W/ssl"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=vm3 -addext subjectAltName=IP:10.1.0.13 \
		-keyout "$W/ssl/key.pem" -out "$W/ssl/cert.pem" 2>/dev/null
	cat "$W/ssl/cert.pem" "$W/ssl/key.pem" >"$W/ssl/pair.pem"
	cat >"$W/ssl/haproxy.cfg" <<-CFG
	global
		nbthread 1
		maxconn 200
	defaults
		mode tcp
		timeout connect 5s
		timeout client 20s
		timeout server 20s
	frontend tls
		bind 0.0.0.0:443 interface eth0 transparent ssl crt $W/ssl/pair.pem
		default_backend clear
	backend clear
		source 0.0.0.0 usesrc client interface eth0-out
		server whoever 0.0.0.0
	frontend counters
		bind 127.0.0.1:8404
		mode http
		timeout http-request 5s
		stats enable
		stats uri /
	CFG
	bg haproxy ssl "$UNPACKED/bin/haproxy" -f "$W/ssl/haproxy.cfg" -db
	until_ok 10 ssl_stat stot || { cat "$W/haproxy.log"; fail "HAProxy does not start"; }
}
# A column of what it says of the side towards its clients.
ssl_stat() {
	on ssl curl -sf 'http://127.0.0.1:8404/;csv' | awk -F, -v want="$1" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == want) at = i }
		$1 == "tls" && $2 == "FRONTEND" && at { print $at; found = 1 }
		END { exit !found }'
}
event() { jq -c "select(.event_type == \"$1\")" "$W/ips/eve.json"; }
# What it has counted until now: it says so once a second, and of the second before.
ips_stat() {
	local n; n=$(event stats | wc -l)
	until_ok 5 eval "[ \$(event stats | wc -l) -gt $((n + 1)) ]"
	event stats | tail -n 1 | jq "$1"
}
# Of Suricata, whose own numbers are a second old, the length of a capture; they are held against it at the end.
seen() {
	case $1 in
	fw) on fw nft -j list counter bridge fw "${2:-seen}" | jq '.nftables[] | .counter? // empty | .packets' ;;
	ips) command stat -c %s "$W"/ips-in.pcap ;;
	ssl) ssl_stat stot ;;
	esac
}

# meets "APPLIANCE..." COMMAND...: the command succeeds, and exactly these appliances have counted something of it
ALL="fw ips ssl"
meets() {
	local want=" $1 " a n rc=0
	declare -A was=()
	sleep 0.2 # for what ends a connection
	for a in $ALL; do was[$a]=$(seen "$a"); done
	"${@:2}" || { echo "$*: failed"; rc=1; }
	sleep 0.1
	for a in $ALL; do
		n=$(seen "$a")
		echo "$a: ${was[$a]} -> $n"
		if [[ $want == *" $a "* ]]; then [ "$n" -gt "${was[$a]}" ] || rc=1; else [ "$n" = "${was[$a]}" ] || rc=1; fi
	done
	return $rc
}

# capture NAME NS DEV: to $W/NAME.pcap, all that is IP
capture() {
	bg "$1" "$2" tcpdump -i "$3" --immediate-mode -U -w "$W/$1.pcap" ip
	until_ok 5 grep -q 'listening on' "$W/$1.log"
}
has() { grep -aq "$2" "$W/$1.pcap"; } # NAME TEXT: in the frames as they are

web() { on "$1" curl -sS -m "${3:-5}" -o /dev/null "http://10.1.0.13:$2"; }
pings() { ping_all "$1" 10.1.0.13; }

need_root
why=$(fetch 2>&1) || { say "skip appliances: $(tail -n 1 <<<"$why")"; say "0 passed, 0 failed, 1 skipped"; exit 0; }
world 3
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}] + [(1, 2, 3) as $i | {kind: "endpoint", network: "blue",
    name: "vm\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]}] +
  [["fw", "fw-out", "ips", "ips-out", "ssl", "ssl-out"] | to_entries[] | {kind: "endpoint", network: "blue", name: .value,
    mac: "02:00:00:00:02:0\(.key)", addresses: ({ssl: ["10.1.0.51"], "ssl-out": ["10.1.0.52"]}[.value] // [])}] +
  [{kind: "service", name: "firewall", instances: [{endpoint: "blue/fw", out: "blue/fw-out"}]},
   {kind: "service", name: "ips", instances: [{endpoint: "blue/ips", out: "blue/ips-out"}]},
   {kind: "service", name: "ssl-accelerator", instances: [{endpoint: "blue/ssl", out: "blue/ssl-out", mode: "proxy"}]},
   {kind: "policy", network: "blue", name: "tls-in", priority: 50, from: "any", to: {endpoints: ["vm3"]}, proto: "tcp",
    to_port: 443, action: "allow", path: ["ssl-accelerator"]},
   {kind: "policy", network: "blue", name: "tls-out", priority: 50, from: {endpoints: ["vm3"]}, to: "any", proto: "tcp",
    from_port: 443, action: "allow", path: ["ssl-accelerator"]},
   {kind: "policy", network: "blue", name: "vm1-out", priority: 100, from: {endpoints: ["vm1"]}, to: "any", action: "allow",
    path: ["firewall", "ips"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 --ingress tc >/dev/null
for i in 1 2; do vm h1 vm$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
# What Suricata drops is not to be sent again and again, while others are looked at.
on vm1 sysctl -qw net.ipv4.tcp_orphan_retries=1
vm h2 vm3 blue vm3 10.1.0.13 02:00:00:00:01:03
appliance fw 02:00:00:00:02:00 02:00:00:00:02:01
appliance ips 02:00:00:00:02:02 02:00:00:00:02:03
appliance ssl 02:00:00:00:02:04 02:00:00:00:02:05
firewall
ips
ssl
head -c 3000000 /dev/urandom >"$W/dps/big"
echo hello >"$W/dps/index.html"
for port in 23 80 443; do bg web$port vm3 busybox httpd -f -p $port -h "$W/dps"; done
until_ok 5 on vm3 curl -s -o /dev/null http://10.1.0.13:80/
capture ips-in ips eth0
capture ips-out ips eth0-out
capture ssl-in ssl eth0
capture ssl-out ssl eth0-out
capture vm3 vm3 eth0
capture vm2 vm2 eth0

say "-- a firewall, then an IPS"
check "R10a, R13: what VM 1 sends goes through nftables and Suricata" meets "fw ips" pings vm1
check "R10a: TCP too" meets "fw ips" web vm1 80/
whole() { on vm1 curl -sS -m 30 -o "$W/got" http://10.1.0.13/big && cmp "$W/got" "$W/dps/big"; }
check "R13: 3 MB arrive whole" meets "fw ips" whole
forbidden() {
	! web vm1 23/ 2 || return 1
	on fw nft list counter bridge fw refused
	[ "$(seen fw refused)" -gt 0 ]
}
check "R10a: what nftables forbids does not arrive, and Suricata has not seen it" meets "fw" forbidden
dropped() { ! web vm1 80/attack-at-dawn 2 && until_ok 3 eval '[ -n "$(event drop)" ]' && ! has vm3 attack-at-dawn; }
check "R13: what Suricata alerts on is dropped" meets "fw ips" dropped
in_log() {
	event alert && event drop
	[ "$(event alert | jq -s 'map(select(.alert.action == "blocked" and .alert.signature == "the word" and
		.src_ip == "10.1.0.11" and .dest_ip == "10.1.0.13" and .dest_port == 80)) | length > 0')" = true ] &&
		[ "$(ips_stat .stats.ips.blocked)" -gt 0 ]
}
check "R13: and is in its log, by the VMs' own addresses" in_log
check "R13: it came to Suricata, and did not come out" eval 'has ips-in attack-at-dawn && ! has ips-out attack-at-dawn'
said() { on vm2 curl -sS -m 5 http://10.1.0.13/attack-at-dawn | grep -q 404 && until_ok 2 has vm3 attack-at-dawn; }
check "R10: the rest meets no appliance" meets "" eval 'pings vm2 && web vm2 23/ && said'

say "-- an SSL accelerator: TLS on one side, clear on the other"
tls() { on "$1" curl -sS -m 10 --cacert "$W/ssl/cert.pem" -o "$W/got" -w '%{local_port}\n' "https://10.1.0.13/$2" >"$W/port"; }
hello() { tls vm2 "index.html?word=$1" && cat "$W/got" && grep -qx hello "$W/got"; }
check "R10d: VM 2 speaks TLS to VM 3, which has none" meets "ssl" hello sesame
both_sides() { # of HAProxy: addresses and ports of who began, and what tshark makes of it
	local port side; port=$(cat "$W/port")
	for side in ssl-in ssl-out; do
		tshark -r "$W/$side.pcap" -Y "tcp.srcport == $port && tcp.len > 0" -T fields -e ip.src -e tcp.srcport -e ip.dst -e tcp.dstport \
			-e _ws.col.Protocol -d tcp.port==443,$([ $side = ssl-in ] && echo tls || echo http) 2>/dev/null | sort -u >"$W/$side.seen"
		cat "$W/$side.seen"
	done
	grep -q "^10.1.0.12	$port	10.1.0.13	443	TLS" "$W/ssl-in.seen" && ! grep -vq '	TLS' "$W/ssl-in.seen" &&
		[ "$(cat "$W/ssl-out.seen")" = "10.1.0.12	$port	10.1.0.13	443	HTTP" ]
}
check "R10d: by the same addresses and ports on both sides, as TLS and as HTTP" both_sides
hidden() { has vm3 word=sesame && has ssl-out word=sesame && ! has ssl-in word=sesame && ! has vm2 word=sesame; }
check "R10d: VM 3 can read it, the way to HAProxy cannot" hidden
long() { tls "$1" big && cmp "$W/got" "$W/dps/big"; }
check "R10c: 3 MB back, whole" meets "ssl" long vm2
check "R13: VM 1's goes through firewall and IPS, too, before it and back" meets "fw ips ssl" long vm1
secret() { tls vm1 attack-at-dawn && grep -q 404 "$W/got" && ! has ips-out attack-at-dawn; }
check "R13: in that order: Suricata sees TLS alone" meets "fw ips ssl" secret
many() {
	local i; local -a pids=()
	for i in $(seq 20); do
		on vm$((i % 2 + 1)) curl -sS -m 10 --cacert "$W/ssl/cert.pem" -o "$W/got$i" https://10.1.0.13/index.html & pids+=($!)
	done
	wait "${pids[@]}"
	cat "$W"/got[0-9]* | grep -cx hello | grep -qx 20
}
check "R13: 20 at once, from both VMs" meets "fw ips ssl" many
closed() { ! on vm2 curl -sS -m 3 -o /dev/null http://10.1.0.13:443/no-tls && until_ok 2 has ssl-in no-tls && ! has vm3 no-tls; }
check "R10d: who speaks no TLS to it has no way to VM 3" closed
frames() { tcpdump -r "$W/$1.pcap" "$2" 2>/dev/null | wc -l; }
# Its counters are told once a second; a frame that its ring had no room for is captured, and not received. Of those
# received that are no IP all are probes.
as_captured() {
	local had all passed n
	read -r had all passed < <(ips_stat '"\(.stats.decoder.ipv4) \(.stats.decoder.pkts) \(.stats.ips.accepted + .stats.ips.blocked)"' | tr -d '"')
	n=$(($(frames ips-in 'src 10.1.0.11') + $(frames ips-out 'dst 10.1.0.11')))
	echo "received: $all, of IP $had; passed, or dropped: $passed; captured on their way in: $n"
	[ "$had" -le "$n" ] && [ "$had" -ge $((n * 9 / 10)) ] && [ "$passed" = "$all" ]
}
until_ok 5 as_captured
check "R10: Suricata has met what was captured, and no frame more" as_captured
check "R10: the rest still meets no appliance" meets "" eval 'pings vm2 && web vm2 80/'

say "-- a proxy speaks in nobody's name but of who spoke to it"
mode() {
	jq -n --arg mode "$1" '[{kind: "service", name: "ssl-accelerator", instances: [{endpoint: "blue/ssl", out: "blue/ssl-out",
	  mode: $mode}]}]' >"$W/mode.json" && ctl apply -f "$W/mode.json" >/dev/null
}
refused() { mode routed && sleep 0.5 && count_up h3 off_path on vm2 curl -sS -m 2 --cacert "$W/ssl/cert.pem" https://10.1.0.13/; }
check "an appliance that is not said to be one has no such right" refused
check "and has it again" eval 'mode proxy && until_ok 3 hello open'
forge() { # DEV SOURCE PORT: a TCP segment by that device, from port 443 of VM 3 to VM 2, or the other way round
	on ssl python3 - "$@" "$(on ssl cat "/sys/class/net/$1/address")" <<-'PY'
	import socket, struct, sys
	dev, way, port, mac = sys.argv[1], sys.argv[2], int(sys.argv[3]), bytes.fromhex(sys.argv[4].replace(":", ""))
	a, b = (bytes([10, 1, 0, 13]), 443), (bytes([10, 1, 0, 12]), port)
	(src, sport), (dst, dport) = (a, b) if way == "back" else (b, a)
	def total(data):
	    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
	    while n >> 16:
	        n = (n & 0xffff) + (n >> 16)
	    return ~n & 0xffff
	tcp = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, 4, 0, 0, 0)
	tcp = tcp[:16] + struct.pack("!H", total(src + dst + struct.pack("!HH", 6, 20) + tcp)) + tcp[18:]
	ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, src, dst)
	ip = ip[:10] + struct.pack("!H", total(ip)) + ip[12:]
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind((dev, 0))
	s.send(bytes.fromhex("020000000102") + mac + b"\x08\x00" + ip + tcp)
	PY
	sleep 0.2
	false
}
check "in VM 3's name to a port of VM 2 that has said nothing: dropped" count_up h3 off_path forge eth0 back 9
check "in VM 2's, in a flow that it never began: dropped" count_up h3 off_path forge eth0-out forth 9
nothing() { ! tshark -r "$W/vm2.pcap" -Y 'tcp.dstport == 9' 2>/dev/null | grep . && ! tshark -r "$W/vm3.pcap" -Y 'tcp.srcport == 9' 2>/dev/null | grep .; }
check "and neither has arrived" nothing

say "-- Suricata hangs"
probes() { [ "$(da h3 port list --json | jq -r --arg d "a-$1" '.[] | select(.device == $d).probe')" = "$2" ]; }
ips_state() { [ "$(ctl path --network blue --from vm1 --to vm2 --json | jq -r '.hops[1].instances[0].state')" = "$1" ]; }
check "R28: probes pass through nftables and Suricata, both ways" eval 'until_ok 5 probes fw passing && until_ok 5 probes fw-out passing &&
	until_ok 5 probes ips passing && until_ok 5 probes ips-out passing'
check "R28: and not through HAProxy, which is in use all the same" eval 'probes ssl none && probes ssl-out none && hello again'
kill -STOP "${PID[suricata]}"
check "R28: stopped, it lets none through" until_ok 5 probes ips failed
check "R28: and is as good as dead" until_ok 5 ips_state dead
check "R28: so packets that need it are dropped before it" count_up h3 no_service ping_ok vm1 10.1.0.13 1
kill -CONT "${PID[suricata]}"
check "R28: it goes on, and has its packets again" eval 'until_ok 10 ips_state up && until_ok 5 pings vm1'
finish
