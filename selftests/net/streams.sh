# SPDX-License-Identifier: Apache-2.0
# Numbered streams between VMs (tools/probe.c), and VMs that move amid them: what the tests of changes have in
# common. Source it after lib.sh; IN4[VM] is the script's. Then
#
#   vms_of_blue SUBNET [JSON]  network blue and all these VMs, further objects, applied; their MAC[VM]
#   three_agents               on h1 (TC), h2 (XDP) and h3 (TC)
#   stream NAME FROM TO SECONDS [RATE [FLOWS]]   in the background; the receiver ends after $SILENCE (2) seconds of it
#   ended NAME...              until these streams have come to their end
#   window NAME SINCE UNTIL    of this stream what is sent then may be lost
#   judge NAME                 what became of it: "sent N, received N, lost N (N while detached), doubled N, ..."
#   count NAME WORD            the number behind that word in it
#   judged NAME [LEAST]        more than LEAST (1,000) were sent; none lost but in its windows, none doubled
#   in_order NAME              order was disturbed only around its windows
#   move VM HOST COMMAND...    its interface is plugged in there, its sockets stay; COMMAND makes the port. The time
#                              without one is a window of the stream VM
#
# (No shebang: this file is sourced by bash scripts.)
SILENCE=2
declare -A MAC=()

vms_of_blue() {
	local v
	for v in "${!IN4[@]}"; do
		MAC[$v]=02:00:00:00:01:${IN4[$v]##*.}
		jq -n --arg v "$v" --arg mac "${MAC[$v]}" --arg addr "${IN4[$v]}" \
			'{kind: "endpoint", network: "blue", name: $v, mac: $mac, addresses: [$addr]}'
	done >"$W/vms"
	jq -s --arg net "$1" --argjson more "${2:-[]}" '[{kind: "network", name: "blue", subnets: [$net]}] + . + $more' \
		"$W/vms" >"$W/objects.json"
	ctl apply -f "$W/objects.json" >/dev/null
}
three_agents() {
	local h
	for h in h1 h2 h3; do agent $h; done
	da h1 attach eth0 --ingress tc >/dev/null
	da h2 attach eth0 --ingress xdp >/dev/null
	da h3 attach eth0 --ingress tc >/dev/null
}
now() { date +%s%N; }
window() { echo "$2 $3" >>"$W/windows-$1"; }
stream() {
	rm -f "$W/sent-$1" "$W/received-$1"
	: >"$W/windows-$1"
	listener "in-$1" "$3" "$T/probe" receive 4000 $SILENCE "$W/received-$1"
	bg "out-$1" "$2" "$T/probe" send "${IN4[$3]}" 4000 "${5:-$RATE}" "$4" "$W/sent-$1" "${6:-1}"
}
ended() {
	local name
	for name in "$@"; do
		wait "${PID[out-$name]}" "${PID[in-$name]}"
		unset "PID[out-$name]" "PID[in-$name]"
	done
}
judge() { "$T/probe" judge "$W/sent-$1" "$W/received-$1" "$W/windows-$1" 2>/dev/null; }
count() { judge "$1" | sed -n "s/.*$2 \([0-9]*\).*/\1/p"; }
judged() {
	local line
	line=$("$T/probe" judge "$W/sent-$1" "$W/received-$1" "$W/windows-$1" 2>&1) || return 1
	echo "$line"
	[[ $line =~ sent\ ([0-9]+),\ received.*lost\ ([0-9]+)\ \(([0-9]+)\ while.*doubled\ ([0-9]+), ]] || return 1
	[ "${BASH_REMATCH[1]}" -gt "${2:-1000}" ] && [ "${BASH_REMATCH[2]}" = "${BASH_REMATCH[3]}" ] && [ "${BASH_REMATCH[4]}" = 0 ]
}
in_order() { [[ $(judge "$1") =~ overtaken\ ([0-9]+)\ \(([0-9]+)\ near ]] && [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]; }
move() {
	local since
	since=$(now)
	on "$1" ip link del eth0
	vm_wire "$2" "$1" "${IN4[$1]}" "${MAC[$1]}"
	"${@:3}" || return 1
	window "$1" "$since" "$(now)"
}
