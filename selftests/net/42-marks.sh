#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What stands in the outer headers, as captures on the underlay show it, and
# what of it reaches the VM: ECN, DSCP, TTL, flow label, source port, tags; and
# that tshark knows it all for valid Geneve, by tools/wireshark/dove.lua.
#
#   v1 -- h1 (TC) ---- IPv4 ---- r ---- IPv4 and IPv6 ---- h2 (XDP) -- v2
#   v3 -- h3 (TC) ---- IPv6 -----+
#
#   vN: 10.1.0.1N and fd00:1::1N. r may write marks into what it forwards.
. "$(dirname "$0")/lib.sh"

declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [v3]=10.1.0.13) IN6=([v1]=fd00:1::11 [v2]=fd00:1::12 [v3]=fd00:1::13)
declare -A OVER=([v1]=IPv4 [v3]=IPv6)
LUA=(-X "lua_script:$ROOT/tools/wireshark/dove.lua")
ECN=(not-ect ect1 ect0 ce) # by its value

# listen NAME NS DEV FILTER: capture what comes in by that device, until heard NAME.
listen() {
	listener "$1" "$2" tcpdump -i "$3" -Q in --immediate-mode -B 16384 -s 2048 -U -w "$W/$1.pcap" "$4"
}
heard() { sleep 0.2 && stop "$1" INT; }
# fields NAME FIELD...: of each packet; several of one name by commas, the outer first
fields() {
	local one args=()
	for one in "${@:2}"; do args+=(-e "$one"); done
	tshark -r "$W/$1.pcap" "${LUA[@]}" -o ip.check_checksum:TRUE -T fields "${args[@]}" 2>/dev/null
}
send() { on "$1" ping -q -n -c 1 -W "${WAIT:-0.5}" "${@:3}" "$2" >/dev/null; } # FROM ADDR [ARGS]
to() { if [ "$1" = 4 ]; then echo "${IN4[$2]}"; else echo "${IN6[$2]}"; fi; }   # FAMILY NAME

need_root
if ! tshark -v 2>/dev/null | grep -qi 'with lua'; then
	skip "R13, R14: marks of the outer headers: there is no tshark with Lua"
	finish
	exit
fi
world 3 4 46 6
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24", "fd00:1::/64"]}] + [(1, 2, 3) as $i |
  {kind: "endpoint", network: "blue", name: "vm\($i)", mac: "02:00:00:00:01:0\($i)",
   addresses: ["10.1.0.1\($i)", "fd00:1::1\($i)"]}] +
  [{kind: "policy", network: "blue", name: "to-vm2", from: {endpoints: ["vm1", "vm3"]}, to: {endpoints: ["vm2"]}, action: "allow"}]' \
	>"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
for h in h1 h2 h3; do agent $h; done
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
da h3 attach eth0 --ingress tc >/dev/null
for i in 1 2 3; do vm h$i v$i blue vm$i 10.1.0.1$i,fd00:1::1$i 02:00:00:00:01:0$i; done
for from in v1 v3; do
	for family in 4 6; do until_ok 5 ping_ok $from "$(to $family v2)" 1 || fail "$from does not reach v2"; done
done

# What is captured is what was sent: nobody asks for a neighbour, or for routers.
for i in 1 2 3; do
	on v$i sysctl -qw net.ipv6.conf.eth0.router_solicitations=0
	for j in 1 2 3; do
		for addr in 10.1.0.1$j fd00:1::1$j; do
			[ $i = $j ] || on v$i ip neigh replace $addr lladdr 02:00:00:00:01:0$j dev eth0 nud permanent
		done
	done
done

