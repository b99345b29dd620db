// SPDX-License-Identifier: Apache-2.0
#include "answers.h"

#include <string.h>

/* type << 8 | code. */
static const uint16_t types[FAMILIES][5] = {
	[V4] = { [TOLD_TOO_BIG] = 0x0304,
		 [TOLD_EXPIRED] = 0x0b00,
		 [TOLD_HOST] = 0x0301,
		 [TOLD_PORT] = 0x0303,
		 [TOLD_PROHIBITED] = 0x030d },
	[V6] = { [TOLD_TOO_BIG] = 0x0200,
		 [TOLD_EXPIRED] = 0x0300,
		 [TOLD_HOST] = 0x0103,
		 [TOLD_PORT] = 0x0104,
		 [TOLD_PROHIBITED] = 0x0101 },
};

/* The error itself may have so many bytes: RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c). */
static const uint32_t longest[FAMILIES] = { [V4] = 576, [V6] = 1280 };

struct frame icmp_error(const struct frame *of, enum told what, uint32_t mtu, const struct dove_ip *speaker)
{
	enum family family = frame_get(of, 12, 2) == ETH_P_IPV6 ? V6 : V4;
	uint32_t headers = (family == V6 ? 40 : 20) + 8, quoted = of->len - 14;
	struct vm_frame v = { .eth_proto = family == V6 ? ETH_P_IPV6 : ETH_P_IP,
			      .src = *speaker,
			      .dst = ip_in(family, vm1.ip),
			      .ttl = 64,
			      .proto = icmp_proto(family),
			      .icmp = types[family][what],
			      .icmp_rest = mtu,
			      .data = of->b + 14 };

	v.payload = quoted < longest[family] - headers ? quoted : longest[family] - headers;
	memcpy(v.dmac, of->b + 6, 6);
	memcpy(v.smac, of->b, 6);
	return frame_vm(&v);
}

void expect_told(const struct run *r, enum dove_reason reason, enum told what, uint32_t mtu,
		 const struct dove_ip *speaker)
{
	struct frame want = icmp_error(&r->in, what, mtu, speaker);

	expect_sent(r, reason);
	expect_bytes(&r->out, &want);
}

struct frame tcp_reset(const struct vm_frame *of, uint32_t len)
{
	bool acks = of->tcp_flags & TCP_ACK;
	struct vm_frame v = { .eth_proto = of->eth_proto,
			      .src = of->dst,
			      .dst = of->src,
			      .ttl = 64,
			      .proto = 6,
			      .from_port = of->to_port,
			      .to_port = of->from_port,
			      .tcp_flags = acks ? TCP_RST : TCP_RST | TCP_ACK,
			      .tcp_seq = acks ? of->tcp_ack : 0,
			      .tcp_ack = acks ? 0 : of->tcp_seq + len };

	memcpy(v.dmac, of->smac, 6);
	memcpy(v.smac, of->dmac, 6);
	return frame_vm(&v);
}
