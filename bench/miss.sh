#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Misses: what the first packet to a destination takes beside the second, how many first packets a second
# there may be before one is lost, how fast translations are installed, what they take of the agent's memory,
# and how long after its start a host carries the first packet.
#
#   a -- h1 --+-- r --+-- h2 -- f2: VMs with 4,096 addresses each, on as many veths
#             s       +-- h3 -- f3: the same
#
# a asks for up to 102,400 addresses, through its gateway. QUICK: 20,480, and no memory.
. "$(dirname "$0")/common.sh"

EACH=4096
VMS=$([ -n "$QUICK" ] && echo 5 || echo 25) # 65,536 addresses are a host's most
HOSTS=$([ -n "$QUICK" ] && echo 2 || echo "2 3")
ALL=$((EACH * VMS))

host_of() { echo $((2 + ($1 > 13))); }
# The addresses from 10.65.0.0 on, EACH for each VM.
block() { awk -v i="$1" -v n=$EACH 'BEGIN { for (k = 0; k < n; k++) { a = (i - 1) * n + k; printf "\"10.%d.%d.%d\"%s", 65 + int(a / 65536), int(a / 256) % 256, a % 256, k + 1 < n ? "," : "" } }'; }
mac() { printf '02:00:00:00:02:%02x' "$1"; }
first() { timeout --foreground 60 nice -n -10 "$BUILD/bench/first" "/run/netns/$P-a" "$FAR" "$@"; }
rss() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/${PID[agent-h1]}/status"; }
cached() { da h1 cache --json | jq length; }

world $([ -n "$QUICK" ] && echo 2 || echo 3)
{
	echo '[{"kind":"network","name":"blue","subnets":["10.1.0.0/24","10.64.0.0/10"]},'
	echo ' {"kind":"endpoint","network":"blue","name":"a","mac":"02:00:00:00:01:01","addresses":["10.1.0.11"]}'
	for ((i = 1; i <= VMS; i++)); do echo ",{\"kind\":\"endpoint\",\"network\":\"blue\",\"name\":\"f$i\",\"mac\":\"$(mac $i)\",\"addresses\":[$(block $i)]}"; done
	echo ']'
} >"$W/objects.json"
service
ctl apply -f "$W/objects.json" >/dev/null || fail "objects"
echo '{"cache_entries": 262144, "hold_rate": 1073741824, "hold_burst": 67108864}' >"$W/h1.json"
agent h1
da h1 attach eth0 >/dev/null || fail "attach"
vm h1 a blue a 10.1.0.11 02:00:00:00:01:01
on a ip route add default via 10.1.0.1
FAR=
for h in $HOSTS; do
	agent h$h
	da h$h attach eth0 >/dev/null || fail "attach"
	ns_add f$h
	FAR+=${FAR:+,}/run/netns/$P-f$h
done
for ((i = 1; i <= VMS; i++)); do
	h=$(host_of $i)
	ip link add e$i netns "$P-f$h" address "$(mac $i)" type veth peer name v-e$i netns "$P-h$h"
	on f$h ip link set e$i up
	on h$h ip link set v-e$i up
	da h$h port add v-e$i --network blue --endpoint f$i >/dev/null || fail "port of f$i"
done
until_ok 5 first wait 10.65.0.0 1 || fail "no way"

# One question over a connection that stays, as the agent's does.
question() {
	on h1 curl -s $(for i in $(seq 200); do echo -o /dev/null "$DPS_URL/v1/resolve"; done) -w '%{http_code} %{time_total}\n' \
		-d '{"host":"h1","keys":[{"network":"blue","from":"a","to_endpoint":"f1","proto":17}]}' |
		awk '$1 == 200 { print $2 * 1e6 }' | sort -g | awk '{ v[NR] = $1 } END { printf "%.1f", v[int((NR + 1) / 2)] }'
}
for ((round = 1; round <= ROUNDS; round++)); do
	da h1 flush >/dev/null
	read -r p50 p99 hit50 hit99 < <(first latency 10.65.0.0 1000) || fail "no latency"
	ask=$(question)
	sample miss p50 "$p50" us
	sample miss p99 "$p99" us
	sample miss hit_p50 "$hit50" us
	sample miss hit_p99 "$hit99" us
	sample miss service_p50 "$ask" us
	sample miss p50_over_hit "$(awk "BEGIN { print $p50 - $hit50 }")" us
	sample miss p50_over_hit_less_service "$(awk "BEGIN { print $p50 - $hit50 - $ask }")" us
done

# The highest of these at which none of so many is lost, twice.
best=0
for rate in 5000 10000 15000 20000 30000 40000 60000 80000 100000 120000; do
	for try in 1 2; do
		da h1 flush >/dev/null
		n=$((rate / 2 < ALL ? rate / 2 : ALL))
		read -r sent got took < <(first rate 10.65.0.0 $n $rate) || break 2
		[ "$sent" = "$got" ] || break 2
	done
	best=$rate
done
sample miss rate $best us

for ((round = 1; round <= ROUNDS; round++)); do
	da h1 flush >/dev/null
	read -r sent got took < <(first rate 10.65.0.0 8000 0)
	sample install dove "$(awk "BEGIN { print $got / $took }")" entries/s
done

if [ -z "$QUICK" ]; then
	da h1 flush >/dev/null
	stop agent-h1
	agent h1
	sleep 1
	sample agent_memory entries_0 "$(rss)" bytes
	for n in 10240 102400; do
		first rate 10.65.0.0 $n 5000 >/dev/null
		note agent_memory "$(cached) translations in the kernel where $n were asked for"
		sample agent_memory entries_$((n / 1024 * 1000)) "$(rss)" bytes
	done
fi

# From nothing on the host, but its agent, to the first packet of a VM that arrives.
for ((round = 1; round <= ROUNDS; round++)); do
	da h1 port del v-a >/dev/null
	da h1 detach eth0 >/dev/null
	da h1 flush >/dev/null
	first wait 10.65.0.1 10 >"$W/first" &
	sleep 0.1
	began=$EPOCHREALTIME
	da h1 attach eth0 >/dev/null
	da h1 port add v-a --network blue --endpoint a >/dev/null
	wait $! && sample attach_to_first_packet dove "$(awk -v a="$began" '{ print ($1 - a) * 1e3 }' "$W/first")" ms
done
