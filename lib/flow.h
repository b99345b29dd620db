/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A box of flows: the packets with one protocol, or any, and with ports in two
 * ranges. It is what a policy's proto, from_port and to_port match, and, with
 * ranges of one port, a single packet. Ports are in host order, both ends
 * included; 0..65535 says nothing about ports. A box that restricts ports
 * holds only packets of protocols that have ports.
 */
#ifndef DOVE_FLOW_BOX_H
#define DOVE_FLOW_BOX_H

#include <stdbool.h>
#include <stdint.h>

#define PORT_MAX 65535

struct flow_box {
	uint8_t proto; /* 0: any */
	uint16_t from_port[2];
	uint16_t to_port[2];
};

extern const struct flow_box flow_all;

bool flow_has_ports(uint8_t proto); /* has this protocol ports? (0: some do) */
bool flow_is_all(const struct flow_box *box);
bool flow_equal(const struct flow_box *a, const struct flow_box *b);
bool flow_contains(const struct flow_box *outer, const struct flow_box *inner);

/* flow_meet() - what is in both; false when nothing is, *out is untouched then. */
bool flow_meet(const struct flow_box *a, const struct flow_box *b, struct flow_box *out);

/* flow_volume() - a measure that is smaller for a box inside another one. */
uint64_t flow_volume(const struct flow_box *box);

/* A protocol's number by name ("tcp") or decimal text; 0 for "any", -EINVAL otherwise. */
int flow_proto(const char *text);
const char *flow_proto_name(uint8_t proto); /* NULL where it has none here */

#endif
