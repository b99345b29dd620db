#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job as a story: two hosts, one policy service, real traffic, and a firewall and an IPS on a third.
#
#   demo.sh         tell it, and take everything down; 0 only when all of it held
#   demo.sh down    take down what DEMO_KEEP=1 left up
. "$(dirname "$0")/net/lib.sh"
P=demo
KEPT=/run/dove-demo

# What was seen, for the table at the end.
ROWS=()
row() { ROWS+=("$1|$2|$3"); }

bold() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || bold() { printf '\n%s\n' "$*"; }

# step WHAT EXPECTED COMMAND...: run it, and note in the table whether it held
step() {
	local what=$1 want=$2 out
	shift 2
	if out=$("$@" 2>&1); then
		row "$what" "$want" yes
		printf '   %-58s %s\n' "$what" "$want"
	else
		FAILED=$((FAILED + 1))
		row "$what" "$want" "NO"
		printf '   %-58s %s: DID NOT HOLD\n' "$what" "$want"
		printf '%s\n' "$out" | sed 's/^/      | /'
	fi
}

show() { printf '   $ %s\n' "$*"; }

down() {
	W=$(cat "$KEPT" 2>/dev/null)
	cleanup
	rm -f "$KEPT"
}

case ${1:-} in
down) down; exit 0 ;;
esac
[ ! -e "$KEPT" ] || { say "(an earlier demo is still up: taking it down first)"; down; }

# counted HOST REASON COMMAND...: the command fails, and the reason's count rises
counted() {
	local before
	before=$(stat "$1" "$2")
	"${@:3}" && return 1
	[ "$(stat "$1" "$2")" -gt "$before" ]
}
page() { on "$1" curl -sS -m 3 "http://$2/" | grep -q "$3"; }
verdict() { ctl resolve --network blue "$@" --json | jq -r '[.verdict] + (.path // []) | join(" ")'; }
resolves() { [ "$(verdict "${@:2}")" = "$1" ]; }

SECONDS=0
bold "1. The underlay: two hosts in different subnets, a router, a host for the service"
cat <<'PICTURE'

      blue/vm1 blue/vm2 blue/vm4  red/vm4        blue/vm3 blue/vm6 blue/vm7  red/vm6
          |        |        |        |               |        |        |        |
        +-+--------+--------+--------+-+           +-+--------+--------+--------+-+
        |  h1 198.51.100.1             |           |  h2 198.51.100.5             |
        |  dove-agent, ingress by TC   |           |  dove-agent, ingress by XDP  |
        +--------------+---------------+           +---------------+--------------+
                       |                                           |
                       +------------------ router -----------------+
                                              |
                                    s 192.0.2.9: dove-dps

PICTURE
world 3 # of h3 later
say "   Each box is a network namespace of its own; each VM is one, too."

