#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Quality of service, as packets show it: marks on the underlay, rates at the
# receiver. A rate is asserted as conformance: what arrives is never more than
# the limit and 5 %; how near it comes is printed, and loosely bounded.
#
#   v1, v3 -- h1 ---- r ---- h2 -- v2
#   v4 -------+
. "$(dirname "$0")/lib.sh"

listen() { # NAME NS DEV FILTER: capture what comes in by that device, until heard NAME
	listener "$1" "$2" tcpdump -i "$3" -Q in --immediate-mode -B 16384 -s 256 -U -w "$W/$1.pcap" "$4"
}
heard() { sleep 0.2 && stop "$1" INT; }
fields() { # NAME FIELD...
	local one args=()
	for one in "${@:2}"; do args+=(-e "$one"); done
	tshark -r "$W/$1.pcap" -T fields "${args[@]}" 2>/dev/null
}
send() { on "$1" "$T/numbers" send "$2" "$3" "${4:-20}" 1 "${5:-100}" 1000 >/dev/null; } # FROM ADDR PORT [N [SIZE]]
policy() { # NAME JSON: one policy of blue
	jq -n --arg name "$1" '[{kind: "policy", network: "blue", name: $name, priority: 10} + '"$2"']' >"$W/policy.json"
	ctl apply -f "$W/policy.json"
}
sequence_of() { # as h1 has watched it
	local id
	id=$(ctl resolve --network blue --from vm1 --to vm2 --proto udp --port 4000 --json | jq .policy)
	on h1 bpftool -j map dump pinned "$W/bpf-h1/$LAYOUT/dove_policies" | jq --argjson id "$id" '.[].formatted | select(.key.policy == $id).value.sequence'
}
refused_with() { # TEXT JSON: refused, naming object and field
	local out
	out=$(policy bad "$2" 2>&1) && return 1
	echo "$out"
	grep -q "policy blue/bad" <<<"$out" && grep -qF "$1" <<<"$out"
}

need_root
world
service
blue 1 2 3 4
VOICE='{from: {endpoints: ["vm1"]}, to: {endpoints: ["vm2"]}, proto: "udp", to_port: 4000, action: "allow",
  qos: {dscp: 46, rate_mbps: 100}}'
policy voice "$VOICE" >/dev/null || fail "policy"
echo '{"classes": {"gold": "1:10", "wrong": 7}}' >"$W/h1.json"
agent h1
agent h2
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress tc >/dev/null
for i in 1 3 4; do vm h1 v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
until_ok 5 ping_ok v1 10.1.0.12 1 || fail "v1 does not reach v2"
ping_ok v3 10.1.0.12 1 >/dev/null

say "-- DSCP"
marks() { # FROM PORT WANTED: "outer inner" of what FROM sends there
	local got
	listen marks r h1 "udp dst port 6081"
	send "$1" 10.1.0.12 "$2"
	heard marks
	got=$(fields marks ip.dsfield.dscp udp.dstport | awk -v port="$2" '$2 ~ "," port "$" { print $1 }' | sort | uniq -c | xargs)
	echo "packets and DSCP outside,inside: $got"
	[ "$got" = "$3" ]
}
check "R8: a policy's DSCP stands in the outer header of what it decides, and there alone" marks v1 4000 "20 46,0"
check "R8: what another policy decides keeps its own" marks v1 4001 "20 0,0"
check "R8: another sender's, too" marks v3 4000 "20 0,0"

say "-- what is refused, and what a change does"
check "R8: a DSCP above 63 is refused, naming object and field" refused_with qos.dscp \
	'{from: "any", to: "any", action: "allow", qos: {dscp: 64}}'
check "R8: a negative one" refused_with qos.dscp '{from: "any", to: "any", action: "allow", qos: {dscp: -1}}'
check "R8: a rate of 0" refused_with qos.rate_mbps '{from: "any", to: "any", action: "allow", qos: {rate_mbps: 0}}'
check "R8: quality for what is denied" refused_with qos '{from: "any", to: "any", action: "deny", qos: {dscp: 46}}'
check "R7: a queue of a device, which is physical" refused_with qos.classid \
	'{from: "any", to: "any", action: "allow", qos: {classid: "1:10"}}'
