// SPDX-License-Identifier: Apache-2.0
#include "flows.h"

static bool is_icmp(const struct vm_frame *v)
{
	return v->proto == icmp_proto(family_of(&v->src));
}

struct dove_flow_key flow_of(const struct vm_frame *v, uint32_t replier)
{
	struct dove_flow_key key = { .src = v->dst, .dst = v->src, .source = replier, .proto = v->proto };

	if (is_icmp(v)) {
		key.from_port = key.to_port = v->icmp_rest >> 16;
	} else if (v->proto == 6 || v->proto == 17) {
		key.from_port = v->to_port;
		key.to_port = v->from_port;
	}
	return key;
}

struct dove_flow_key flow_for(const struct vm_frame *reply)
{
	struct vm_frame first = *reply;

	first.src = reply->dst;
	first.dst = reply->src;
	first.from_port = reply->to_port;
	first.to_port = reply->from_port;
	return flow_of(&first, vm1.endpoint);
}

void flow_put(const struct dove_flow_key *key, uint64_t ago)
{
	struct dove_flow flow = { .seen = now_ns() - ago,
				  .revision = REVISION,
				  .vnid = BLUE,
				  .policy = POLICY,
				  .peer = vm2.endpoint };

	map_put(dove_flows, key, &flow);
}

void expect_flow(const struct dove_flow_key *key, uint32_t peer)
{
	struct dove_flow flow;

	check(map_count(dove->maps.dove_flows) == 1, "%u flows", map_count(dove->maps.dove_flows));
	check(map_get(dove_flows, key, &flow), "another flow is remembered");
	check(flow.revision == REVISION && flow.vnid == BLUE && flow.policy == POLICY && flow.peer == peer,
	      "revision %llx, network %x, policy %x, peer %u", flow.revision, flow.vnid, flow.policy,
	      flow.peer);
	check(now_ns() + SECOND - flow.seen < 3 * SECOND, "not seen just now");
}

void expect_no_flow(void)
{
	check(!map_count(dove->maps.dove_flows), "a flow is remembered");
}
