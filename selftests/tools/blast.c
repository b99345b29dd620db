// SPDX-License-Identifier: Apache-2.0
/*
 * blast DEV DST-MAC SRC-IP DST-IP VNI INNER-DST COUNT SEED
 *
 * Send COUNT Ethernet frames out of DEV, each an encapsulated packet with one
 * thing wrong with it, the same ones for the same seed; with COUNT 0 a single
 * one that has nothing wrong, for comparison. Prints how many of
 * them are "ours", UDP to the Geneve port at DST-IP: those the data path must
 * drop and count, the rest passes to the host's stack.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ip.h"
#include "lib/cleanup.h"
#include "maps/wire.h"

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	struct geneve_hdr geneve;
	struct dove_option option;
	struct ether_header inner;
	struct iphdr inner_ip;
	struct udphdr inner_udp;
	uint8_t payload[32];
} __attribute__((packed));

static struct frame good;

static void resum(struct frame *f)
{
	f->ip.check = 0;
	f->ip.check = ip_sum(&f->ip);
}

/* Each fault makes the frame unacceptable in one way; true when it is still "ours". */

static bool foreign_source(struct frame *f, size_t *len)
{
	f->ip.saddr = htonl(0xcb007100 | (rand() & 0xff)); /* 203.0.113.0/24 */
	resum(f);
	return true;
}

static bool own_source(struct frame *f, size_t *len)
{
	f->ip.saddr = f->ip.daddr;
	resum(f);
	return true;
}

static bool other_network(struct frame *f, size_t *len)
{
	f->geneve.vni = htonl((0x100000 | (rand() & 0xfffff)) << 8);
	return true;
}

static bool other_endpoint(struct frame *f, size_t *len)
{
	f->inner_ip.daddr = htonl(0x0a63ffff & rand());
	return true;
}

static bool version(struct frame *f, size_t *len)
{
	f->geneve.ver_opt_len |= (1 + rand() % 3) << 6;
	return true;
}

static bool control_bit(struct frame *f, size_t *len)
{
	f->geneve.flags |= GENEVE_FLAG_CONTROL;
	return true;
}

static bool no_critical_bit(struct frame *f, size_t *len)
{
	f->geneve.flags = 0;
	return true;
}

static bool not_ethernet(struct frame *f, size_t *len)
{
	f->geneve.proto = htons(0x0800 + rand() % 0x100);
	return true;
}

static bool option_length(struct frame *f, size_t *len)
{
	f->geneve.ver_opt_len = (f->geneve.ver_opt_len + 1 + rand() % 63) & 0x3f;
	return true;
}

static bool option_class(struct frame *f, size_t *len)
{
	f->option.opt_class ^= htons(1 + rand() % 0xffff);
	return true;
}

static bool option_type(struct frame *f, size_t *len)
{
	f->option.type ^= 1 + rand() % 0xff;
	return true;
}

static bool option_words(struct frame *f, size_t *len)
{
	f->option.words ^= 1 + rand() % 0xff;
	return true;
}

static bool stage(struct frame *f, size_t *len)
{
	/* Services ahead, and given back: nobody says both. Each alone may be meant. */
	f->option.stage_vnid |= htonl((uint32_t)(0x10 | DOVE_FLAG_RETURNED | rand() % 0xff) << 24);
	return true;
}

static bool outer_sum(struct frame *f, size_t *len)
{
	f->ip.check ^= htons(1 + rand() % 0xfffe);
	return true;
}

static bool fragment(struct frame *f, size_t *len)
{
	f->ip.frag_off = htons(0x2000);
	resum(f);
	return true;
}

static bool udp_length(struct frame *f, size_t *len)
{
	f->udp.len ^= htons(1 + rand() % 0xfff);
	return true;
}

static bool truncated(struct frame *f, size_t *len)
{
	*len = 14 + rand() % (sizeof(*f) - 14);
	return *len >= 42;
}

static bool inner_tag(struct frame *f, size_t *len)
{
	f->inner.ether_type = htons(rand() & 1 ? 0x8100 : 0x88a8);
	return true;
}