applied() { # JSON: as the policy; its sequence before and after
	before=$(sequence_of)
	policy voice "$1" >/dev/null || return 1
	sleep 0.5
	after=$(sequence_of)
	echo "sequence $before -> $after"
}
again() { applied "$VOICE" && [ "$before" = "$after" ] && [ "$before" -gt 0 ]; } # as it is, once more
changed() { # its sequence rises, packets follow
	applied "${VOICE/dscp: 46/dscp: 34}" && [ "$after" -gt "$before" ] && until_ok 5 marks v1 4000 "20 34,0" &&
		policy voice "$VOICE" >/dev/null
}
check "R20: applying it again changes nothing" again
check "R20: another mark raises its sequence, and soon packets have it" changed

say "-- rates"
# A flow's frames as they reach v2, in Mbit/s, over some seconds behind the burst.
on v2 nft -f - <<'NFT'
table inet count {
	counter c5001 {}
	counter c5002 {}
	counter c5003 {}
	chain in {
		type filter hook input priority 0
		udp dport 5001 counter name c5001
		udp dport 5002 counter name c5002
		udp dport 5003 counter name c5003
	}
}
NFT
received() { on v2 nft -j list counter inet count c$1 | jq '.nftables[] | select(.counter) | .counter.packets'; }
arrives() { # tcp|udp FROM PORT
	local before since sender
	if [ $1 = tcp ]; then
		on $2 timeout 20 iperf3 -c 10.1.0.12 -p $3 -O 1 -t 3 -J >"$W/iperf-$2.json" || return 1
		jq '.end.sum_received.bits_per_second * (1 + 66 / .start.tcp_mss_default) / 1e6 | round' "$W/iperf-$2.json"
		return
	fi
	on $2 timeout 20 iperf3 -c 10.1.0.12 -p $3 -t 4 -u -b 300M -l 1200 >/dev/null 2>&1 &
	sender=$!
	sleep 1.2
	before=$(received $3) since=$(date +%s%N)
	sleep 2.5
	echo $((($(received $3) - before) * 1242 * 8000 / ($(date +%s%N) - since)))
	wait $sender
}
limited() { # tcp|udp FROM PORT LIMIT
	local got
	got=$(arrives $1 $2 $3) || return 1
	say "-- $1 of $2, limit $4: $got Mbit/s, ratio $(jq -n "$got / $4 * 100 | round / 100")" >&3
	[ "$got" -le $(($4 * 105 / 100)) ] && [ "$got" -ge $(($4 / 2)) ]
}
exec 3>&1
jq -n '[(["blue", "t10", 5001, 10], ["blue", "t100", 5002, 100], ["blue", "t50", 5003, 50]) | {kind: "policy", network: .[0],
  name: .[1], priority: 20, from: "any", to: {endpoints: ["vm2"]}, to_port: .[2], proto: "udp", action: "allow",
  qos: {rate_mbps: .[3]}}, ({kind: "policy", network: .[0], name: (.[1] + "-tcp"), priority: 20, from: "any",
  to: {endpoints: ["vm2"]}, to_port: .[2], proto: "tcp", action: "allow", qos: {rate_mbps: .[3]}})]' >"$W/rates.json"
ctl apply -f "$W/rates.json" >/dev/null || fail "policies"
for port in 5001 5002 5003; do bg iperf-$port v2 iperf3 -s -p $port --forceflush; done
for port in 5001 5002 5003; do until_ok 5 grep -q listening "$W/iperf-$port.log"; done
for way in tcp udp; do
	check "R8: $way is held to 10 Mbit/s: 105 % at most" limited $way v1 5001 10
	check "R8: $way is held to 100 Mbit/s" limited $way v1 5002 100
