#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Agents and services that die, and come back; attach and detach; strangers' programs.
#
#   h1 (TC): v1     h2 (XDP): v2
. "$(dirname "$0")/lib.sh"

stream() { on v1 ping -q -n -i 0.005 -c "$1" -W 1 10.1.0.12 | sed -n 's/.* \([0-9]*\) received.*/\1/p'; }
all_of() { echo "$(cat "$W/received") of $1 came back"; [ "$(cat "$W/received")" = "$1" ]; }
links() { ls "$W/bpf-$1/$LAYOUT/links" | grep -vE -- '-(door|tunnel)$' | sort | tr '\n' ' '; }

world
service
blue 1 2 3
agent h1
agent h2
da h1 attach eth0 --ingress tc >/dev/null
da h2 attach eth0 --ingress xdp >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
check "the VMs reach each other" ping_all v1 10.1.0.12

stream 600 >"$W/received" &
pid=$!
sleep 0.5
stop agent-h1 KILL
stop agent-h2 KILL
sleep 0.5
before=$(links h1)
agent h1
agent h2
wait $pid
check "kill -9 of both agents and their restart in mid-stream lose nothing" all_of 600
check "the pins are the same" [ "$before" = "$(links h1)" ]
adopted() { grep -q 'adopted 1 underlay devices and 1 ports' "$W/agent-h1.log" && da h1 port list --json | jq -e '.[0].endpoint == "vm1" and .[0].state == "up"'; }
check "the restarted agent has adopted what was pinned" adopted
new_code() { # the links run the new process's programs
	local prog link
	link=$(on h1 bpftool -j link show pinned "$W/bpf-h1/$LAYOUT/links/$(ls "$W/bpf-h1/$LAYOUT/links" | grep port)" | jq .prog_id)
	on h1 bpftool -j prog show id "$link" | jq -e '.name == "dove_port"'
}
check "and its links run its own programs" new_code
vm h1 v3 blue vm3 10.1.0.13 02:00:00:00:01:03
check "it goes on as before: a new port, new questions" ping_all v3 10.1.0.12
check "and gives answers: old pair, after a flush" sh -c "ip netns exec $P-h1 $BUILD/dove-agent flush --run-dir $W/run-h1 && ip netns exec $P-v1 ping -q -n -c 2 -i 0.1 -W 2 10.1.0.12"

say "-- the service is away"
stop dps KILL
check "known translations serve on" ping_all v1 10.1.0.12
check "port add says so" sh -c "ip netns exec $P-h1 $BUILD/dove-agent port add eth0 --run-dir $W/run-h1 --network blue --endpoint vm9 2>&1 | grep -q ."
stop agent-h1 KILL
agent h1
check "an agent that restarts meanwhile loses nothing of what it had" ping_all v1 10.1.0.12
service
connected() { da h1 status --json | jq -e .connected; }
check "the agents find the service again" until_ok 10 connected
check "and ask it" sh -c "ip netns exec $P-h1 $BUILD/dove-agent flush --run-dir $W/run-h1 && ip netns exec $P-v1 ping -q -n -c 2 -i 0.1 -W 2 10.1.0.12"
check "nothing acknowledged was lost by kill -9" sh -c "ip netns exec $P-s $BUILD/dovectl --dps $DPS_URL get endpoint blue/vm3"

say "-- an earlier layout of the maps"
stop agent-h1 KILL
on h1 sh -c "cd $W/bpf-h1 && mkdir v1 v1/links && mv $LAYOUT/links/* v1/links && mv $LAYOUT/dove_ports v1 && rm $LAYOUT/dove_* && rmdir $LAYOUT/links $LAYOUT" || fail "no pins to make an earlier layout of"
agent h1
taken_over() { da h1 port list --json | jq -e 'length == 2' && [ ! -e "$W/bpf-h1/v1" ] && [ "$(links h1 | wc -w)" = 4 ]; }
check "what its agent left attached is taken over, its maps are gone" taken_over
check "and carries on" until_ok 5 ping_all v1 10.1.0.12