bold "2. One policy service, and what the administrators told it"
service
cat >"$W/objects.json" <<'JSON'
[{"kind":"network","name":"blue","subnets":["10.1.0.0/24"]},
 {"kind":"network","name":"red","subnets":["10.1.0.0/24"]},
 {"kind":"endpoint","network":"blue","name":"vm1","mac":"02:00:00:00:01:01","addresses":["10.1.0.11"]},
 {"kind":"endpoint","network":"blue","name":"vm2","mac":"02:00:00:00:01:02","addresses":["10.1.0.12"]},
 {"kind":"endpoint","network":"blue","name":"vm3","mac":"02:00:00:00:01:03","addresses":["10.1.0.13"]},
 {"kind":"endpoint","network":"blue","name":"vm4","mac":"02:00:00:00:01:04","addresses":["10.1.0.14"]},
 {"kind":"endpoint","network":"blue","name":"vm5","mac":"02:00:00:00:01:05","addresses":["10.1.0.15"]},
 {"kind":"endpoint","network":"blue","name":"vm6","mac":"02:00:00:00:01:06","addresses":["10.1.0.16"]},
 {"kind":"endpoint","network":"blue","name":"vm7","mac":"02:00:00:00:01:07","addresses":["10.1.0.17"]},
 {"kind":"endpoint","network":"blue","name":"vm8","mac":"02:00:00:00:01:08","addresses":["10.1.0.18"]},
 {"kind":"endpoint","network":"red","name":"vm4","mac":"02:00:00:00:01:04","addresses":["10.1.0.14"]},
 {"kind":"endpoint","network":"red","name":"vm6","mac":"02:00:00:00:01:06","addresses":["10.1.0.16"]},
 {"kind":"service","name":"firewall"},
 {"kind":"service","name":"ssl-accelerator"},
 {"kind":"policy","network":"blue","name":"vm1-out","priority":100,"from":{"endpoints":["vm1"]},"to":"any","action":"allow","path":["firewall"]},
 {"kind":"policy","network":"blue","name":"no-db","priority":200,"from":{"endpoints":["vm1","vm2","vm5"]},"to":{"endpoints":["vm7","vm8"]},"action":"deny"},
 {"kind":"policy","network":"blue","name":"tls-out","priority":50,"from":{"endpoints":["vm3"]},"to":"any","proto":"tcp","from_port":443,"action":"allow","path":["ssl-accelerator"]},
 {"kind":"policy","network":"blue","name":"tls-in","priority":50,"from":"any","to":{"endpoints":["vm3"]},"proto":"tcp","to_port":443,"action":"allow","path":["ssl-accelerator"]}]
JSON
show dovectl apply -f objects.json
ctl apply -f "$W/objects.json" | sed 's/^/   /' || fail "apply"
say "   Networks blue and red have the same addresses, and even the same MACs."

bold "3. An agent on each host, the VMs' interfaces as its ports"
# h1 does not judge its own packets by what it watches: the story wants the destination to find out.
echo '{"origin_check": false}' >"$W/h1.json"
agent h1
agent h2
show dove-agent attach eth0 --ingress tc "  (on h1)"
da h1 attach eth0 --ingress tc >/dev/null || fail "attach on h1"
show dove-agent attach eth0 --ingress xdp "  (on h2)"
da h2 attach eth0 --ingress xdp >/dev/null || fail "attach on h2"
show dove-agent port add v-blue1 --network blue --endpoint vm1 "  ... and so on"
for i in 1 2 4; do vm h1 blue$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
for i in 3 6 7; do vm h2 blue$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
vm h1 red4 red vm4 10.1.0.14 02:00:00:00:01:04
vm h2 red6 red vm6 10.1.0.16 02:00:00:00:01:06
da h2 port list | sed 's/^/   /'

bold "4. Traffic: the first packet asks the service, the others find the answer in the kernel"
step "ping blue/vm4 -> blue/vm6 across the router" "answered" ping_all blue4 10.1.0.16
step "ping blue/vm4 -> blue/vm2 on the same host" "answered" ping_all blue4 10.1.0.12
step "ping red/vm4 -> red/vm6, the same addresses" "answered" ping_all red4 10.1.0.16
asked=$(stat h1 questions)
no_question() { ping_all blue4 10.1.0.16 && [ "$(stat h1 questions)" = "$asked" ]; }
step "the same pings again" "no question to the service" no_question
for n in blue6 red6 blue3; do
	mkdir -p "$W/www-$n"
	echo "this is $n" >"$W/www-$n/index.html"
	bg "httpd-$n" $n busybox httpd -f -p 80 -h "$W/www-$n"
done
bg httpd-blue3-tls blue3 busybox httpd -f -p 443 -h "$W/www-blue3"
until_ok 3 on blue6 curl -s -o /dev/null http://10.1.0.16/
step "curl http://10.1.0.16/ from blue/vm4" "blue's page" page blue4 10.1.0.16 blue6
step "curl http://10.1.0.16/ from red/vm4" "red's page" page red4 10.1.0.16 red6
step "red/vm4 -> 10.1.0.13, which only blue has" "nobody there" counted h1 no_endpoint ping_ok red4 10.1.0.13 1
bg iperf blue6 iperf3 -s --forceflush
until_ok 3 grep -q listening "$W/iperf.log"
gbits=$(on blue4 iperf3 -c 10.1.0.16 -t 2 -J | jq '.end.sum_received.bits_per_second / 1e9 * 10 | round / 10')
tcp_ran() { [ "$(jq -n "${gbits:-0} > 0.05")" = true ]; }
step "iperf3 blue/vm4 -> blue/vm6, 2 s of TCP" "$gbits Gbit/s" tcp_ran