done
beside() { # two senders under policies of their own, at once: neither has anything of the other's
	limited udp v3 5003 50 &
	limited udp v1 5002 100 || return 1
	wait $!
}
check "R8, R25: a limit does not leak into another's: two senders, two limits, at once" beside
counted() { # where an operator looks
	local n
	n=$(stat h1 rate_limited)
	echo "rate_limited: $n"
	da h1 stats --json | jq -e --argjson n "$n" '$n > 1000 and ([.policies[].limited] | add) == $n'
}
check "R8: what is above a rate is counted as rate_limited, and for its policy" counted
shown() {
	da h1 trace v-v1 --to 10.1.0.12 --proto udp --port 4000 | tee /dev/stderr | grep -q '^quality .*dscp 46.*rate_mbps 100' &&
		da h1 cache --json | jq -e '[.[].rules // [] | .[].qos // {} | .rate_mbps] | contains([10, 50, 100])' &&
		ctl resolve --network blue --from vm1 --to vm2 --proto udp --port 4000 --json | jq -e '.qos.dscp == 46 and .qos.rate_mbps == 100'
}
check "R8: trace, cache and resolve show it" shown

idle() { on h1 bpftool -j map dump pinned "$W/bpf-h1/$LAYOUT/dove_meters" | jq -e 'length == 0'; }
check "R8: meters are there while somebody sends" refuses idle
check "R8: and forgotten when nobody does" until_ok 25 idle

say "-- a port's own limit"
port_limit() { # MBPS: of all that vm4 sends
	jq -n --argjson mbps "$1" '[{kind: "endpoint", network: "blue", name: "vm4", mac: "02:00:00:00:01:04",
	  addresses: ["10.1.0.14"]} + if $mbps > 0 then {qos: {rate_mbps: $mbps}} else {} end]' >"$W/vm4.json"
	ctl apply -f "$W/vm4.json" >/dev/null && until_ok 5 eval "da h1 port list --json | jq -e '.[] |
	  select(.endpoint == \"vm4\") | (.rate_mbps // 0) == $1'"
}
check "R8: a port's limit is changed while it is up" port_limit 20
check "R8: it holds for what a policy would let have more" limited udp v4 5003 20
check "R8: another port's traffic has nothing of it" limited udp v3 5003 50
stop agent-h1 KILL
check "R8: it holds without an agent" limited udp v4 5003 20
agent h1
check "R8: and after its restart" limited udp v4 5003 20
check "R8: taken away, it is gone" port_limit 0

say "-- a class, and the path that is laid out for it"
tagged() { # FROM PORT WANTED: VLAN and outer DSCP of what it sends there, and that all of it arrives
	local got before
	before=$(received $2)
	listen tags r h1 "udp dst port 6081 or vlan"
	send "$1" 10.1.0.12 "$2" 20
	heard tags
	got=$(fields tags vlan.id ip.dsfield.dscp udp.dstport | awk -F '\t' -v port="$2" \
		'$3 ~ "," port "$" { sub(",.*", "", $2); print ($1 == "" ? "-" : $1) "/" $2 }' | sort | uniq -c | xargs)
	echo "packets and VLAN/DSCP: $got; arrived: $(($(received $2) - before))"
	[ "$got" = "$3" ] && [ $(($(received $2) - before)) = 20 ]
}
watched() { on h1 bpftool -j map dump pinned "$W/bpf-h1/$LAYOUT/dove_policies" | jq --argjson id "$1" '.[].formatted | select(.key.policy == $id).value | "\(.sequence) \(.floor)"' -r; }
laid_out() { # JSON PORT WANTED: with this path; the policy's sequence rises, its floor does not
	local id before after
	id=$(ctl resolve --network blue --from vm1 --to vm2 --proto udp --port "$2" --json | jq .qos.rate_policy)
	before=($(watched "$id"))
	jq -n "[{kind: \"underlay_path\", name: \"gold\"} + $1]" >"$W/path.json"
	ctl apply -f "$W/path.json" >/dev/null || return 1
	until_ok 5 tagged v1 "$2" "$3" || { tagged v1 "$2" "$3"; return 1; }
	after=($(watched "$id"))
	echo "sequence ${before[0]} -> ${after[0]}, floor ${before[1]} -> ${after[1]}"
	[ "${after[0]}" -gt "${before[0]}" ] && [ "${after[1]}" = "${before[1]}" ]
}
on r "$T/untag" h1 || fail "untag"
policy gold '{priority: 30, from: {endpoints: ["vm1"]}, to: {endpoints: ["vm2"]}, proto: "udp", to_port: 5001, action: "allow",
  qos: {class: "gold", dscp: 46, rate_mbps: 1000}}' >/dev/null || fail "policy"
