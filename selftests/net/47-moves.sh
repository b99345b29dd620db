#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# VMs that move under traffic: nothing is lost but what was sent while a VM was attached nowhere.
#
#   h1 (TC): v1, w1     h2 (XDP): w2, and v2 at first     h3 (TC): where it moves to, and back
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/streams.sh"

declare -A IN4=([v1]=10.1.0.11 [v2]=10.1.0.12 [w1]=10.1.0.14 [w2]=10.1.0.15)
RATE=20000
LATE=700 # ms
[ "${DOVE_TEST_SLOW:-1}" = 1 ] || RATE=500

plug() { vm_plug "$1" "$2" "${IN4[$2]}" "${MAC[$2]}"; } # HOST NAME
port() { da "$1" port add "v-$2" --network blue --endpoint "$2" >/dev/null || fail "port of $2"; }
moves() { # NAME HOST...: to one after the other
	local h
	for h in "${@:2}"; do
		move "$1" "$h" port "$h" "$1" || return 1
		sleep "${PAUSE:-1}"
	done
}
orderly() { judged "$1" && in_order "$1"; }

world 3
service
vms_of_blue 10.1.0.0/24
# The origins find out by their packets alone.
echo '{"origin_check": false}' >"$W/h1.json"
three_agents
plug h1 v1 && plug h1 w1 && plug h2 v2 && plug h2 w2
port h1 v1 && port h1 w1 && port h2 v2 && port h2 w2
ping_ok v1 10.1.0.12 1 >/dev/null

# With the neighbour's MAC given: a VM's own kernel lets packets overtake those that wait for ARP, as on any bridge.
say "-- a stream that begins before anything is known of its way"
for from in v1 w2; do
	on $from ip neigh replace 10.1.0.12 lladdr "${MAC[v2]}" dev eth0 nud permanent
	da h1 flush >/dev/null && da h2 flush >/dev/null
	stream v2 $from v2 1
	ended v2
	check "R4: from $from: the agents' packets and the kernel's arrive in order, all of them" orderly v2
	say "     $(judge v2)"
	on $from ip neigh del 10.1.0.12 dev eth0
done
asked() { [ "$(stat h1 held_miss)" -gt 0 ] && [ "$(stat h2 held_miss)" -gt 0 ]; }
check "R4: ... some of which had waited" asked
ping_ok v1 10.1.0.12 1 >/dev/null

say "-- a stream of $RATE probes a second"
stream v2 v1 v2 24
sleep 1
PAUSE=2 check "R5: its VM moves ten times" moves v2 h3 h2 h3 h2 h3 h2 h3 h2 h3 h2
ended v2
check "R5: none lost but those sent while it was detached, none twice, order kept but around moves" orderly v2
say "     $(judge v2)"
[ -z "${CHART:-}" ] || "$T/probe" chart "$W/sent-v2" "$W/received-v2" "$W/windows-v2" "$RATE probes a second while their VM moves from one host to another" >"$CHART"
relayed() { echo "h2 $(stat h2 relayed), h3 $(stat h3 relayed)"; [ $(($(stat h2 relayed) + $(stat h3 relayed))) -gt 0 ]; }
check "R19: the old hosts sent on what still came" relayed
told() { da h1 stats --json | jq -e '.hints.received >= 5'; }
check "R19: and told the origin" told

say "-- a stream from a VM that it had beside it"
ping_ok w2 10.1.0.12 1 >/dev/null
stream v2 w2 v2 8
sleep 1
PAUSE=1.5 check "R5: it leaves, and comes back" moves v2 h3 h2
ended v2
check "R5: none lost but those sent while it was detached, none twice" orderly v2
say "     $(judge v2)"

say "-- connections"
on v2 sh -c 'exec busybox nc -ll -p 9 -e cat' >/dev/null 2>&1 &
PID[echo]=$!
until_ok 5 on v2 sh -c 'ss -ltn | grep -q ":9 "'
mkfifo "$W/typed"
bg idle v1 sh -c "exec busybox nc 10.1.0.12 9 <'$W/typed' >'$W/echoed'"
exec 9>"$W/typed"
typed() { echo "$1" >&9; until_ok "${2:-5}" grep -qx "$1" "$W/echoed"; }
check "R5: one that is silent most of the time opens" typed before
listener iperf v2 iperf3 -s -1 --forceflush
on v1 iperf3 -c 10.1.0.12 -t 13 -J >"$W/iperf.json" 2>&1 &
PID[transfer]=$!
check "R5: ten moves more, under a transfer" moves v2 h3 h2 h3 h2 h3 h2 h3 h2 h3 h2
wait "${PID[transfer]}"; unset "PID[transfer]"
transferred() { jq -e '.end.sum_received.bytes > 10000000' "$W/iperf.json"; }
check "R5: the transfer came to its end" transferred
check "R5: the silent one still speaks" typed after 10
exec 9>&-
stop idle; stop echo

