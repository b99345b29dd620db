#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything at once, at random, for as long as is asked for: VMs that move, policies that come and go, agents
# and the service restarted or killed, floods of misses, caches emptied, all amid numbered streams.
#
#   SECONDS_IN_ALL=600 SEED=1 selftests/soak.sh
#
# At the end each packet that was lost must be explained: by a time when its VM was attached nowhere, or denied.
# The stream that nothing of it concerns loses none. Each counter is listed with what may have raised it: one that
# nothing explains is a failure, and so is a map, a program, a file descriptor or memory that stays.
# The same seed makes the same list of events; when each comes depends on the machine.
. "$(dirname "$0")/net/lib.sh"
. "$(dirname "$0")/net/streams.sh"

SECONDS_IN_ALL=${SECONDS_IN_ALL:-600}
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
RATE=1000 SILENCE=10
declare -A IN4=([s1]=10.1.0.11 [s2]=10.1.0.12 [m1]=10.1.0.13 [m2]=10.1.0.14 [f1]=10.1.0.15)
declare -A AT=() DONE=()

objects() { bpftool map show | grep -c '^[0-9]'; bpftool prog show | grep -c '^[0-9]'; bpftool link show | grep -c '^[0-9]'; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
files() { ls "/proc/${PID[$1]}/fd" | wc -l; }

# ---- events ----

event_move() { # NAME HOST HOST: from the one where it is to the other
	local to=$2
	[ "${AT[$1]}" != "$2" ] || to=$3
	move "$1" "$to" until_ok 10 da "$to" port add "v-$1" --network blue --endpoint "$1" ||
		fail "$1 does not come up on $to"
	AT[$1]=$to
}
policy() { # NAME JSON
	jq -n --arg name "$1" --argjson p "$2" '[{kind: "policy", network: "blue", name: $name} + $p]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
event_deny() { # NAME: of a stream's receiver, for a while
	local t; t=$(now)
	policy no '{"priority": 100, "from": "any", "to": {"endpoints": ["'"$1"'"]}, "proto": "udp", "action": "'"$2"'"}' || return
	sleep 0.$((RANDOM % 9 + 1))
	ctl delete policy blue/no >/dev/null
	# A refusal that an origin remembers lives for 5 s where its watch does not tell it earlier.
	window "$1" "$t" $(($(now) + 5000000000))
}
event_unrelated() {
	policy other '{"priority": 90, "from": {"endpoints": ["f1"]}, "to": "any", "proto": "tcp", "to_port": '$((RANDOM + 1))', "action": "deny"}'
	sleep 0.2
	ctl delete policy blue/other >/dev/null
}
event_mark() {
	policy mark '{"priority": 1, "from": "any", "to": "any", "action": "allow", "qos": {"dscp": '$((RANDOM % 63))'}}'
}
event_restart() { # HOST SIGNAL
	kill "-$2" "${PID[agent-$1]}"
	wait "${PID[agent-$1]}" 2>/dev/null
	unset "PID[agent-$1]"
	agent "$1"
}
event_service() { # SIGNAL
	kill "-$1" "${PID[dps]}"
	wait "${PID[dps]}" 2>/dev/null
	unset "PID[dps]"
	sleep 0.$((RANDOM % 9 + 1))
	service
}
event_flood() { # misses, each frame to another address that nobody has
	on f1 timeout 2 "$T/frame" eth0 200000 "020000000107 ${MAC[f1]//:/} 0800 4500 001c 0000 4000 4011 0000 0a01000f 0a010000 1e61 1e61 0008 0000" 32
}
event_flush() { da "$1" flush >/dev/null; }
# One of them, by the generator that the seed has set.
any_event() {
	local one=("move m1 h2 h3" "move m2 h1 h3" "move m1 h2 h3" "move m2 h1 h3" "deny m1 deny" "deny m2 reject"
		"unrelated" "mark" "restart h1 TERM" "restart h2 TERM" "restart h3 KILL" "restart h1 KILL"
		"service TERM" "service KILL" "flood" "flush h1" "flush h2")
	set -- ${one[RANDOM % ${#one[@]}]}
	DONE[$1]=$((${DONE[$1]:-0} + 1))
	echo "$(date +%T) $*" >>"$W/journal"
	"event_$1" "${@:2}" >>"$W/journal" 2>&1
	sleep 0.$((RANDOM % 9 + 1))
}

# ---- the ledger ----

# What may raise a counter here. Anything else is a defect of the data path, or of this list.
declare -A WHY=(
	[encapsulated]="the streams" [delivered]="the streams" [delivered_local]="the streams, where a VM has moved beside its sender"
	[stripped]="h2 receives by XDP" [arp_answered]="VMs ask" [passed]="the hosts' own"
	[held_miss]="misses" [held_next_hop]="a host's next hop was looked for" [held_unknown]="an agent was away while policies changed"
	[held_flow]="a reply whose flow was to be asked about"
	[held_moved]="VMs that had just left" [held_refused]="the way back was not known" [held_returned]="given back"
	[relayed]="VMs that had moved" [returned]="refused, and given back"
	[denied]="denied for a while" [rejected]="rejected for a while" [no_endpoint]="the flood" [no_place]="a VM was attached nowhere"
	[miss_limited]="the flood" [ring_full]="the flood" [refused]="more was to be given back than may be" [moved]="sent on twice already"
	[no_port]="a VM's device had just come, or gone" [not_current]="a policy changed while its packet waited"
	[unknown_endpoint]="a VM had left for good" [not_ours]="the VM that it was given back to had left" [arp_unasked]="VMs announce themselves"
	[gateway_answered]="the flood hits the gateway's address, too" [multicast]="VMs' IGMP" [replicated]="VMs' IGMP" [cannot_judge]="no service for longer than 5 s" [unknown_network]="the host's last VM had left"
)
ledger() { # HOST: its counters, each with what explains it
	local name count bad=0
	while read -r name count; do
		printf '  %-18s %10d  %s\n' "$name" "$count" "${WHY[$name]:-NOTHING EXPLAINS THIS}"
		[ -n "${WHY[$name]:-}" ] || bad=1
	done < <(da "$1" stats --json | jq -r '.reasons | to_entries[] | select(.value > 0) | "\(.key) \(.value)"')
	return $bad
}
of_stream() { judged "$1" $((SECONDS_IN_ALL * RATE / 2)); }

before=$(objects)
world 3
service
vms_of_blue 10.1.0.0/16
three_agents
for n in "h1 s1" "h2 s2" "h2 m1" "h1 m2" "h1 f1"; do
	set -- $n
	vm "$1" "$2" blue "$2" "${IN4[$2]}" "${MAC[$2]}"
	AT[$2]=$1
done
ping_ok s1 ${IN4[s2]} 1 >/dev/null
ping_ok s1 ${IN4[m1]} 1 >/dev/null
ping_ok s2 ${IN4[m2]} 1 >/dev/null
attached=$(objects)
declare -A FILES=() RSS=()
for name in agent-h1 agent-h2 agent-h3 dps; do FILES[$name]=$(files $name) RSS[$name]=$(rss "${PID[$name]}"); done

say "-- $SECONDS_IN_ALL s, seed $SEED"
RANDOM=$SEED
stream s2 s1 s2 $SECONDS_IN_ALL
stream m1 s1 m1 $SECONDS_IN_ALL
stream m2 s2 m2 $SECONDS_IN_ALL
end=$((SECONDS + SECONDS_IN_ALL - 8))
while [ $SECONDS -lt $end ]; do any_event; done
ended s2 m1 m2
say "     $(for e in "${!DONE[@]}"; do printf '%s %d, ' "$e" "${DONE[$e]}"; done | sed 's/, $//')"

check "all of it: a stream that nothing concerns loses none" of_stream s2
for v in s2 m1 m2; do say "     to $v: $(judge $v)"; done
check "a VM that moves and is denied: what is lost is lost while it may" of_stream m1
check "and the other" of_stream m2
for h in h1 h2 h3; do
	check "each counter of $h is explained" ledger $h
	say "$(ledger $h)"
done
same_objects() { sleep 1; echo "maps, programs, links: "$attached" -> "$(objects); [ "$(objects)" = "$attached" ]; }
check "no map, program or link more than at first" same_objects
few_files() { echo "${FILES[$1]} -> $(files "$1")"; [ "$(files "$1")" -le $((FILES[$1] + 24)) ]; } # connections to the service
memory() { echo "${RSS[$1]} -> $(rss "${PID[$1]}") KiB"; [ "$(rss "${PID[$1]}")" -le $((RSS[$1] * 2 + 4096)) ]; }
for name in agent-h1 agent-h2 agent-h3 dps; do
	check "$name: few files more" few_files $name
	check "$name: little memory more" memory $name
	say "     files $(few_files $name), memory $(memory $name)"
done
[ "$FAILED" = 0 ] || tail -n 40 "$W/journal"
cleanup
trap - EXIT
# What the kernel frees, it frees a little later.
all_gone() { echo "maps, programs, links: "$before" -> "$(objects); [ "$(objects)" = "$before" ]; }
check "and at the end nothing at all" until_ok 10 all_gone
finish