check "R28: a class for which nothing is laid out: untagged, with the policy's mark" until_ok 5 tagged v1 5001 "20 -/46"
check "R28: a VLAN is laid out for it: what the policy decides is tagged, arrives, and its sequence rises" \
	laid_out '{vlan: 100}' 5001 "20 100/46"
check "R28: another one, with a DSCP, which goes before the policy's" laid_out '{vlan: 200, dscp: 10}' 5001 "20 200/10"
check "R28: what another policy decides is not tagged" tagged v1 5003 "20 -/0"
check "R28: nor is another sender's" tagged v3 5001 "20 -/0"
check "R7, R28: a policy that names a VLAN is refused" refused_with qos.vlan \
	'{from: "any", to: "any", action: "allow", qos: {vlan: 100}}'
check "R28: a path that is told by nothing is refused" refuses ctl apply -f <(echo '[{"kind":"underlay_path","name":"x"}]')
super() { # super-packets keep the tag, and stay whole enough to be fast
	local got
	policy gold-tcp '{priority: 30, from: {endpoints: ["vm1"]}, to: {endpoints: ["vm2"]}, proto: "tcp", to_port: 5001,
	  action: "allow", qos: {class: "gold", rate_mbps: 10000}}' >/dev/null || return 1
	sleep 0.5
	listen super r h1 "vlan 200"
	got=$(arrives tcp v1 5001)
	heard super
	echo "$got Mbit/s, $(fields super frame.len | wc -l) frames, the longest $(fields super frame.len | sort -n | tail -n 1)"
	[ "$got" -gt 100 ] && [ "$(fields super frame.len | sort -n | tail -n 1)" -gt 5000 ]
}
check "R28: super-packets are tagged, too" super

say "-- a guaranteed share, by the NIC's own classes"
on h1 tc qdisc add dev eth0 root handle 1: htb default 20
on h1 tc class add dev eth0 parent 1: classid 1:1 htb rate 50mbit burst 64k
on h1 tc class add dev eth0 parent 1:1 classid 1:10 htb rate 40mbit ceil 50mbit prio 0 burst 64k
on h1 tc class add dev eth0 parent 1:1 classid 1:20 htb rate 10mbit ceil 50mbit prio 1 burst 64k
share() { # both send more than there is
	local gold other
	arrives udp v3 5003 >"$W/other" & # up to 50 by its policy
	gold=$(arrives udp v1 5001)
	wait $!
	other=$(cat "$W/other")
	say "-- of 50 Mbit/s: $gold for gold, which has 40 for sure, $other for the rest" >&3
	on h1 tc -s class show dev eth0 | grep -A1 'class htb 1:[12]0' | grep -E 'class|Sent'
	[ "$gold" -ge 30 ] && [ "$other" -le 20 ] && [ "$other" -ge 3 ]
}
check "R8: what a policy's class has for sure on this host's NIC it gets beside others that send too much" share
bad_class() { # JSON: the agent does not start with it, and says why
	local out
	echo "$1" >"$W/bad.json"
	out=$(timeout 5 "$BUILD/dove-agent" run --host h1 --dps $DPS_URL --config "$W/bad.json" --run-dir "$W/none" 2>&1) && return 1
	echo "$out"
	grep -q "bad.json: classes: 'gold'" <<<"$out"
}
for bad in '"1:10:2"' '"0:1"' '"gold"' 0 -1 true; do
	check "R8: a host's class that is $bad is refused" bad_class "{\"classes\": {\"gold\": $bad}}"
done
check "R8: trace shows class, path and priority" eval \
	"da h1 trace v-v1 --to 10.1.0.12 --proto udp --port 5001 | grep -q '^quality .*class \"gold\".*priority 65552.*vlan 200'"
finish
