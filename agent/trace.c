// SPDX-License-Identifier: Apache-2.0
#include "trace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "maps/slot.h"
#include "paths.h"
#include "ports.h"
#include "qos.h"
#include "underlay.h"
#include "watch.h"

/* An IP header of either family, and as much of TCP as its parser reads. */
#define FRAME_ROOM 128
#define L4_LEN 20

static const struct {
	const char *name, *class, *text;
} reasons[] = {
#define X(NAME, name, class, text) [DOVE_##NAME] = { #name, #class, text },
	DOVE_REASONS(X)
#undef X
};

/* What bpf/stale.h makes of the numbers, in words. */
static const char *const freshness[] = { "current",
					 "from a revision that this host has not watched yet",
					 "the watch is silent; the answer may still hold",
					 "stale: changed since, the requirements did not",
					 "refused: the requirements changed since",
					 "of a policy that is not known here",
					 "the watch is silent for longer than answers live",
					 "of a network that is not served here" };

struct trace {
	struct agent *agent;
	struct port_view port;
	struct ip_addr from, to;
	uint64_t proto, from_port, to_port;
	cJSON *steps;
};

static void step(struct trace *t, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void step(struct trace *t, const char *name, const char *fmt, ...)
{
	cJSON *one = cJSON_CreateObject();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cJSON_AddStringToObject(one, "step", name);
	cJSON_AddStringToObject(one, "says", text);
	cJSON_AddItemToArray(t->steps, one);
}

/* ---- the question ---- */

static int from_parse(struct trace *t, const char *text, struct error *err)
{
	if (text)
		return ip_parse(text, &t->from) ? error_set(err, -EINVAL, "--from: '%s' is no address", text)
						: 0;
	for (int i = 0; i < t->port.n_addrs; i++)
		if (ip_is_v4(&t->port.addrs[i]) == ip_is_v4(&t->to)) {
			t->from = t->port.addrs[i];
			return 0;
		}
	return error_set(err, -EINVAL, "%s has no address of that family", t->port.device);
}

static int question_parse(struct trace *t, const cJSON *json, struct error *err)
{
	const char *device = cJSON_GetStringValue(json_get(json, "device"));
	const char *to = cJSON_GetStringValue(json_get(json, "to"));
	struct json_error field = {};

	if (!device || (ports_view(t->agent->ports, device, &t->port) &&
			gateway_view(t->agent->gateway, device, &t->port)))
		return error_set(err, -ENODEV, "%s: is not a port", device ? device : "");
	if (!to || ip_parse(to, &t->to))
		return error_set(err, -EINVAL, "--to: '%s' is no address", to ? to : "");
	t->proto = ip_is_v4(&t->to) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (json_uint_opt(json, "proto", 0, 255, &t->proto, &field) ||
	    json_uint_opt(json, "from_port", 0, 65535, &t->from_port, &field) ||
	    json_uint_opt(json, "to_port", 0, 65535, &t->to_port, &field))
		return error_set(err, -EINVAL, "%s: %s", field.field, field.text);
	if (from_parse(t, cJSON_GetStringValue(json_get(json, "from")), err))
		return -EINVAL;
	if (ip_is_v4(&t->from) != ip_is_v4(&t->to))
		return error_set(err, -EINVAL, "--from and --to are of different families");
	return 0;
}

/* ---- the packet ---- */

static bool is_multicast(const struct ip_addr *ip)
{
	return ip_is_v4(ip) ? ip->b[12] >> 4 == 0xe || ip->b[12] == 0xff : ip->b[0] == 0xff;
}

/* An external network is reached by the gateway; for all else the way is the same with it and without. */
static bool by_gateway(const struct trace *t)
{
	struct dove_prefix_key key = { .bits = 8 * (sizeof(key.vnid) + sizeof(key.addr)),
				       .vnid = htonl(t->port.vnid),
				       .addr = to_dove_ip(&t->to) };
	struct dove_prefix row;

	return !bpf_map_lookup_elem(t->agent->maps->prefixes, &key, &row) && row.external;
}

static size_t ip_write(uint8_t *at, const struct trace *t)
{
	struct iphdr ip4 = { .version = 4,
			     .ihl = 5,
			     .tot_len = htons(sizeof(ip4) + L4_LEN),
			     .ttl = 64,
			     .protocol = t->proto };
	struct ip6_hdr ip6 = { .ip6_plen = htons(L4_LEN), .ip6_nxt = t->proto, .ip6_hlim = 64 };

	if (ip_is_v4(&t->to)) {
		ip4.saddr = ip_to_v4(&t->from);
		ip4.daddr = ip_to_v4(&t->to);
		memcpy(at, &ip4, sizeof(ip4));
		return sizeof(ip4);
	}
	ip6.ip6_vfc = 6 << 4;
	memcpy(&ip6.ip6_src, t->from.b, sizeof(ip6.ip6_src));
	memcpy(&ip6.ip6_dst, t->to.b, sizeof(ip6.ip6_dst));
	memcpy(at, &ip6, sizeof(ip6));
	return sizeof(ip6);
}

static size_t frame_write(uint8_t frame[static FRAME_ROOM], const struct trace *t)
{
	static const uint8_t gateway[] = DOVE_GATEWAY_MAC;
	struct ethhdr eth = { .h_dest = { 2 }, .h_proto = htons(ip_is_v4(&t->to) ? ETH_P_IP : ETH_P_IPV6) };
	uint8_t *at = frame + sizeof(eth);

	memset(frame, 0, FRAME_ROOM);
	if (is_multicast(&t->to))
		memset(eth.h_dest, 0xff, sizeof(eth.h_dest));
	else if (t->port.external || by_gateway(t))
		memcpy(eth.h_dest, gateway, sizeof(gateway));
	memcpy(eth.h_source, t->port.mac.b, sizeof(eth.h_source));
	memcpy(frame, &eth, sizeof(eth));
	at += ip_write(at, t);
	if (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6) {
		at[0] = t->proto == IPPROTO_ICMP ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	} else {
		at[0] = t->from_port >> 8;
		at[1] = t->from_port;
		at[2] = t->to_port >> 8;
		at[3] = t->to_port;
		at[12] = 5 << 4; /* of TCP: the header's length */
	}
	return at + L4_LEN - frame;
}

/* ---- what came of it ---- */

static const char *verdict_words(const struct dove_traced *d)
{
	switch (d->verdict) {
	case DOVE_VERDICT_ALLOW:
		return d->flags & DOVE_RULE_TRACK ? "allows it, and the replies to it" : "allows it";
	case DOVE_VERDICT_DENY:
		return d->flags & DOVE_RULE_REPLIES
			       ? "denies it, unless it is a reply to what was let through"
			       : "denies it";
	case DOVE_VERDICT_REJECT:
		return "rejects it: the sender is told";
	case DOVE_VERDICT_NO_ENDPOINT:
		return "nobody has the address";
	case DOVE_VERDICT_NO_PLACE:
		return "the VM that has it is attached nowhere";
	case DOVE_VERDICT_NO_SERVICE:
		return "demands a service that has no live instance";
	case DOVE_VERDICT_GATEWAY:
		return "the address is the gateway's";
	}
	return "?";
}

static void steps_decision(struct trace *t, const struct dove_traced *d)
{
	const char *name = watch_policy_name(t->agent->watch, d->vnid, d->policy);

	if (d->external)
		step(t, "route", "the gateway has a prefix for it: external network %u '%s'", d->external,
		     watch_external_name(t->agent->watch, d->external));
	if (!d->revision && d->reason == DOVE_HELD_MISS)
		step(t, "translation", "none that can be used: the agent would ask the service");
	if (!d->revision)
		return;
	step(t, "translation", "made at revision %llu of network %s (%u)", (unsigned long long)d->revision,
	     watch_network_name(t->agent->watch, d->vnid), d->vnid);
	if (d->policy)
		step(t, "policy", "%u %s%s%s%s", d->policy, name[0] ? "'" : "", name, name[0] ? "' " : "",
		     verdict_words(d));
	else
		step(t, "policy", "%s", verdict_words(d));
	if (d->wanted > d->revision)
		step(t, "sequence", "%s; wanted is %llu", freshness[d->fresh & 7],
		     (unsigned long long)d->wanted);
	else
		step(t, "sequence", "%s", freshness[d->fresh & 7]);
}

static void steps_qos(struct trace *t, const struct dove_traced *d)
{
	struct dove_host row = {};
	char text[500];

	if (!d->qos)
		return;
	qos_words(t->agent, d->qos, text, sizeof(text));
	if (!strstr(text, "rate_mbps ")) {
		step(t, "quality", "%s", text);
		return;
	}
	/* As bpf/send.h has it: what no NIC sees, or a service first, is not paced. */
	if (!d->local && !d->path)
		bpf_map_lookup_elem(t->agent->maps->hosts, &d->host, &row);
	step(t, "quality", "%s, %s", text, row.queue ? "paced" : "policed");
}

/* To another host; where its path leads by routers, by the first one's way, as bpf/laid.h has it. */
static void step_far(struct trace *t, const struct dove_traced *d)
{
	struct ip_addr host = from_dove_ip(&d->host), router;
	struct dove_ip first;
	uint32_t len = qos_way(t->agent, d->qos, &d->host, &first);
	bool by_router = memcmp(&first, &(struct dove_ip){}, sizeof(first)) != 0;
	int map = by_router ? t->agent->maps->routers : t->agent->maps->hosts;
	char text[IP_TEXT], by[IP_TEXT], through[IP_TEXT + 16] = "", dev[IF_NAMESIZE] = "?";
	struct dove_host row;

	router = from_dove_ip(&first);
	if (by_router)
		snprintf(through, sizeof(through), " through %s", ip_format(&router, by));
	if (bpf_map_lookup_elem(map, by_router ? &first : &d->host, &row) ||
	    !(row.flags & DOVE_HOST_REACHABLE)) {
		step(t, "way", "to host %s at %s%s, whose next hop is not known yet",
		     underlay_name(t->agent->underlay, &host), ip_format(&host, text), through);
		return;
	}
	if_indextoname(row.ifindex, dev);
	step(t, "way", "to host %s at %s by %s%s, packets up to %u bytes",
	     underlay_name(t->agent->underlay, &host), ip_format(&host, text), dev, through, row.mtu - len);
}

static void steps_way(struct trace *t, const struct dove_traced *d)
{
	if (!d->revision || d->verdict != DOVE_VERDICT_ALLOW)
		return;
	if (d->local && d->external) {
		step(t, "way", "out by %s, to this host's kernel",
		     gateway_device(t->agent->gateway, d->external));
		return;
	}
	if (d->local) {
		step(t, "way", "to a VM of this host (endpoint %u)", d->endpoint);
		return;
	}
	step_far(t, d);
}

static void step_hop(struct trace *t, const struct dove_traced *d, cJSON *hop)
{
	const char *instance = cJSON_GetStringValue(json_get(hop, "instance"));
	const char *service = cJSON_GetStringValue(json_get(hop, "service"));
	const char *back = d->reverse ? ", on the way back" : "";
	double stage = json_get(hop, "stage")->valuedouble;

	if (d->path_sequence)
		cJSON_AddNumberToObject(hop, "sequence", d->path_sequence);
	if (instance)
		step(t, "service",
		     "%.0f ahead: '%s'%s, %s on host %s, under sequence %llu; %.0f packets from here so far",
		     stage, service, back, instance, cJSON_GetStringValue(json_get(hop, "host")),
		     (unsigned long long)d->path_sequence, json_get(hop, "packets")->valuedouble);
	else
		step(t, "service", "%.0f ahead: '%s'%s, which has no live instance", stage, service, back);
}

/* The services on its way; where to it goes first is what the program chose. */
static void steps_path(struct trace *t, const struct dove_traced *d, cJSON *json)
{
	uint32_t slot = dove_slot(&d->src, d->from_port, &d->dst, d->to_port, d->proto);
	cJSON *hops, *one;

	if (!d->path)
		return;
	hops = paths_hops(t->agent->paths, d->path, d->reverse, slot);
	cJSON_ArrayForEach (one, hops)
		step_hop(t, d, one);
	cJSON_AddItemToObject(json, "hops", hops);
}

static void end_add(cJSON *json, uint32_t reason)
{
	if (reason >= ARRAY_SIZE(reasons))
		reason = DOVE_PASSED;
	cJSON_AddStringToObject(json, "end", reasons[reason].name);
	cJSON_AddStringToObject(json, "class", reasons[reason].class);
	cJSON_AddStringToObject(json, "says", reasons[reason].text);
}

static cJSON *trace_json(struct trace *t, const struct dove_traced *d)
{
	cJSON *json = cJSON_CreateObject();
	char text[IP_TEXT];

	t->steps = cJSON_CreateArray();
	step(t, "port", "%s is the port of %s%s/%s (%s %u)", t->port.device,
	     t->port.external ? "external network " : "", t->port.network, t->port.endpoint,
	     t->port.external ? "id" : "endpoint", t->port.id);
	if (d->reason != DOVE_SPOOFED_IP && d->reason != DOVE_SPOOFED_MAC)
		step(t, "sender", "%s may speak here", ip_format(&t->from, text));
	steps_decision(t, d);
	steps_path(t, d, json);
	steps_qos(t, d);
	steps_way(t, d);
	cJSON_AddStringToObject(json, "device", t->port.device);
	cJSON_AddStringToObject(json, "network", t->port.network);
	cJSON_AddStringToObject(json, "endpoint", t->port.endpoint);
	cJSON_AddStringToObject(json, "from", ip_format(&t->from, text));
	cJSON_AddStringToObject(json, "to", ip_format(&t->to, text));
	cJSON_AddNumberToObject(json, "proto", t->proto);
	cJSON_AddNumberToObject(json, "from_port", t->from_port);
	cJSON_AddNumberToObject(json, "to_port", t->to_port);
	cJSON_AddNumberToObject(json, "policy", d->policy);
	cJSON_AddNumberToObject(json, "sequence", d->revision);
	cJSON_AddItemToObject(json, "steps", t->steps);
	end_add(json, d->reason);
	return json;
}

int trace_run(struct agent *a, const cJSON *question, cJSON **out, struct error *err)
{
	struct trace t = { .agent = a };
	struct dove_traced traced;
	uint8_t frame[FRAME_ROOM];
	int rc = question_parse(&t, question, err);

	if (rc)
		return rc;
	rc = loader_trace(a->loader, t.port.ifindex, frame, frame_write(frame, &t), &traced);
	if (rc)
		return error_set(err, rc, "tracing: %s", strerror(-rc));
	*out = trace_json(&t, &traced);
	return 0;
}