say "-- there and back, while the hosts hear of it late"
listener late s "$T/delay" 6084 $DPS_ADDR 6083 $LATE
for h in h2 h3; do
	stop agent-$h
	DPS_URL=http://$DPS_ADDR:6084 agent $h
done
relays() { echo $(($(stat h2 relayed) + $(stat h3 relayed))); }
before=$(relays)
stream v2 v1 v2 12
sleep 1
PAUSE=0.2 check "R19: its VM moves four times, faster than a host hears of the last" moves v2 h3 h2 h3 h2
ended v2
check "R19: none lost but those sent while it was detached, none twice" orderly v2
say "     $(judge v2)"
bounded() { echo "relayed $(($(relays) - before))"; [ $(($(relays) - before)) -le $((2 * $(count v2 sent))) ]; }
check "R19: each was sent on twice at most" bounded
sums_good() { on v2 nstat -asz UdpInCsumErrors | grep '^UdpInCsumErrors *0 '; }
check "R19: with checksums that are right" sums_good
for h in h2 h3; do
	stop agent-$h
	agent $h
done
stop late

say "-- moves that go wrong"
place() { on s curl -s "$DPS_URL/v1/endpoints/blue/$1/place" | jq -r .host; }
is_at() { [ "$(place "$1")" = "$2" ]; }
unplugged() { on v2 ip link del eth0; }
plugged() { vm_wire "$1" v2 "${IN4[v2]}" "${MAC[v2]}"; } # HOST
unplugged
check "R19: it vanishes without a word: its place is given up" until_ok 5 is_at v2 null
dead() { local before; before=$(stat h1 no_place); refuses ping_ok v1 10.1.0.12 1 && [ "$(stat h1 no_place)" -gt "$before" ]; }
check "R19: what is sent to it ends where it is sent, and is counted" until_ok 3 dead
plugged h3
check "R19: it appears on another host" port h3 v2
check "R19: and is found there at once" until_ok 1 ping_ok v1 10.1.0.12 1

# The host that it was on can't tell anybody: those who watch the network find out by that.
stop agent-h1
rm "$W/h1.json"
agent h1
ping_ok v1 10.1.0.12 1 >/dev/null
kill -STOP "${PID[agent-h3]}"
unplugged
plugged h2
check "R19: its host's agent hangs while it moves" port h2 v2
check "R19: the rest finds it" until_ok 2 ping_ok v1 10.1.0.12 1
kill -CONT "${PID[agent-h3]}"
sleep 1
check "R19: when the agent is back it gives nothing up that is another's now" is_at v2 h2
check "R19: and traffic goes on" ping_all v1 10.1.0.12

plugged_elsewhere() { ip link add dummy0 netns "$P-h3" type veth peer name other netns "$P-h1"; on h3 ip link set dummy0 up; }
plugged_elsewhere
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"], hosts: ["h1", "h2"]}]' >"$W/hosts.json"
ctl apply -f "$W/hosts.json" >/dev/null
claim_refused() {
	local out
	out=$(da h3 port add dummy0 --network blue --endpoint v2 2>&1) && return 1
	echo "$out"
	[ "$(wc -l <<<"$out")" = 1 ] && [[ $out == *h3* ]] && is_at v2 h2 && ping_all v1 10.1.0.12
}
check "R19: a host that the network does not list claims it: refused, and nothing changes" claim_refused
no_port() { da h3 port list --json | jq -e 'length == 0' && on h3 "$BUILD/dove-agent" status --json --run-dir "$W/run-h3" >/dev/null; }
check "R19: and nothing of it stays there" no_port
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}]' >"$W/hosts.json"
ctl apply -f "$W/hosts.json" >/dev/null

stop dps
unplugged
plugged h3
down() { local out; out=$(da h3 port add v-v2 --network blue --endpoint v2 2>&1) && return 1; echo "$out"; [ "$(wc -l <<<"$out")" = 1 ]; }
check "R19: it moves while the service is down: its new host says so" down
service
check "R19: when the service is back it takes the place" until_ok 10 da h3 port add v-v2 --network blue --endpoint v2
check "R19: and is found there" until_ok 5 ping_ok v1 10.1.0.12 1
finish