static bool inner_arp(struct frame *f, size_t *len)
{
	f->inner.ether_type = htons(0x0806);
	return true;
}

static bool inner_header(struct frame *f, size_t *len)
{
	((uint8_t *)&f->inner_ip)[0] = rand() & 1 ? 0x43 : 0x65;
	return true;
}

static bool inner_length(struct frame *f, size_t *len)
{
	f->inner_ip.tot_len = htons(sizeof(*f) + rand() % 1000);
	return true;
}

static bool other_port(struct frame *f, size_t *len)
{
	f->udp.dest = htons(9);
	return false;
}

static bool other_protocol(struct frame *f, size_t *len)
{
	f->eth.ether_type = htons(0x88b5);
	return false;
}

static bool (*const faults[])(struct frame *f, size_t *len) = {
	foreign_source,	 own_source,   other_network, other_endpoint, version,	      control_bit,
	no_critical_bit, not_ethernet, option_length, option_class,   option_type,    option_words,
	stage,		 outer_sum,    fragment,      udp_length,     truncated,      inner_tag,
	inner_arp,	 inner_header, inner_length,  other_port,     other_protocol,
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void build(char **argv)
{
	unsigned int mac[6];

	if (sscanf(argv[2], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		die(argv[2]);
	good = (struct frame){
		.eth.ether_type = htons(0x0800),
		.ip = { .version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.tot_len = htons(sizeof(good) - sizeof(good.eth)),
			.saddr = inet_addr(argv[3]),
			.daddr = inet_addr(argv[4]) },
		.udp = { .source = htons(50000),
			 .dest = htons(DOVE_GENEVE_PORT),
			 .len = htons(sizeof(good) - sizeof(good.eth) - sizeof(good.ip)) },
		.geneve = { .ver_opt_len = 5,
			    .flags = GENEVE_FLAG_CRITICAL,
			    .proto = htons(GENEVE_PROTO_ETHERNET),
			    .vni = htonl(atoi(argv[5]) << 8) },
		.option = { .opt_class = htons(DOVE_OPT_CLASS),
			    .type = DOVE_OPT_TYPE,
			    .words = DOVE_OPT_WORDS,
			    .policy = htonl(1),
			    .sequence = htonl(1000),
			    .source = htonl(1) },
		.inner = { .ether_dhost = { 2, 0, 0, 0, 1, 2 },
			   .ether_shost = { 2, 0, 0, 0, 1, 1 },
			   .ether_type = htons(0x0800) },
		.inner_ip = { .version = 4,
			      .ihl = 5,
			      .ttl = 64,
			      .protocol = IPPROTO_UDP,
			      .tot_len = htons(sizeof(good) - offsetof(struct frame, inner_ip)),
			      .saddr = htonl(0x0a01000b),
			      .daddr = inet_addr(argv[6]) },
		.inner_udp = { .source = htons(7),
			       .dest = htons(7777),
			       .len = htons(sizeof(good) - offsetof(struct frame, inner_udp)) },
	};
	for (int i = 0; i < 6; i++)
		good.eth.ether_dhost[i] = mac[i];
	resum(&good);
	good.inner_ip.check = ip_sum(&good.inner_ip);
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), count, ours = 0;
	bool is_faulty;

	if (argc != 9) {
		fprintf(stderr, "usage: blast DEV DST-MAC SRC-IP DST-IP VNI INNER-DST COUNT SEED\n");
		return 2;
	}
	build(argv);
	count = atoi(argv[7]);
	is_faulty = count;
	if (!is_faulty)
		count = 1;
	srand(atoi(argv[8]));
	to.sll_ifindex = if_nametoindex(argv[1]);
	if (fd < 0 || !to.sll_ifindex)
		die(argv[1]);
	for (int i = 0; i < count; i++) {
		struct frame f = good;
		size_t len = sizeof(f), fault = i % ARRAY_SIZE(faults);

		ours += is_faulty ? faults[fault](&f, &len) : 1;
		if (sendto(fd, &f, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len)
			die("sendto");
		if (i % 64 == 63)
			usleep(500);
	}
	printf("%d\n", ours);
	return 0;
}
