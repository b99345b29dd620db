#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A service that is restored from a backup: what it gave out since is never given out again.
. "$(dirname "$0")/lib.sh"

policy() { # NAME ACTION
	jq -n --arg name "$1" --arg action "$2" '[{kind: "policy", network: "blue", name: $name, priority: 9,
	  from: {endpoints: ["vm1"]}, to: {endpoints: ["vm2"]}, proto: "udp", action: $action}]' >"$W/policy.json"
	ctl apply -f "$W/policy.json" >/dev/null
}
revision() { da "$1" status --json | jq '.networks[] | select(.name == "blue") | .revision'; }

world 2
service
blue 1 2
echo '{"origin_check": false}' >"$W/h1.json"
for h in h1 h2; do agent $h; da $h attach eth0 --ingress tc >/dev/null; done
for i in 1 2; do vm h$i v$i blue vm$i 10.1.0.1$i 02:00:00:00:01:0$i; done
check "R14: it works" ping_all v1 10.1.0.12
# The backup, and a life after it that it knows nothing of.
stop dps
cp -a "$W/dps" "$W/backup"
service
for i in 1 2 3 4 5 6 7 8 9; do policy "p$i" deny; policy "p$i" allow; done
sleep 0.5
ping_ok v1 10.1.0.12 1 >/dev/null
before=$(revision h2) used=$(da h1 cache --json | jq '[.[].sequence] | max')
check "R24: translations of after the backup are in use" [ "$used" -gt 10 ]
stop dps
rm -r "$W/dps" && mv "$W/backup" "$W/dps"
service --restored
above() { echo "$before -> $(revision h2)"; [ "$(revision h2)" -gt "$before" ]; }
check "R24: restored, its revision is above all that it ever gave out" until_ok 10 above
old=$(revision h2)
refused=$(stat h2 returned)
check "R20: traffic goes on" until_ok 5 ping_ok v1 10.1.0.12 1
found() { echo "given back: $refused -> $(stat h2 returned); in use: $(da h1 cache --json | jq '[.[].sequence] | max')"; [ "$(da h1 cache --json | jq '[.[].sequence] | max')" -ge "$old" ]; }
check "R20: under what the service says now, and no older word" until_ok 5 found
policy later deny
check "R24: what it makes now is newer than all before" until_ok 3 sh -c "[ \"\$(ip netns exec $P-h2 $BUILD/dove-agent status --json --run-dir $W/run-h2 | jq '.networks[0].revision')\" -gt $old ]"
stop dps
service
same() { sleep 0.3; [ "$(revision h2)" -lt $((old + 1000)) ]; }
check "R24: started again without the word, it does not jump again" same
finish
