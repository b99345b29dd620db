#!/usr/bin/env bash
. "$(dirname "$0")/lib.sh"

# appliance HOST NAME: a namespace with a bridge over two ports, NAME and NAME-out.
appliance() {
	ns_add "$2"
	on "$2" ip link add br0 type bridge stp_state 0 mcast_snooping 0
	on "$2" ip link set br0 up
	for end in "" -out; do
		ip link add "eth0$end" netns "$P-$2" type veth peer name "a-$2$end" netns "$P-$1"
		on "$2" ip link set "eth0$end" master br0 up
		on "$1" ip link set "a-$2$end" up
	done
}
world 3
service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}] + [(1, 2, 3) as $i | {kind: "endpoint", network: "blue",
  name: "v\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]}] + [("fw1", "fw1-out") as $f | {kind: "endpoint", network: "blue",
  name: $f, mac: (if $f == "fw1" then "02:00:00:00:02:01" else "02:00:00:00:02:02" end)}] +
  [{kind: "service", name: "firewall", instances: [{endpoint: "blue/fw1", out: "blue/fw1-out"}]},
   {kind: "policy", network: "blue", name: "v1-out", priority: 100, from: {endpoints: ["v1"]}, to: "any", action: "allow", path: ["firewall"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json"
for h in h1 h2 h3; do agent $h; da $h attach eth0 --ingress tc >/dev/null; done
vm h1 v1 blue v1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue v2 10.1.0.12 02:00:00:00:01:02
appliance h3 fw1
da h3 port add a-fw1 --network blue --endpoint fw1
da h3 port add a-fw1-out --network blue --endpoint fw1-out
bg dump fw1 tcpdump -n -e -i br0; bg dumpr r tcpdump -n -e -x -i any udp port 6081
on v1 ping -c 3 -i 0.3 -W 1 10.1.0.12
for h in h1 h2 h3; do echo "== $h"; da $h stats | grep -v " 0 " | head -40; tail -5 $W/agent-$h.log; done
cat $W/dump.log; head -40 $W/dumpr.log; on h2 bpftool -j map dump pinned "$W/bpf-h2/v3/dove_local" | jq -c ".[].formatted"; on h1 bpftool -j map dump pinned "$W/bpf-h1/v3/dove_cache" | jq -c ".[].formatted"
on h3 bpftool -j map dump pinned "$W/bpf-h3/v3/dove_contexts" | jq -c '.[].formatted' | head
on h1 bpftool -j map dump pinned "$W/bpf-h1/v3/dove_hops" | jq -c '.[0].formatted' | head
on h1 bpftool -j map dump pinned "$W/bpf-h1/v3/dove_paths" | jq -c '.[1].formatted' | head
da h1 cache
finish
