#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Answers hold for so long and no longer, whether agents and service live or not.
#
#   h1: v1     h2: v2     answers hold for 3 s
. "$(dirname "$0")/lib.sh"

world
service --lifetime 3
blue 1 2
agent h1
agent h2
da h1 attach eth0 >/dev/null
da h2 attach eth0 >/dev/null
vm h1 v1 blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 blue vm2 10.1.0.12 02:00:00:00:01:02
ping_ok v1 10.1.0.12 2 >/dev/null
misses=$(stat h1 misses)
stream() { on v1 ping -q -n -i 0.02 -c 400 -W 1 10.1.0.12 | grep ' 0% packet loss'; }
check "R12: a stream of three lifetimes loses nothing" stream
ahead() { da h1 stats --json | jq -e '.agent.refreshed >= 2'; }
check "R12: because translations are renewed ahead of their end" ahead
unheld() { echo "misses $misses -> $(stat h1 misses)"; [ "$(stat h1 misses)" = "$misses" ]; }
check "R12: no packet of it had to wait" unheld
stop dps KILL
check "R12: with the service away a translation serves on" ping_ok v1 10.1.0.12 1
sleep 4
check "R12: but not beyond its end, though agents and kernel run" refuses ping_ok v1 10.1.0.12 1
stop agent-h1 KILL
check "R12: nor without an agent" refuses ping_ok v1 10.1.0.12 1
service --lifetime 3
agent h1
check "R12: with the service back it is asked again" until_ok 10 ping_all v1 10.1.0.12
finish
