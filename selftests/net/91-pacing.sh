#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rates by departure time: paced where the NIC's queue holds packets until
# then (fq), policed where it does not, and whichever as soon as that changes.
#
#   v1, v3 -- h1 ---- r ---- h2 -- v2
. "$(dirname "$0")/lib.sh"

received() { on v2 nft -j list counter inet count c$1 | jq '.nftables[] | select(.counter) | .counter.packets'; }
rates() { da h1 status --json | jq -e --arg word "$1" 'all(.nics[]; .rates == $word)'; } # paced|policed
quality() { da h1 trace v-v1 --to 10.1.0.12 --proto udp --port 5002 | tee /dev/stderr | grep -q "^quality .*rate_mbps 1, .*$1"; }
offered() { # FROM PORT SECONDS: 2 Mbit/s, so that an emulated processor can
	on $1 timeout $(($3 + 20)) "$T/numbers" send 10.1.0.12 $2 $(($3 * 200)) 1 1200 5000
}
udp_arrives() { # FROM PORT: percent of 1 Mbit/s, behind a burst
	local before since sender
	offered $1 $2 20 &
	sender=$!
	sleep 4
	before=$(received $2) since=$(date +%s%N)
	sleep 6
	echo $((($(received $2) - before) * 1242 * 800000 / ($(date +%s%N) - since)))
	wait $sender
}
tcp_arrives() { # FROM PORT: percent of 10 Mbit/s, and segments sent again
	on $1 timeout 90 iperf3 -c 10.1.0.12 -p $2 -O 2 -t 6 -J >"$W/iperf.json" || return 1
	jq -r '"\(.end.sum_received.bits_per_second * (1 + 66 / .start.tcp_mss_default) / 1e5 | round) \(.end.sum_sent.retransmits)"' "$W/iperf.json"
}
# GOT POLICED: what a busy machine can, it does, and an emulated one measures no better than that it did when policed.
held() { { [ "$1" -le 105 ] || [ $(($1 * 100)) -le $(($2 * 105)) ]; } && [ $(($1 * 100)) -ge $(($2 < 100 ? $2 * 80 : 8000)) ]; }
paced_udp() {
	local got
	got=$(udp_arrives v1 5002) || return 1
	say "-- udp, paced to 1 Mbit/s: ratio $(jq -n "$got / 100")" >&3
	held "$got" "$policed_udp"
}
paced_tcp() { # beside what it was when it was policed
	local got again
	read -r got again < <(tcp_arrives v1 5002) || return 1
	say "-- tcp, paced to 10 Mbit/s: ratio $(jq -n "$got / 100"); sent again $again, policed $policed_again:" \
		"ratio $(jq -n "$again / ([$policed_again, 1] | max) * 100 | round / 100")" >&3
	held "$got" "$policed_tcp" && [ $((again * 2)) -lt "$policed_again" ]
}
beside() { # what v3, whom no policy limits, gets beside v1, whose rate is held
	local sender
	offered v1 5002 24 &
	sender=$!
	udp_arrives v3 5003
	wait $sender
}
beside_paced() {
	local got
	got=$(beside) || return 1
	say "-- another sender's, beside one that is paced: ratio to that beside one that is policed" \
		"$(jq -n "$got / $policed_beside * 100 | round / 100")" >&3
	[ $((got * 10)) -ge $((policed_beside * 7)) ]
}

need_root
world
service
blue 1 2 3
jq -n '{udp: 1, tcp: 10} | to_entries | map({kind: "policy", network: "blue", name: "slow-\(.key)", priority: 40,
  from: {endpoints: ["vm1"]}, to: {endpoints: ["vm2"]}, to_port: 5002, proto: .key, action: "allow",
  qos: {rate_mbps: .value}})' >"$W/slow.json"
ctl apply -f "$W/slow.json" >/dev/null || fail "policies"
agent h1
agent h2
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress tc >/dev/null
for i in 1 3; do vm h1 v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
until_ok 5 ping_ok v1 10.1.0.12 1 || fail "v1 does not reach v2"
ping_ok v3 10.1.0.12 1 >/dev/null
on v2 nft -f - <<'NFT'
table inet count {
	counter c5002 {}
	counter c5003 {}
	chain in {
		type filter hook input priority 0
		udp dport 5002 counter name c5002
		udp dport 5003 counter name c5003
	}
}
NFT
for port in 5002 5003; do bg iperf-$port v2 iperf3 -s -p $port --forceflush; done
for port in 5002 5003; do until_ok 5 grep -q listening "$W/iperf-$port.log"; done
exec 3>&1

check "R8: without such a queue rates are policed, and said to be" until_ok 30 eval "rates policed && quality policed"
read -r policed_tcp policed_again < <(tcp_arrives v1 5002)
policed_udp=$(udp_arrives v1 5002)
policed_beside=$(beside)
say "-- policed: tcp to 10 Mbit/s, ratio $(jq -n "$policed_tcp / 100"); udp to 1 Mbit/s, ratio $(jq -n "$policed_udp / 100")"
if on h1 tc qdisc add dev eth0 root fq 2>"$W/fq"; then
	check "R8: the agent notices fq on its NIC: rates are paced, as trace and status say" until_ok 30 eval \
		"rates paced && quality paced"
	check "R8: UDP is paced to its rate: within 5 %, and no less for it than when it was policed" paced_udp
	check "R8: so is TCP, and has far less to send again than when it was policed" paced_tcp
	check "R8, R25: another tenant's packets do not wait for it" beside_paced
	on h1 tc qdisc del dev eth0 root
	check "R8: fq is taken away: policed again" until_ok 30 eval "rates policed && quality policed"
else
	skip "R8: pacing: $(uname -r) has no fq: $(head -n 1 "$W/fq")"
fi
finish
