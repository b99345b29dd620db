#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A kernel without TCX (before 6.6): the agent attaches by cls_bpf of its own accord.
#
#   h1 (TC): v1     h2 (XDP): v2
. "$(dirname "$0")/lib.sh"

if grep -q ' tcx_prog_attach$' /proc/kallsyms; then
	skip "this kernel has TCX: cls_bpf by configuration is in 50-restart"
	finish
	exit
fi
world
service
blue 1 2
agent h1
agent h2
check "attach, ingress by TC" da h1 attach eth0 --ingress tc
check "attach, ingress by XDP" da h2 attach eth0 --ingress xdp
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
filter() { on "$1" tc filter show dev "$2" "$3" | grep "$4"; }
check "the NIC has a filter for what comes in" filter h1 eth0 ingress dove_nic_ingre
check "and one for what goes out" filter h1 eth0 egress dove_nic_egress
check "the VM's interface has one" filter h1 v-v1 ingress dove_port
check "the VMs reach each other" ping_all v1 10.1.0.12
check "and the other way" ping_all v2 10.1.0.11
stop agent-h1 KILL
agent h1
adopted() { da h1 status --json | jq -e '.nics[0].device == "eth0" and .ports == 1'; }
check "a restarted agent adopts the filters" adopted
check "the VMs reach each other" ping_all v1 10.1.0.12
check "port del" da h1 port del v-v1
check "detach" da h1 detach eth0
clean() { [ -z "$(on h1 tc qdisc show dev eth0 clsact)$(on h1 tc qdisc show dev v-v1 clsact)" ]; }
check "and nothing of ours is left" clean
finish
