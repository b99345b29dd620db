#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A path through services of two authorities, over hosts each of which has VMs of one of them alone, and knows
# that one's local server alone: across.sh has the drawing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/across.sh"
hosts
say "-- nobody in between"
check "R8: the first packet arrives, from a host that no watch has named, and is answered" meets "" pings
check "R25: no instance of the other's is known where no answer names it" test "$(services h1)" = '["acme:firewall"]'

all plain
stop agent-h3 KILL
start_agent h3
check "R26: a hop's agent that was killed finds them again" until_ok $SOON meets "afw ssl1" pings

say "-- who may know"
# said HOST PORT BODY: the status, and what was said
said() {
	on s curl -s -m 5 -w '\n%{http_code}' --cacert "$PKI/ca.pem" --cert "$PKI/host-$1.pem" --key "$PKI/host-$1.key" "$URL:$2/v1/statement" -d "$3"
}
gives() { local out; out=$(said "${@:2}"); echo "$out"; [ "$(tail -n 1 <<<"$out")" = "$1" ]; }
KEY='"key":{"vnid":256,"source":65536,"to":"10.2.0.11"}'
check "R25: a host is told of a service that an answer of its own names" gives 200 h1 6083 "{\"service\":\"globex:ssl-accelerator\",$KEY}"
check "R25: ... and the host of an instance on the same path" gives 200 h4 6084 "{\"service\":\"acme:firewall\",$KEY}"
check "R25: not of one that none names" gives 403 h1 6083 "{\"service\":\"globex:hidden\",$KEY}"
check "R25: nor is one that has nothing to do with the pair" gives 403 h9 6083 "{\"service\":\"globex:ssl-accelerator\",$KEY}"
check "R25: that there is a VM is told for an address that is known already" says_place true 198.51.100.1
check "R25: ... and no other" says_place false 198.51.100.9
check "R25: an administrator is told nothing" admin_refused
check "R25: nor is another authority's server, that names no answer" test "$(instances_for '')" = null
check "R25: ... or one of which that is not so" test "$(instances_for ',"vnid":600,"from_vnid":256,"source":65536,"to":"10.2.0.99"')" = null
check "R25: it is, by one that leads through it" test "$(instances_for ',"vnid":600,"from_vnid":256,"source":65536,"to":"10.2.0.11"')" = 1

finish
