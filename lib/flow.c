// SPDX-License-Identifier: Apache-2.0
#include "lib/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

const struct flow_box flow_all = { 0, { 0, PORT_MAX }, { 0, PORT_MAX } };

static const struct {
	const char *name;
	uint8_t number;
	bool ports;
} protos[] = {
	{ "any", 0, true },    { "icmp", 1, false },	 { "igmp", 2, false },	 { "ipip", 4, false },
	{ "tcp", 6, true },    { "udp", 17, true },	 { "dccp", 33, true },	 { "ipv6", 41, false },
	{ "gre", 47, false },  { "esp", 50, false },	 { "ah", 51, false },	 { "icmpv6", 58, false },
	{ "ospf", 89, false }, { "pim", 103, false },	 { "vrrp", 112, false }, { "l2tp", 115, false },
	{ "sctp", 132, true }, { "udplite", 136, true },
};

#define PROTOS_WITH_PORTS 5

bool flow_has_ports(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (protos[i].number == proto)
			return protos[i].ports;
	return false;
}

const char *flow_proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (protos[i].number == proto)
			return protos[i].name;
	return NULL;
}

int flow_proto(const char *text)
{
	unsigned long number;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (!strcmp(protos[i].name, text))
			return protos[i].number;
	if (*text < '1' || *text > '9')
		return -EINVAL;
	number = strtoul(text, &end, 10);
	return *end || number > 255 ? -EINVAL : (int)number;
}

static bool is_wide(const uint16_t range[2])
{
	return range[0] == 0 && range[1] == PORT_MAX;
}

static bool names_ports(const struct flow_box *box)
{
	return !is_wide(box->from_port) || !is_wide(box->to_port);
}

bool flow_is_all(const struct flow_box *box)
{
	return !box->proto && !names_ports(box);
}

bool flow_equal(const struct flow_box *a, const struct flow_box *b)
{
	return a->proto == b->proto && a->from_port[0] == b->from_port[0] &&
	       a->from_port[1] == b->from_port[1] && a->to_port[0] == b->to_port[0] &&
	       a->to_port[1] == b->to_port[1];
}

static bool range_contains(const uint16_t outer[2], const uint16_t inner[2])
{
	return outer[0] <= inner[0] && inner[1] <= outer[1];
}

bool flow_contains(const struct flow_box *outer, const struct flow_box *inner)
{
	if (outer->proto && outer->proto != inner->proto)
		return false;
	if (names_ports(outer) && !flow_has_ports(inner->proto))
		return false;
	return range_contains(outer->from_port, inner->from_port) &&
	       range_contains(outer->to_port, inner->to_port);
}

static bool range_meet(const uint16_t a[2], const uint16_t b[2], uint16_t out[2])
{
	out[0] = a[0] > b[0] ? a[0] : b[0];
	out[1] = a[1] < b[1] ? a[1] : b[1];
	return out[0] <= out[1];
}

bool flow_meet(const struct flow_box *a, const struct flow_box *b, struct flow_box *out)
{
	struct flow_box both;

	if (a->proto && b->proto && a->proto != b->proto)
		return false;
	both.proto = a->proto ? a->proto : b->proto;
	if (!range_meet(a->from_port, b->from_port, both.from_port) ||
	    !range_meet(a->to_port, b->to_port, both.to_port))
		return false;
	if (names_ports(&both) && !flow_has_ports(both.proto))
		return false;
	*out = both;
	return true;
}

static uint64_t width(const uint16_t range[2])
{
	return (uint64_t)range[1] - range[0] + 1;
}

uint64_t flow_volume(const struct flow_box *box)
{
	uint64_t kinds = box->proto ? 1 : names_ports(box) ? PROTOS_WITH_PORTS : 256;

	return kinds * width(box->from_port) * width(box->to_port);
}
