#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Policies that lead through services, ten of them and 10,000: what a packet takes in the kernel (bench/programs.c), and
# what an answer takes of the service's processor time. One service with so many, and another, have the same 10,000
# endpoints and are asked in turn, 256 keys a request, for pairs of a source that a policy names: pairs that it was
# never asked for (new), and the same pairs once more (again). A ratio is of one round.
. "$(dirname "$0")/common.sh"

FEW=10 MANY=10000 ENDPOINTS=10000
REQUESTS=$([ -n "$QUICK" ] && echo 20 || echo 40)

# objects POLICIES: names with zeros before them, for ids follow the order of names
objects() {
	awk -v n="$1" -v endpoints=$ENDPOINTS 'BEGIN {
		printf "[{\"kind\":\"network\",\"name\":\"blue\",\"subnets\":[\"10.0.0.0/16\"]}\n"
		for (s = 0; s < 20; s++)
			printf ",{\"kind\":\"service\",\"name\":\"s%d\"}\n", s
		for (e = 0; e < endpoints; e++)
			printf ",{\"kind\":\"endpoint\",\"network\":\"blue\",\"name\":\"vm%05d\",\"mac\":\"02:00:00:00:%02x:%02x\",\"addresses\":[\"10.0.%d.%d\"]}\n", e, e / 256, e % 256, e / 250, e % 250 + 2
		for (p = 0; p < n; p++)
			printf ",{\"kind\":\"policy\",\"network\":\"blue\",\"name\":\"p%05d\",\"priority\":%d,\"from\":{\"endpoints\":[\"vm%05d\"]},\"to\":\"any\",\"action\":\"allow\",\"path\":[\"s%d\",\"s%d\"]}\n", p, p % 100 + 1, p, p % 20, (p + 1 + p % 10) % 20
		print "]"
	}'
}
serve() { # NAME PORT POLICIES
	mkdir "$W/data-$1"
	jq -n --arg data "$W/data-$1" --arg listen "127.0.0.1:$2" '{data: $data, listen: $listen}' >"$W/$1.json"
	bg "$1" s "$BUILD/dove-dps" run --config "$W/$1.json"
	until_ok 10 on s curl -sf -o /dev/null "http://127.0.0.1:$2/healthz" || fail "dove-dps does not start"
	objects "$3" >"$W/objects.json"
	on s "$BUILD/dovectl" --dps "http://127.0.0.1:$2" apply -f "$W/objects.json" >/dev/null || fail "apply"
}
# asked NAME PORT POLICIES ROUND: microseconds of the server's processor time for an answer
asked() {
	on s timeout --foreground 60 python3 - "${PID[$1]}" "$2" "$3" "$ENDPOINTS" "$4" "$REQUESTS" <<-'PY'
	import glob, http.client, json, sys
	pid, port, policies, endpoints, turn, requests = (int(a) for a in sys.argv[1:])
	server = http.client.HTTPConnection("127.0.0.1", port)
	def ask(body):
	    server.request("POST", "/v1/resolve", body)
	    return server.getresponse().read()
	def used():
	    return sum(int(open(f).read().split()[0]) for f in glob.glob(f"/proc/{pid}/task/*/schedstat"))
	first = json.loads(ask('{"keys":[{"network":"blue","from":"vm00000","to_endpoint":"vm00001"}]}'))["answers"][0]["source"]
	def key(k):
	    source = k % policies
	    to = (source + 1 + k // policies) % endpoints
	    return {"source": first + source, "to": f"10.0.{to // 250}.{to % 250 + 2}"}
	bodies = [json.dumps({"keys": [key((turn * requests + r) * 256 + i) for i in range(256)]}) for r in range(requests)]
	before = used()
	replies = [ask(b) for b in bodies]
	after = used()
	for reply in replies:
	    for a in json.loads(reply)["answers"]:
	        if a["verdict"] != "allow" or len(a["path"]) != 2:
	            sys.exit(f"not through two services: {a}")
	print((after - before) / 1000 / (256 * requests))
	PY
}

room
ns_add s
nice -n -10 "$BUILD/bench/programs" --policies $FEW,$MANY --rounds "$ROUNDS" ${QUICK:+--repeat 50000} >>"$SAMPLES" || fail "programs"
serve few 7001 $FEW
serve many 7002 $MANY
[ -r "/proc/${PID[few]}/schedstat" ] || { note resolve_paths_us "left out: this kernel does not tell a process's time"; exit 0; }
for ((round = 0; round < ROUNDS; round++)); do
	for what in new again; do
		few=$(asked few 7001 $FEW $round) && many=$(asked many 7002 $MANY $round) || { note resolve_paths_us "no answers in a round"; continue; }
		sample resolve_paths_us ${what}_$FEW "$few" us
		sample resolve_paths_us ${what}_$MANY "$many" us
		sample resolve_paths_us ${what}_ratio "$(jq -n "$many / $few")" us
	done
done
