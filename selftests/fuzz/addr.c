// SPDX-License-Identifier: Apache-2.0
/* Addresses, prefixes and names as text: what is taken is the same when it is written and read again. */
#include <string.h>

#include "dps/config.h"
#include "dps/server.h"
#include "fuzz.h"
#include "lib/cleanup.h"
#include "lib/identity.h"

static void as_ip(const char *text)
{
	struct ip_addr ip, again;
	char buf[IP_TEXT];

	if (ip_parse(text, &ip))
		return;
	fuzz_check(!ip_parse(ip_format(&ip, buf), &again) && ip_equal(&ip, &again), "%s", buf);
	ip_is_host(&ip);
}

static void as_prefix(const char *text)
{
	struct ip_prefix prefix, again;
	char buf[IP_PREFIX_TEXT];

	if (ip_prefix_parse(text, &prefix))
		return;
	fuzz_check(!ip_prefix_parse(ip_prefix_format(&prefix, buf), &again) &&
			   ip_prefix_equal(&prefix, &again),
		   "%s", buf);
	fuzz_check(prefix.bits <= 128 && ip_prefix_contains(&prefix, &prefix.addr), "%s lacks its own", buf);
	ip_prefix_has_hosts(&prefix);
}

static void as_mac(const char *text)
{
	struct mac_addr mac, again;
	char buf[MAC_TEXT];

	if (!mac_parse(text, &mac))
		fuzz_check(!mac_parse(mac_format(&mac, buf), &again) && !memcmp(&mac, &again, sizeof(mac)),
			   "%s", buf);
}

static void as_server(const char *text)
{
	struct server_address addr, again;
	struct listen_addr listen;
	char buf[SERVER_ADDRESS_TEXT];

	server_parse_listen(text, &listen);
	if (server_address_parse(text, &addr))
		return;
	fuzz_check(!server_address_parse(server_address_format(&addr, buf), &again) &&
			   server_address_equal(&addr, &again),
		   "%s", buf);
}

static void as_name(const char *text)
{
	char domain[DOMAIN_ROOM], up[DOMAIN_ROOM], id_text[IDENTITY_TEXT];
	struct identity id;

	if (domain_of_name(text, domain))
		fuzz_check(domain_check(domain), "'%s' is no domain", domain);
	if (domain_check(text)) {
		domain_parent(text, up);
		fuzz_check(domain_is_child(text, up) && domain_within(text, up), "%s is not below %s", text,
			   up);
		fuzz_check(domain_depth(text) == domain_depth(up) + 1, "%s is as deep as %s", text, up);
	}
	if (identity_parse(text, strlen(text), &id))
		identity_text(&id, id_text);
}

FUZZ(addr)
{
	_free_ char *text = fuzz_text(data, size);

	as_ip(text);
	as_prefix(text);
	as_mac(text);
	as_server(text);
	as_name(text);
	config_lifetime(text);
}
