#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad input: one clear line, an exit status that is not 0, and nothing changed.
. "$(dirname "$0")/lib.sh"

# says REGEX COMMAND...: it fails, with exactly one line on standard error (and none on output), which matches
says() {
	local want=$1 status lines
	shift
	"$@" >"$W/out" 2>"$W/err"
	status=$?
	cat "$W/out" "$W/err"
	lines=$(wc -l <"$W/err")
	[ $status != 0 ] && [ "$lines" = 1 ] && [ ! -s "$W/out" ] && grep -qE "$want" "$W/err"
}
# bad_objects REGEX JSON: refused whole; the snapshot of all objects stays
snapshot() { for k in network endpoint service policy host; do ctl get $k; done; ctl status --json | jq -c .revisions; }
bad_objects() {
	printf '%s' "$2" >"$W/bad.json"
	says "$1" ctl apply -f "$W/bad.json" || return 1
	[ "$(snapshot)" = "$SNAPSHOT" ] || { echo "something changed"; return 1; }
}
state() { da h1 port list --json; da h1 status --json | jq -c '.nics[].device'; ls "$W/bpf-h1/$LAYOUT/links"; }
unchanged() { says "$@" || return 1; [ "$(state)" = "$STATE" ] || { echo "something changed"; return 1; }; }

world 1
AGENT=$BUILD/dove-agent DPS=$BUILD/dove-dps
say "-- no service, no agent"
check "dovectl without a service" says "dovectl: .*$DPS_ADDR" ctl get network
check "dove-agent without an agent" says 'no agent answers at .*agent.sock' "$AGENT" status --run-dir "$W/none"
check "dove-agent run without --host" says '\-\-host' "$AGENT" run --dps $DPS_URL
check "dove-agent run with a URL that is none" says '\-\-dps' "$AGENT" run --host h1 --dps 192.0.2.9
check "dove-agent run: a configuration file with an unknown field" sh -c "echo '{\"colour\": 1}' >$W/c.json; $AGENT run --host h1 --dps $DPS_URL --config $W/c.json 2>&1 | grep -q colour"
check "dove-dps on an address that is not loopback, without TLS" says 'insecure|TLS' "$DPS" run --data "$W/x" --listen 192.0.2.9:6083
check "dove-dps on an address that is none" says 'listen' "$DPS" run --data "$W/x" --listen nowhere

service
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]}, {kind: "service", name: "firewall"}] + [(1, 2) as $i | {kind: "endpoint", network: "blue",
  name: "vm\($i)", mac: "02:00:00:00:01:0\($i)", addresses: ["10.1.0.1\($i)"]}]' >"$W/objects.json"
ctl apply -f "$W/objects.json" >/dev/null
SNAPSHOT=$(snapshot)

say "-- object files"
check "garbage" bad_objects 'line 1' '[{"kind": '
check "not a list" bad_objects 'list' '{"kind":"network","name":"x"}'
check "unknown kind" bad_objects 'kind' '[{"kind":"netwrok","name":"x"}]'
check "unknown field" bad_objects 'colour' '[{"kind":"network","name":"x","colour":1}]'
check "unknown network" bad_objects 'nowhere' '[{"kind":"endpoint","network":"nowhere","name":"a","mac":"02:00:00:00:00:01","addresses":[]}]'
check "bad MAC" bad_objects 'blue/a.*mac' '[{"kind":"endpoint","network":"blue","name":"a","mac":"02:00:00:00:00","addresses":[]}]'
check "multicast MAC" bad_objects 'blue/a.*mac' '[{"kind":"endpoint","network":"blue","name":"a","mac":"01:00:00:00:00:01","addresses":[]}]'
check "bad address" bad_objects 'blue/a.*addresses\[0\]' '[{"kind":"endpoint","network":"blue","name":"a","mac":"02:00:00:00:00:01","addresses":["10.1.0.300"]}]'
check "address outside of the subnets" bad_objects 'blue/a.*addresses\[0\]' '[{"kind":"endpoint","network":"blue","name":"a","mac":"02:00:00:00:00:01","addresses":["10.2.0.1"]}]'
check "address taken" bad_objects 'blue/a.*addresses\[0\]' '[{"kind":"endpoint","network":"blue","name":"a","mac":"02:00:00:00:00:01","addresses":["10.1.0.11"]}]'
check "one bad object refuses the whole file" bad_objects 'blue/b.*mac' '[{"kind":"endpoint","network":"blue","name":"a","mac":"02:00:00:00:00:01","addresses":[]},{"kind":"endpoint","network":"blue","name":"b","mac":"zz","addresses":[]}]'
POL='[{"kind":"policy","network":"blue","name":"p","priority":1,"from":"any","to":"any","action":"deny"'
check "R7: a policy that names an address" bad_objects 'blue/p.*to\.endpoints\[0\].*logical' '[{"kind":"policy","network":"blue","name":"p","priority":1,"from":"any","to":{"endpoints":["10.1.0.12"]},"action":"deny"}]'
check "R7: a policy that names a host" bad_objects 'blue/p.*host.*logical' "$POL"',"host":"h1"}]'
check "R7: a policy with an interface" bad_objects 'blue/p.*interface.*logical' "$POL"',"interface":"eth0"}]'
check "R7: a policy whose sender is a prefix" bad_objects 'blue/p.*from' '[{"kind":"policy","network":"blue","name":"p","priority":1,"from":"10.0.0.0/8","to":"any","action":"deny"}]'
check "R7: an unknown VM" bad_objects 'blue/p.*to\.endpoints\[1\]' '[{"kind":"policy","network":"blue","name":"p","priority":1,"from":"any","to":{"endpoints":["vm1","vm9"]},"action":"deny"}]'
check "an unknown service" bad_objects 'blue/p.*path\[0\]' '[{"kind":"policy","network":"blue","name":"p","priority":1,"from":"any","to":"any","action":"allow","path":["sandbox"]}]'
check "a port of 65536" bad_objects 'blue/p.*to_port' "$POL"',"proto":"tcp","to_port":65536}]'
check "a port range backwards" bad_objects 'blue/p.*to_port' "$POL"',"proto":"tcp","to_port":"20-10"}]'
check "ports of a protocol that has none" bad_objects 'blue/p.*port' "$POL"',"proto":"icmp","to_port":80}]'
check "unknown action" bad_objects 'blue/p.*action' '[{"kind":"policy","network":"blue","name":"p","priority":1,"from":"any","to":"any","action":"maybe"}]'
check "a file that is not there" says 'nothing.json' ctl apply -f "$W/nothing.json"
check "get: unknown kind" says 'sheep' ctl get sheep
check "get: unknown name" says 'vm9' ctl get endpoint blue/vm9
check "delete: unknown name" says 'vm9' ctl delete endpoint blue/vm9
check "delete: still referred to" says 'blue' ctl delete network blue
check "resolve: unknown network" says 'green' ctl resolve --network green --from vm1 --to vm2
check "resolve: unknown VM" says 'vm9' ctl resolve --network blue --from vm1 --to vm9