bold "5. The reference table of policies"
say "   (What a service must see stays where it is as long as no host runs that service: closed, not open.)"
step "(a) vm1 -> anyone: through a firewall" "allow firewall" resolves "allow firewall" --from vm1 --to vm6
step "    in the kernel: no firewall runs, so closed" "dropped, no_service" counted h1 no_service ping_ok blue1 10.1.0.16 1
step "(b) vm1, vm2, vm5 -> vm7, vm8" "deny" resolves "deny" --from vm5 --to vm8
step "    in the kernel: vm2 -> vm7" "dropped, denied" counted h1 denied ping_ok blue2 10.1.0.17 1
step "    while vm4 -> vm7" "answered" ping_all blue4 10.1.0.17
step "(c) vm3's port 443 -> anyone: through an accelerator" "allow ssl-accelerator" resolves "allow ssl-accelerator" --from vm3 --to vm4 --proto tcp --from-port 443
step "(d) anyone -> vm3's port 443" "allow ssl-accelerator" resolves "allow ssl-accelerator" --from vm4 --to vm3 --proto tcp --port 443
step "    in the kernel: port 443, no accelerator runs" "dropped, no_service" counted h1 no_service page blue4 10.1.0.13:443 blue3
step "    while port 80" "blue3's page" page blue4 10.1.0.13 blue3
step "(a)+(d) vm1 -> vm3's port 443: both add up" "firewall, accelerator" resolves "allow firewall ssl-accelerator" --from vm1 --to vm3 --proto tcp --port 443

bold "6. A firewall comes to a third host: a bridge in a namespace, with nftables on it"
cat <<'PICTURE'

   blue/vm1 --> h1 ====== 1 service ahead ======> h3 --> eth0 [br0, nftables] eth0-out --> h3 == 0 ahead ==> h2 --> blue/vm6
                   <----------------------------- the answers take the same way back -------------------------
PICTURE
agent h3
da h3 attach eth0 --ingress tc >/dev/null || fail "attach on h3"
# appliance NAME RULE: a bridge in a namespace, which drops what the rule says
appliance() {
	ns_add "$1"
	on "$1" ip link add br0 type bridge stp_state 0 mcast_snooping 0
	on "$1" ip link set br0 up
	on "$1" nft "table bridge fw { counter seen { }; counter refused { }; chain forward { type filter hook forward priority 0; policy accept; ether type ip counter name seen; $2 counter name refused drop; }; }"
}
# instance NAME SERVICE DIGIT [OBJECTS]: it gives that service from now on; its MACs have the digit
instance() {
	jq -n --arg n "$1" --arg s "$2" --arg mac "02:00:00:00:02:$3" --argjson more "${4:-[]}" '[{kind: "endpoint", network: "blue", name: $n, mac: "\($mac)1"},
	  {kind: "endpoint", network: "blue", name: "\($n)-out", mac: "\($mac)2"},
	  {kind: "service", name: $s, instances: [{endpoint: "blue/\($n)", out: "blue/\($n)-out"}]}] + $more' >"$W/$2.json"
	show dovectl apply -f "$2.json" "  (service $2: instance blue/$1, other port blue/$1-out)"
	ctl apply -f "$W/$2.json" | sed 's/^/   /'
	for end in "" -out; do
		ip link add "eth0$end" netns "$P-$1" type veth peer name "$1$end" netns "$P-h3"
		on "$1" ip link set "eth0$end" master br0 up
		on h3 ip link set "$1$end" up
		da h3 port add "$1$end" --network blue --endpoint "$1$end" >/dev/null || fail "port of $1$end"
	done
}
appliance fw "tcp dport 23"
instance fw firewall 0
saw_of() { on "$1" nft -j list counter bridge fw "$2" | jq '.nftables[] | .counter? // empty | .packets'; }
fw_saw() { saw_of fw "$1"; }
show dovectl path --network blue --from vm1 --to vm6
ctl path --network blue --from vm1 --to vm6 | sed 's/^/   /'
through() { local n; n=$(fw_saw seen) && "$@" && [ "$(fw_saw seen)" -gt "$n" ]; }
past() { local n; n=$(fw_saw seen) && "$@" && [ "$(fw_saw seen)" = "$n" ]; }
bg httpd-23 blue6 busybox httpd -f -p 23 -h "$W/www-blue6"
step "ping blue/vm1 -> blue/vm6" "answered, the firewall saw it" through until_ok 3 ping_all blue1 10.1.0.16
step "curl from blue/vm1" "blue6's page, through it" through page blue1 10.1.0.16 blue6
forbidden() { ! page blue1 10.1.0.16:23 blue6 && [ "$(fw_saw refused)" -gt 0 ]; }
step "port 23 from blue/vm1, which the firewall forbids" "does not arrive" forbidden
step "the same from blue/vm4" "arrives, past the firewall" past page blue4 10.1.0.16:23 blue6
show dove-agent trace v-blue1 --to 10.1.0.16 "  (on h1)"
da h1 trace v-blue1 --to 10.1.0.16 | sed 's/^/   /'

