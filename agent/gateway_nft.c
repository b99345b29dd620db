// SPDX-License-Identifier: Apache-2.0
#include "gateway_nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <nftables/libnftables.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "loader/netlink.h"

#define TABLE "dove"

/* Add, so that delete finds one: both are of one transaction with what follows. */
static const char removal[] = "table inet " TABLE "\n"
			      "delete table inet " TABLE "\n";

/* Before fragments are put together again (-400), for that is done by zone. */
static const char zones[] = "	chain zones { type filter hook prerouting priority -450;\n"
			    "		ct original zone set iifname map { %s }\n"
			    "	}\n";

/* Behind destination NAT: a rule there that lets connections in names the network by their mark. */
static const char marks[] = "	chain marks { type filter hook prerouting priority 50;\n"
			    "		meta mark set iifname map { %s }\n"
			    "		iifname \"" GATEWAY_DEVICE "*\" ct mark set meta mark accept\n"
			    "		ct mark & 0xffff0000 == 0xde000000 meta mark set ct mark\n"
			    "	}\n";

/*
 * What conntrack can't place would leave under the VM's own address. Link-local
 * addresses no router passes on (RFC 3927, 7); a cloud has its hosts' secrets there.
 */
static const char walls[] =
	"	chain input { type filter hook input priority -400;\n"
	"		iifname \"" GATEWAY_DEVICE "*\" counter drop\n"
	"	}\n"
	"	chain forward { type filter hook forward priority -400;\n"
	"		iifname \"" GATEWAY_DEVICE "*\" oifname \"" GATEWAY_DEVICE "*\" counter drop\n"
	"		iifname \"" GATEWAY_DEVICE "*\" ct state invalid counter drop\n"
	"		iifname \"" GATEWAY_DEVICE "*\" udp dport { 6081, 6082 } counter drop\n"
	"		iifname \"" GATEWAY_DEVICE "*\" ip daddr 169.254.0.0/16 counter drop\n"
	"		iifname \"" GATEWAY_DEVICE "*\" jump segments\n"
	"		oifname \"" GATEWAY_DEVICE "*\" jump segments\n"
	"	}\n";

static const char segments[] =
	"	chain segments {\n"
	"		meta nfproto ipv4 tcp flags & (syn | rst) == syn tcp option maxseg size set %u\n"
	"		meta nfproto ipv6 tcp flags & (syn | rst) == syn tcp option maxseg size set %u\n"
	"	}\n";

static const char masquerade[] = "	chain leaving { type nat hook postrouting priority srcnat;\n"
				 "		iifname \"" GATEWAY_DEVICE "*\" masquerade\n"
				 "	}\n";

enum { TCP_IP4 = 40, TCP_IP6 = 60 }; /* headers without options */

/* A map's elements, one for each number. */
static char *elements(const uint16_t *numbers, int n, const char *fmt)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; f && i < n; i++) {
		fputs(i ? ", " : "", f);
		fprintf(f, fmt, numbers[i], numbers[i]);
	}
	if (!f || fclose(f))
		abort();
	return text;
}

char *gateway_nft_text(const uint16_t *numbers, int n, uint32_t mtu)
{
	_free_ char *zone_of = elements(numbers, n, "\"" GATEWAY_DEVICE "%u\" : %u");
	_free_ char *mark_of = elements(numbers, n, "\"" GATEWAY_DEVICE "%u\" : 0xde00%04x");
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	fputs(removal, f);
	if (n) {
		fprintf(f, "table inet " TABLE " {\n");
		fprintf(f, zones, zone_of);
		fprintf(f, marks, mark_of);
		fprintf(f, segments, mtu - TCP_IP4, mtu - TCP_IP6);
		fprintf(f, "%s%s}\n", walls, masquerade);
	}
	if (fclose(f))
		abort();
	return text;
}

int gateway_nft_load(const char *text, struct error *err)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *said;
	int rc = 0;

	if (!nft)
		return error_set(err, -EIO, "nftables: not in this kernel");
	nft_ctx_buffer_error(nft);
	nft_ctx_buffer_output(nft);
	if (nft_run_cmd_from_buffer(nft, text)) {
		said = nft_ctx_get_error_buffer(nft);
		rc = error_set(err, -EIO, "nftables: %.*s", (int)strcspn(said, "\n"), said);
	}
	nft_ctx_free(nft);
	return rc;
}

static void nfnetlink_start(struct netlink *r, uint16_t type, uint8_t family)
{
	struct nfgenmsg *msg = netlink_start(r, type, NLM_F_ACK, sizeof(*msg));

	msg->nfgen_family = family;
	msg->version = NFNETLINK_V0;
}

bool gateway_nft_loaded(void)
{
	struct netlink r;

	nfnetlink_start(&r, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, 1 /* NFPROTO_INET */);
	mnl_attr_put_strz(r.nlh, NFTA_TABLE_NAME, TABLE);
	return !netlink_run_on(NETLINK_NETFILTER, &r, NULL, NULL);
}

void gateway_nft_forget(uint32_t mark)
{
	struct netlink r;

	/* Without a tuple: all that match, of both families. */
	nfnetlink_start(&r, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, AF_UNSPEC);
	mnl_attr_put_u32(r.nlh, CTA_MARK, htonl(mark));
	mnl_attr_put_u32(r.nlh, CTA_MARK_MASK, htonl(UINT32_MAX));
	netlink_run_on(NETLINK_NETFILTER, &r, NULL, NULL);
}

int gateway_nft_monitor(void)
{
	const int group = NFNLGRP_NFTABLES;
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return -errno;
	return take_fd(fd);
}