agent h1
vm_plug h1 v1 10.1.0.11 02:00:00:00:01:01
STATE=$(state)
say "-- the agent"
check "attach: missing device" unchanged 'eth9: no such device' da h1 attach eth9
check "attach: no device named" says 'which device' da h1 attach
check "attach: unknown ingress" says 'ingress' da h1 attach eth0 --ingress fast
check "attach: XDP where there is none" unchanged 'lo: .*native XDP' da h1 attach lo --ingress xdp
check "detach: not attached" unchanged 'eth0: not attached' da h1 detach eth0
check "port add: missing device" unchanged 'v-v9: no such device' da h1 port add v-v9 --network blue --endpoint vm1
check "port add: unknown network" unchanged "network.*'?green|green" da h1 port add v-v1 --network green --endpoint vm1
check "port add: unknown VM" unchanged 'vm9' da h1 port add v-v1 --network blue --endpoint vm9
check "port add: no network named" says 'network' da h1 port add v-v1 --endpoint vm1
check "port del: not a port" unchanged 'v-v1: is not a port' da h1 port del v-v1
check "port del: missing device" unchanged 'v-v9: no such device' da h1 port del v-v9
check "unknown command" says "no command" "$AGENT" dance
check "unknown option" says "recognize.*colour" "$AGENT" status --colour
check "dovectl: unknown command" says "dance" ctl dance
check "dovectl: an argument too few" says "dovectl get" ctl get
check "dove-dps: unknown option" says "colour" "$DPS" run --colour
da h1 port add v-v1 --network blue --endpoint vm1 >/dev/null
STATE=$(state)
check "port add before any attach works, for VMs of one host" da h1 status --json
check "port add: twice" unchanged 'v-v1: is the port of blue/vm1 already' da h1 port add v-v1 --network blue --endpoint vm2
check "port add: the VM is here already" unchanged 'blue/vm1: is at port v-v1' da h1 port add eth0 --network blue --endpoint vm1
check "attach: a VM's port" unchanged "v-v1: is a VM's port" da h1 attach v-v1
check "a second agent with the same run directory" says 'run directory' on h1 "$AGENT" run --host h1 --dps $DPS_URL --run-dir "$W/run-h1" --pin-dir "$W/bpf-h1"
check "a second agent with the same pin directory" says 'pin directory' on h1 "$AGENT" run --host h1 --dps $DPS_URL --run-dir "$W/run-other" --pin-dir "$W/bpf-h1"
check "a second service on the same data" says 'in use by another' on s "$DPS" run --data "$W/dps" --listen 127.0.0.1:6099
check "a second service on the same port" says '6083' on s "$DPS" run --data "$W/dps2" --listen $DPS_ADDR:6083 --insecure
stop dps
check "port add without a service" unchanged "policy service at $DPS_URL" da h1 port add eth0 --network blue --endpoint vm2
finish