bold "7. An IPS beside it: what the firewall lets pass comes to the IPS next"
cat <<'PICTURE'

   blue/vm1 --> h1 === 2 services ahead ===> h3 --> [firewall] --> h3 --> [ips] --> h3 === 0 ahead ===> h2 --> blue/vm6
                    port 23 ends here: --------------X               X--- "GET /attack" ends here
PICTURE
say "   (Its rule is one of nftables, too, and looks into the payload; selftests/net/83-appliances.sh has Suricata in its place.)"
# Behind a TCP header of 32 bytes, which is one with time stamps, as Linux has them: "GET /attack".
appliance ips "tcp dport 80 @th,256,88 0x474554202f61747461636b"
instance ips ips 1 '[{"kind":"policy","network":"blue","name":"vm1-out","priority":100,"from":{"endpoints":["vm1"]},"to":"any","action":"allow","path":["firewall","ips"]}]'
show dovectl path --network blue --from vm1 --to vm6
ctl path --network blue --from vm1 --to vm6 | sed 's/^/   /'
both() { local f i; f=$(fw_saw seen) i=$(saw_of ips seen) && "$@" && [ "$(fw_saw seen)" -gt "$f" ] && [ "$(saw_of ips seen)" -gt "$i" ]; }
one_alone() { local i; i=$(saw_of ips seen) && through "$@" && [ "$(saw_of ips seen)" = "$i" ]; }
code() { on "$1" curl -s -m 1 -o /dev/null -w '%{http_code}' "http://10.1.0.16/attack"; }
step "ping blue/vm1 -> blue/vm6" "answered, both saw it" both until_ok 3 ping_all blue1 10.1.0.16
step "curl from blue/vm1" "blue6's page, through both" both page blue1 10.1.0.16 blue6
sleep 0.3 # for what ends the connection
shut() { ! on blue1 curl -s -m 1 -o /dev/null http://10.1.0.16:23/; }
step "port 23 from blue/vm1" "the firewall's; no IPS saw it" one_alone shut
harmless() { [ "$(code blue4)" = 404 ]; }
step "GET /attack from blue/vm4, whom no policy leads there" "arrives: no such page" past harmless
attacked() { ! code blue1 >/dev/null && [ "$(saw_of ips refused)" -gt 0 ]; }
step "the same from blue/vm1" "through the firewall, no further" both attacked

bold "8. A policy changes in mid-stream, and the destination finds out"
saw() { da h2 events --json | jq -e --arg t "$1" '[.[] | select(.type == $t and .origin == "h1")] | length > 0'; }
sequence() { da h1 cache --json | jq '[.[] | select(.to == "10.1.0.16" and .network == "blue").sequence] | max'; } # vm1 has an entry, too
policy() {
	jq -n --argjson p "$1" '[{kind: "policy", network: "blue", name: "change", priority: 300, from: {endpoints: ["vm4"]}, to: {endpoints: ["vm6"]}} + $p]' >"$W/change.json"
	ctl apply -f "$W/change.json" >/dev/null
}
policy '{"action":"allow"}'
ping_all blue4 10.1.0.16 >/dev/null
until_ok 2 ping_all blue4 10.1.0.16
old=$(sequence)
on blue4 ping -q -n -i 0.01 -c 350 -W 1 10.1.0.16 >"$W/stream" 2>&1 &
pid=$!
sleep 0.8
show dovectl apply -f change.json "  (vm4 -> vm6: allow, now marked DSCP 46)"
policy '{"action":"allow","qos":{"dscp":46}}'
sleep 0.8
new=$(sequence)
show dovectl apply -f change.json "  (vm4 -> vm6: deny)"
policy '{"action":"deny"}'
wait $pid
da h2 events | tail -n 3 | sed 's/^/   h2: /'
step "h2 saw packets under the old sequence, and delivered them" "event stale" saw stale
newer() { [ "$new" -gt "$old" ]; }
step "told by h2, h1 asked the service anew" "sequence $old -> $new" newer
step "the deny: h2 refused what came under the old policy" "event refused" saw refused
some() { local n; n=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$W/stream"); [ "$n" -gt 40 ] && [ "$n" -lt 330 ]; }
step "the stream of 350 pings was cut in its midst" "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$W/stream") answered" some
step "and h1 denies by itself now" "dropped, denied" counted h1 denied ping_ok blue4 10.1.0.16 1

bold "9. A look into the kernel's maps"
show bpftool map dump pinned .../$LAYOUT/dove_local "  (on h2, one entry)"
on h2 bpftool -j map dump pinned "$W/bpf-h2/$LAYOUT/dove_local" | jq -c '.[0].formatted' | sed 's/^/   /'
readable() { on h2 bpftool -j map dump pinned "$W/bpf-h2/$LAYOUT/dove_local" | jq -e '.[0].formatted.value | .endpoint and .ifindex and (.mac | length == 6)'; }
step "bpftool shows the pinned maps" "with field names" readable
say
show dove-agent stats "  (on h2)"
da h2 stats | sed -n '/./p' | head -n 14 | sed 's/^/   /'

bold "What was seen"
printf '   %-62s %-26s %s\n' "" "EXPECTED, AND" "HELD"
for r in "${ROWS[@]}"; do
	IFS='|' read -r what want held <<<"$r"
	printf '   %-62s %-26s %s\n' "$what" "$want" "$held"
done
say
if [ -n "${DEMO_KEEP:-}" ]; then
	trap - EXIT
	echo "$W" >"$KEPT"
	cat <<-KEEP
	It stays up. To play with:

	   A="ip netns exec demo-h1 $BUILD/dove-agent"
	   \$A status --run-dir $W/run-h1      (port list, stats, cache, events -f, flush ...)
	   C="ip netns exec demo-s $BUILD/dovectl --dps $DPS_URL"
	   \$C status; \$C get policy; \$C resolve --network blue --from vm2 --to vm7
	   \$C delete policy blue/change
	   ip netns exec demo-blue4 ping 10.1.0.16
	   ip netns exec demo-h1 bpftool map dump pinned $W/bpf-h1/$LAYOUT/dove_cache
	   ip netns exec demo-r tcpdump -n -i h1 udp port 6081

	   make demo-down                     takes it down

	KEEP
fi
if [ "$FAILED" = 0 ]; then
	say "All of it held, in $SECONDS s."
else
	say "$FAILED of it did NOT hold."
	exit 1
fi