say "-- detach, port del, and others' programs"
cat >"$W/other.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} dove_test_seen SEC(".maps");
SEC("xdp") int other_xdp(struct xdp_md *ctx) { return XDP_PASS; }
SEC("tc") int other_tc(struct __sk_buff *skb) {
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&dove_test_seen, &zero);
	if (n) __sync_fetch_and_add(n, 1);
	return -1;
}
char LICENSE[] SEC("license") = "GPL";
C
clang -O2 -g -target bpf -I/usr/include/"$(uname -m)"-linux-gnu -c "$W/other.c" -o "$W/other.o"
check "port del" da h1 port del v-v3
gone() { ! ls "$W/bpf-h1/$LAYOUT/links" | grep -q "^$(on h1 cat /sys/class/net/v-v3/ifindex)-" && refuses ping_ok v3 10.1.0.12 1; }
check "and its program is gone" gone
place_free() { ctl get endpoint blue/vm3 | jq -e '.. | objects | select(has("host")) | .host == null' || ctl resolve --network blue --from vm1 --to vm3 --json | jq -e '.destination.host == null'; }
check "and its place given up" place_free
check "detach" da h1 detach eth0
no_nic() { [ "$(links h1 | wc -w)" = 1 ]; }
check "only the port's link is left" no_nic
on h1 tc qdisc add dev eth0 clsact
on h1 tc filter add dev eth0 ingress prio 7 bpf da obj "$W/other.o" sec tc
on h1 ip link set dev eth0 xdpdrv obj "$W/other.o" sec xdp
occupied() { da h1 attach eth0 --ingress xdp 2>&1 | tee /dev/stderr | grep -q 'another XDP program'; }
check "attach --ingress xdp refuses a device with another's XDP program" occupied
check "and has rolled back what it had done" no_nic
check "attach --ingress tc works beside it" da h1 attach eth0 --ingress tc
check "traffic flows" ping_all v1 10.1.0.12
seen() { on h1 bpftool -j map dump name dove_test_seen | jq '[.. | objects | select(has("formatted")) | .formatted.value] | add'; }
they_see() { # a foreign filter goes on seeing the host's own traffic
	local before; before=$(seen)
	ping_ok r "$(host_addr h1)" 20
	echo "$before -> $(seen)"
	[ $(($(seen) - before)) -ge 20 ]
}
check "and others' filters go on seeing what is not ours" they_see
check "detach again" da h1 detach eth0
theirs() { on h1 tc filter show dev eth0 ingress | grep -q other_tc && on h1 ip link show eth0 | grep -q xdp; }
check "others' filter, clsact and XDP program are still there" theirs
on h1 ip link set dev eth0 xdpdrv off
on h1 tc qdisc del dev eth0 clsact

say "-- by cls_bpf, where there is no TCX"
da h1 port del v-v1 >/dev/null
stop agent-h1
left() { [ ! -e "$W/bpf-h1/$LAYOUT" ] || { find "$W/bpf-h1"; false; }; }
check "an agent that ends with nothing attached leaves no pin" left
echo '{"tcx": false}' >"$W/h1.json"
agent h1
check "attach" da h1 attach eth0 --ingress tc
check "port add" da h1 port add v-v1 --network blue --endpoint vm1
check "no link, a filter" sh -c "ip netns exec $P-h1 tc filter show dev eth0 ingress | grep -q dove_nic_ingre"
check "traffic flows" ping_all v1 10.1.0.12
on h1 tc filter add dev eth0 ingress prio 7 bpf da obj "$W/other.o" sec tc
stop agent-h1 KILL
agent h1
check "a restarted agent adopts the filters" sh -c "ip netns exec $P-h1 $BUILD/dove-agent status --run-dir $W/run-h1 --json | jq -e '.nics[0].device == \"eth0\" and .ports == 1'"
check "traffic flows" ping_all v1 10.1.0.12
check "detach" da h1 detach eth0
only_other() { on h1 tc filter show dev eth0 ingress | grep -q other_tc && ! on h1 tc filter show dev eth0 ingress | grep -q dove_; }
check "another's filter on the clsact that we made stays, ours are gone" only_other
da h1 port del v-v1 >/dev/null
port_clean() { [ -z "$(on h1 tc qdisc show dev v-v1 clsact)" ]; }
check "a clsact of ours that nobody uses goes" port_clean

say "-- devices that go away"
rm "$W/h1.json"
stop agent-h1
agent h1
da h1 attach eth0 >/dev/null
check "port add" da h1 port add v-v1 --network blue --endpoint vm1
on h1 ip link del v-v1
no_port() { da h1 port list --json | jq -e 'length == 0' && [ -z "$(ls "$W/bpf-h1/$LAYOUT/links" | grep port)" ]; }
check "a VM's interface that vanishes takes its port with it" until_ok 3 no_port

say "-- a pin directory that is on no bpffs"
da h1 detach eth0 >/dev/null
stop agent-h1
own_agent() {
	bg agent-h1 h1 "$BUILD/dove-agent" run --host h1 --dps $DPS_URL --run-dir "$W/run-h1" --pin-dir "$W/pins"
	until_ok 5 da h1 status
}
own_agent
check "the agent mounts one" grep -q "$W/pins" /proc/mounts
check "attach" da h1 attach eth0
stop agent-h1 KILL
outlived() { [ -e "$W/pins/$LAYOUT/dove_cache" ] && ls "$W/pins/$LAYOUT/links" | grep -q ingress; }
check "the pins outlive it, also when 'ip netns exec' had given it mounts of its own" outlived
own_agent
adopted_nic() { da h1 status --json | jq -e '.nics[0].device == "eth0"'; }
check "the next agent adopts them" adopted_nic
check "detach" da h1 detach eth0
stop agent-h1
unmounted() { ! grep -q "$W/pins" /proc/mounts; }
check "and unmounts what it mounted when nothing is left" unmounted
finish