say "-- DSCP and ECN, put on"
# marked FROM FAMILY: outer and inner TOS of packets of 16 kinds; WANTED is the DSCP outside, or empty: the inner one
marked() {
	local from=$1 family=$2 dscp ecn
	listen marks r h${from#v} "udp dst port 6081"
	for dscp in 0 10 46 63; do
		for ecn in 0 1 2 3; do send $from "$(to $family v2)" -Q $((dscp << 2 | ecn)) || return 1; done
	done
	heard marks
	# IPv4's fields stand before IPv6's, whichever is the outer.
	fields marks ip.dsfield ipv6.tclass | tr '\t' , | sed 's/^,//; s/,$//; s/,/ /' |
		while read -r outer inner; do
			if [ "${OVER[$from]}$family" = IPv64 ]; then echo $((inner)) $((outer)); else echo $((outer)) $((inner)); fi
		done >"$W/marked"
	sort -n "$W/marked" | tr '\n' ';'
	[ "$(sort -u "$W/marked" | wc -l)" = 16 ] &&
		awk -v wanted="${WANTED:-}" '{ w = wanted == "" ? $2 : wanted * 4 + $2 % 4; bad += $1 != w } END { exit bad > 0 }' "$W/marked"
}
for from in v1 v3; do
	for family in 4 6; do
		check "R13: IPv$family in ${OVER[$from]}: DSCP and ECN are copied" marked $from $family
	done
done

say "-- ECN taken off, by RFC 6040"
on r nft -f - <<'NFT'
table inet marks {
	chain write {
		type filter hook forward priority 0
	}
}
NFT
write_marks() { # OUT ECN: into all tunnel packets out of that device, with a DSCP that no VM sent
	on r nft flush chain inet marks write
	on r nft add rule inet marks write oifname "$1" udp dport 6081 ip dscp set cs1 ip ecn set "$2"
	on r nft add rule inet marks write oifname "$1" udp dport 6081 ip6 dscp set cs1 ip6 ecn set "$2"
}
# Inner by outer field, 4.2 of the RFC: what arrives, or nothing.
combined() {
	cat <<-END
		0 0 0 0 -
		1 1 1 1 3
		2 2 1 2 3
		3 3 3 3 3
	END
}
# The size of a ping says what was sent.
wanted() {
	local inner outer row
	while read -r inner row; do
		row=($row)
		for outer in 0 1 2 3; do
			[ "${row[outer]}" = - ] || echo "$((100 + 4 * outer + inner)) $((46 << 2 | row[outer])) ${1#6}"
		done
	done < <(combined)
}
taken_off() { # FROM TO FAMILY
	local from=$1 to=$2 family=$3 inner outer before after
	before=$(stat h${to#v} congested)
	listen off $to eth0 'icmp[icmptype] = 8 or (icmp6 and ip6[40] = 128)'
	for outer in 0 1 2 3; do
		write_marks h${to#v} ${ECN[outer]}
		for inner in 0 1 2 3; do
			WAIT=0.3 send $from "$(to $family $to)" -Q $((46 << 2 | inner)) -s $((100 + 4 * outer + inner))
		done
	done
	heard off
	after=$(stat h${to#v} congested)
	on r nft flush chain inet marks write
	case $family in
	4) fields off frame.len ip.dsfield ip.checksum.status | while read -r len tos sum; do echo $((len - 42)) $((tos)) $sum; done ;;
	6) fields off frame.len ipv6.tclass | while read -r len tos; do echo $((len - 62)) $((tos)); done ;;
	esac | sort -n | sed 's/ *$//' >"$W/off"
	case $family in 4) wanted 1 ;; 6) wanted 6 ;; esac | sort -n | sed 's/ *$//' >"$W/wanted"
	diff "$W/wanted" "$W/off" || return 1
	echo "congested: $before -> $after"
	# Others' multicasts may have been marked, too.
	[ "$(wc -l <"$W/off")" = 15 ] && [ "$after" -gt "$before" ]
}
for pair in "v1 v2" "v3 v2" "v2 v1" "v2 v3"; do
	set -- $pair
	over=${OVER[$1]:-${OVER[$2]:-}} by=$([ $2 = v2 ] && echo XDP || echo TC)
	for family in 4 6; do
		check "R14: IPv$family in $over, by $by: all 16 combinations, one of them dropped and counted; DSCP is the VM's" \
			taken_off $1 $2 $family
	done
done

say "-- TTL"
hops() { # FROM: a packet of each family
	local inside outside family
	listen inside v2 eth0 'icmp[icmptype] = 8 or (icmp6 and ip6[40] = 128)'
	listen outside r h${1#v} "udp dst port 6081"
	for family in 4 6; do send $1 "$(to $family v2)" -t 37 || return 1; done
	heard inside
	heard outside
	inside=$(fields inside ip.ttl ipv6.hlim | xargs)
	outside=$(fields outside ip.ttl ipv6.hlim | tr , '\t' | xargs -n 1 | sort | xargs)
	echo "inside $inside, outside $outside"
	[ "$inside" = "37 37" ] && [ "$outside" = "37 37 64 64" ]
}
for from in v1 v3; do
	check "R14: over ${OVER[$from]}: a VM's TTL does not change within its subnet; the outer one is 64" hops $from
done

say "-- a path for each flow"
FLOWS=16
# flows FROM FAMILY: one line for each packet, `inner source port, outer source port, outer flow label`
flows() {
	local i
	listen flows r h${1#v} "udp dst port 6081"
	for ((i = 0; i < FLOWS; i++)); do on $1 "$T/numbers" send "$(to $2 v2)" 4000 5 1 64 100; done
	heard flows
	fields flows udp.dstport udp.srcport ipv6.flow | awk '{ split($1, d, ","); split($2, s, ","); split($3, f, ",")
		if (d[2] == 4000) print s[2], s[1], f[1] == "" ? "-" : f[1] }' >"$W/flows"
	sort "$W/flows" | uniq -c | head -n 5
	[ "$(wc -l <"$W/flows")" = $((5 * FLOWS)) ] && [ "$(sort -u "$W/flows" | cut -d ' ' -f 1 | uniq -d | wc -l)" = 0 ] &&
		[ "$(cut -d ' ' -f 1 "$W/flows" | sort -u | wc -l)" = $FLOWS ]
}
ports_differ() { # at least all but two of 16, in 16,384
	flows $1 $2 || return 1
	[ "$(cut -d ' ' -f 2 "$W/flows" | sort -u | wc -l)" -ge $((FLOWS - 2)) ] &&
		awk '$2 < 49152 { low++ } END { exit low > 0 }' "$W/flows"
}
labels_differ() { cat "$W/flows" && [ "$(cut -d ' ' -f 3 "$W/flows" | sort -u | grep -vc '^0x0*$')" -ge $((FLOWS - 2)) ]; }
for family in 4 6; do
	check "R14: IPv$family in IPv4: a flow keeps its outer source port, others have others" ports_differ v1 $family
	check "R14: IPv$family in IPv6: so it does there" ports_differ v3 $family
	check "R14: IPv$family in IPv6: and its flow label" labels_differ
done
one_port() { # all pieces of a datagram take one way
	listen pieces r h${1#v} "udp dst port 6081"
	on $1 "$T/numbers" send "$(to $2 v2)" 4000 5 1 4000 1000
	heard pieces
	fields pieces udp.srcport ip.flags.mf ip.frag_offset | tr , '\t' | awk '$(NF - 2) || $NF { print $1 }' | sort | uniq -c | tee "$W/pieces"
	[ "$(wc -l <"$W/pieces")" = 1 ] && awk '$1 < 9 { exit 1 }' "$W/pieces"
}
check "R14: fragments of one datagram have one outer source port" one_port v1 4

say "-- a VM's tags"
# tagged TAG: UDP in such a frame, five times, with an honest packet behind it
tagged() {
	local before after outside
	before=$(stat h1 tagged)
	listen tags r h1 ""
	on v1 "$T/frame" eth0 5 "020000000102 020000000101 $1 0800 4500 0020 0000 4000 4011 26b5 0a01000b 0a01000c 0fa0 0fa0 000c 0000 00000000"
	send v1 "${IN4[v2]}" || return 1
	heard tags
	after=$(stat h1 tagged)
	outside="$(fields tags vlan.id vlan.priority ip.dsfield udp.dstport icmp.type)"
	echo "tagged: $before -> $after; outside:"
	echo "$outside"
	[ $((after - before)) = 5 ] && grep -q "0x00,0x00	6081	8$" <<<"$outside" && ! grep -q '4000' <<<"$outside" &&
		! grep -q '^[^	]' <<<"$outside" && ! grep -q '^	[^	]' <<<"$outside"
}
check "R2, R6: 802.1Q, VLAN 100 with priority 5: dropped, counted, and nothing of it outside" tagged "8100 a064"
check "R6: a priority tag alone" tagged "8100 e000"
check "R6: QinQ" tagged "88a8 a064 8100 c0c8"
untagged() { # the same frame without a tag does arrive
	listen tags r h1 "udp dst port 6081"
	on v1 "$T/frame" eth0 5 "020000000102 020000000101 0800 4500 0020 0000 4000 4011 26b5 0a01000b 0a01000c 0fa0 0fa0 000c 0000 00000000"
	heard tags
	fields tags udp.dstport | sort | uniq -c
	[ "$(fields tags udp.dstport | grep -cx '6081,4000')" = 5 ]
}
check "R14: without a tag that frame is sent" untagged

say "-- Geneve, as tshark sees it"
listen all r h1 "udp dst port 6081"
listen all6 r h3 "udp dst port 6081"
on v1 "$T/numbers" send "${IN4[v2]}" 4000 20 1 600 100
on v3 "$T/numbers" send "${IN6[v2]}" 4000 20 1 600 100
for from in v1 v3; do for family in 4 6; do send $from "$(to $family v2)"; done; done
heard all
heard all6
valid() { # NAME: every packet, and our option in each
	local got
	got=$(fields $1 geneve.version geneve.flags geneve.proto_type geneve.option.class geneve.option.type geneve.option.length)
	sort <<<"$got" | uniq -c
	if tshark -r "$W/$1.pcap" -Y '_ws.malformed or geneve.option.length.invalid or geneve.version.unknown' 2>/dev/null | grep .; then return 1; fi
	# tshark gives the length twice: of all options, and of ours.
	[ "$(sort -u <<<"$got")" = "0	0x40	0x6558	0xff01	0x81	20,20" ] && [ "$(wc -l <<<"$got")" -ge 22 ]
}
check "R13: over IPv4 every packet is valid Geneve with our option" valid all
check "R13: over IPv6 too" valid all6
datagrams() { # one by one and as super-packets, both ways
	local pair family
	for pair in "v1 v2" "v3 v2" "v2 v1" "v2 v3"; do
		for family in 4 6; do
			on ${pair% *} "$T/numbers" send "$(to $family ${pair#* })" 4000 40 1 1200 100 || return 1
			on ${pair% *} "$T/numbers" send "$(to $family ${pair#* })" 4000 80 1 1200 100 40 || return 1
		done
	done
}
# Over IPv6 tshark calls a UDP checksum of 0 illegal (RFC 6935 allows it to tunnels), which is not: bad.
check "R14: where NICs make no checksums all are right, outer and inner" right_on_the_wire datagrams
# What the agent says of those packets, in the order of the fields.
said() { # HOST NAME
	da $1 port list --json | jq --arg dev "v-$2" '.[] | select(.device == $dev)' >"$W/port"
	da $1 cache --json | jq -r --slurpfile port "$W/port" '$port[0] as $port |
		[.[] | select(.to == "10.1.0.12" and .source == $port.id)][0] | [.vnid, .policy, .sequence, $port.id, $port.vnid] | @tsv'
}
DOVE="dove.vnid dove.policy dove.sequence dove.source dove.source_vnid dove.stage dove.flags.relayed dove.flags.returned"
dissected() { # CAPTURE HOST NAME
	local got said
	got=$(fields $1 $DOVE | sort -u)
	said=$(said $2 $3)
	echo "captured: $got"
	echo "said:     $said"
	[ -n "$said" ] && [ "$got" = "$said	0	0	0" ]
}
check "R13: the dissector shows network, policy, sequence and sender as the agent has them" dissected all h1 v1
check "R13: also over IPv6" dissected all6 h3 v3
undisturbed() { # all that tshark says without it, it says with it, and of each packet one thing more
	diff <(tshark -r "$W/all.pcap" -V 2>/dev/null) <(tshark -r "$W/all.pcap" -V "${LUA[@]}" 2>/dev/null) >"$W/more"
	grep '^<' "$W/more" | grep -v 'Protocols in frame' && return 1
	echo "$(grep -c '^> DOVE' "$W/more") of $(fields all frame.number | wc -l)"
	[ "$(grep -c '^> DOVE' "$W/more")" = "$(fields all frame.number | wc -l)" ]
}
check "R13: it takes nothing from what tshark shows without it" undisturbed
# by_hand FLAGS OPTION: a Geneve packet from h1 that no DOVE sends; what the dissector says of it
by_hand() {
	local mac words=$((${#2} / 8)) len
	mac=$(on r cat /sys/class/net/h1/address)
	printf -v len '%04x' $((8 + 8 + ${#2} / 2 + 14))
	listen hand r h1 "udp dst port 6081"
	on h1 "$T/frame" eth0 1 "${mac//:/} 020000000001 0800 4500 0050 0000 4000 4011 0000 c6336401 c6336405 c000 17c1 $len 0000 \
		$(printf %02x $words) $1 6558 123456 00 $2 020000000102 020000000101 88b5"
	heard hand
}
by_hand_fields() { # WANTED
	local got; got=$(fields hand $DOVE dove.flags.track)
	echo "$got"
	[ "$got" = "$1" ]
}
by_hand_says() { tshark -r "$W/hand.pcap" "${LUA[@]}" -V 2>/dev/null | tee /dev/stderr | grep -q "$1"; }
by_hand 40 ff018104000000070000000800000009 # one word of the body is missing
check "R13: an option of another length is shown as malformed" by_hand_says 'Not as long as our option is'
by_hand 00 ff01810400000007000000080000000906abcdef
check "R13: one without the header's C bit is pointed at" by_hand_says "the header's C bit is not set"
check "R13: stage, flags and both networks stand in their places" by_hand_fields "1193046	7	8	9	11259375	0	2	1	0"
by_hand 40 ff01810400000007000000080000000931abcdef
check "R13: with services ahead the lowest flag is the way back" by_hand_fields "1193046	7	8	9	11259375	3		0	0"
check "R13: and said to be" by_hand_says 'Reverse: True'
by_hand 40 01020304000000070000000800000009deadbeef
check "R13: another's option is none of ours" by_hand_fields "								"

say "-- a class of the host's own"
echo '{"outer_dscp": 46}' >"$W/h1.json"
stop agent-h1
agent h1
for family in 4 6; do
	WANTED=46 check "R13: outer_dscp: IPv$family in IPv4: this class outside, the VM's own inside; ECN is copied" marked v1 $family
done
finish
