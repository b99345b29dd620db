// SPDX-License-Identifier: Apache-2.0
#include "dps_random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"

#define POLICIES 7 /* of each network */

static const char *const networks[NETWORKS] = { "blue", "green", "red" };
static const char *const services[] = { "firewall", "ips", "ssl" };
static const char *const matches[] = {
	"",
	"'proto':'tcp',",
	"'proto':'tcp','to_port':80,",
	"'proto':'tcp','to_port':'80-90',",
	"'to_port':443,",
	"'from_port':'900-1100',",
	"'proto':'udp',",
	"'proto':'icmp',",
	"",
	"",
};

static unsigned int state;

unsigned int random_any(unsigned int below)
{
	return (unsigned int)rand_r(&state) % below;
}

unsigned int random_seeds(const char *test, int n)
{
	const char *text = getenv("DOVE_SEED");
	unsigned int first = text ? (unsigned int)atoi(text) : (unsigned int)time(NULL);

	printf("%s: DOVE_SEED=%u, and %d after it\n", test, first, n - 1);
	return first;
}

static struct endpoint *vm(struct world *w, unsigned int i)
{
	char key[32];

	snprintf(key, sizeof(key), "%s/vm%u", networks[i / VMS], i % VMS);
	return world_endpoint(w, key);
}

struct endpoint *random_party(struct world *w, unsigned int i)
{
	char key[32];

	if (i < NETWORKS * VMS)
		return vm(w, i);
	i -= NETWORKS * VMS;
	snprintf(key, sizeof(key), "%s/x%u", networks[i / EXTERNALS], i % EXTERNALS);
	return model_find_party(&w->m, key);
}

struct ip_addr random_outside(unsigned int i)
{
	static const char *const outsides[OUTSIDES] = { "198.51.100.7", "198.51.100.8", "198.51.100.9",
							"203.0.113.1",	"10.1.0.77",	"10.0.0.1",
							"10.0.0.254" };
	struct ip_addr addr;

	cr_assert_eq(ip_parse(outsides[i], &addr), 0);
	return addr;
}

/* Policies */

static const char *action(bool allow)
{
	return allow ? "allow" : random_any(3) ? "deny" : "reject";
}

static const char *selector(char *out, unsigned int net, bool may_leave)
{
	unsigned int other = random_any(NETWORKS);
	char network[40] = "";

	if (may_leave && other != net && !random_any(2))
		snprintf(network, sizeof(network), ",'network':'%s'", networks[other]);
	switch (random_any(6)) {
	case 0:
		return strcpy(out, "'any'");
	case 5:
		snprintf(out, 128, "{'external':'x%u'%s}", random_any(EXTERNALS),
			 random_any(3) ? "" : ",'groups':['g1']");
		return out;
	case 1:
		snprintf(out, 128, "{'endpoints':['vm%u','vm%u']%s}", random_any(VMS / 2),
			 VMS / 2 + random_any(VMS / 2), network);
		return out;
	case 2:
		snprintf(out, 128, "{'groups':['g%u']%s}", random_any(3), network);
		return out;
	case 3:
		snprintf(out, 128, "{'endpoints':['vm%u'],'groups':['g%u']%s}", random_any(VMS),
			 random_any(3), network);
		return out;
	default:
		snprintf(out, 128, "{'network':'%s'}", *network ? networks[other] : networks[net]);
		return out;
	}
}

static void change_policy(struct world *w)
{
	unsigned int net = random_any(NETWORKS), side = random_any(3);
	char from[128], to[128], path[64] = "";
	bool allow = random_any(3), marked = !random_any(4);

	if (allow && random_any(2))
		snprintf(path, sizeof(path), "'path':['%s'],", services[random_any(3)]);
	world_apply(w,
		    "[{'kind':'policy','network':'%s','name':'p%u','priority':%u,'from':%s,"
		    "'to':%s,%s%s%s%s%s'action':'%s'}]",
		    networks[net], random_any(POLICIES), random_any(4), selector(from, net, side == 1),
		    selector(to, net, side == 2), matches[random_any(ARRAY_SIZE(matches))], path,
		    random_any(5) ? "" : "'final':true,", allow && marked ? "'qos':{'dscp':46}," : "",
		    random_any(4) ? "" : "'reply':false,", action(allow));
}

static void set_item(cJSON *json, const char *field, cJSON *value)
{
	cJSON_DeleteItemFromObject(json, field);
	cJSON_AddItemToObject(json, field, value);
}

/* One policy, changed in one thing only. */
static void tweak_policy(struct world *w)
{
	char key[32];
	struct policy *p;
	cJSON *json;
	char *text;

	snprintf(key, sizeof(key), "%s/p%u", networks[random_any(NETWORKS)], random_any(POLICIES));
	p = world_policy(w, key);
	if (!p)
		return;
	json = cJSON_Parse(p->o.spec->body);
	switch (random_any(5)) {
	case 0:
		set_item(json, "priority", cJSON_CreateNumber(random_any(4)));
		break;
	case 1:
		set_item(json, "final", cJSON_CreateBool(random_any(2)));
		break;
	case 2:
		set_item(json, "action", cJSON_CreateString(action(random_any(2))));
		cJSON_DeleteItemFromObject(json, "path");
		cJSON_DeleteItemFromObject(json, "qos");
		break;
	case 3:
		set_item(json, "reply", cJSON_CreateBool(random_any(2)));
		break;
	default:
		if (!p->o.spec->u.policy.allow)
			break;
		set_item(json, "qos", cJSON_CreateObject());
		cJSON_AddNumberToObject(cJSON_GetObjectItem(json, "qos"), "dscp", random_any(4));
	}
	text = cJSON_PrintUnformatted(json);
	world_apply(w, "[%s]", text);
	free(text);
	cJSON_Delete(json);
}

static const char *groups_text(char *out)
{
	*out = '\0';
	for (unsigned int g = 0; g < 3; g++)
		if (!random_any(3))
			sprintf(out + strlen(out), "%s'g%u'", *out ? "," : "", g);
	return out;
}

static void change_endpoint(struct world *w, unsigned int i)
{
	char groups[64], address[32];

	if (random_any(8))
		snprintf(address, sizeof(address), "10.%u.0.%u", i / VMS,
			 1 + (random_any(3) ? i % VMS : random_any(VMS + 2)));
	else
		snprintf(address, sizeof(address), "198.51.100.%u", 7 + i / VMS);
	world_apply(w,
		    "[{'kind':'endpoint','network':'%s','name':'vm%u','mac':'02:00:00:00:00:%02u',"
		    "'addresses':['%s'],'groups':[%s]}]",
		    networks[i / VMS], i % VMS, random_any(6) ? i % VMS : random_any(VMS + 2), address,
		    groups_text(groups));
}

/* Deleted and made again: the same name and address, another id and other groups. */
static void renew_endpoint(struct world *w, unsigned int i)
{
	const struct endpoint *ep = vm(w, i);

	if (ep)
		world_delete(w, "endpoint", ep->o.key);
	memset(&w->err, 0, sizeof(w->err));
	if (vm(w, i))
		return;
	change_endpoint(w, i);
	if (vm(w, i))
		world_place(w, vm(w, i)->o.key, "h2", "claim");
	memset(&w->err, 0, sizeof(w->err));
}

static void change_group(struct world *w)
{
	world_apply(w, "[{'kind':'group','network':'%s','name':'g%u','endpoints':['vm%u']}]",
		    networks[random_any(NETWORKS)], random_any(3), random_any(VMS));
}

static void change_place(struct world *w)
{
	const struct endpoint *ep = vm(w, random_any(NETWORKS * VMS));
	char host[8];

	snprintf(host, sizeof(host), "h%u", random_any(3));
	if (ep)
		world_place(w, ep->o.key, random_any(6) ? host : NULL, "claim");
}

static void delete_something(struct world *w)
{
	static const struct {
		const char *kind, *name;
		unsigned int n;
	} kinds[] = {
		{ "policy", "p", POLICIES }, { "policy", "p", POLICIES },    { "endpoint", "vm", VMS },
		{ "group", "g", 3 },	     { "external", "x", EXTERNALS },
	};
	unsigned int kind = random_any(ARRAY_SIZE(kinds));
	char key[32];

	snprintf(key, sizeof(key), "%s/%s%u", networks[random_any(NETWORKS)], kinds[kind].name,
		 random_any(kinds[kind].n));
	world_delete(w, kinds[kind].kind, key);
}

static void change_external(struct world *w)
{
	static const char *const prefixes[] = { "0.0.0.0/0",	  "198.51.100.0/24", "198.51.100.0/28",
						"203.0.113.0/24", "10.0.0.0/8",	     "10.1.0.0/16",
						"10.0.0.0/24" };
	char list[160] = "", gateway[48] = "";
	unsigned int n = ARRAY_SIZE(prefixes);

	for (unsigned int i = random_any(n); i < 2 * n; i += 1 + random_any(n))
		if (!strstr(list, prefixes[i % n]))
			sprintf(list + strlen(list), "%s'%s'", *list ? "," : "", prefixes[i % n]);
	if (random_any(6))
		snprintf(gateway, sizeof(gateway), ",'gateway':{'host':'h%u'}", random_any(4));
	world_apply(w, "[{'kind':'external','network':'%s','name':'x%u','prefixes':[%s]%s}]",
		    networks[random_any(NETWORKS)], random_any(EXTERNALS), list, gateway);
}

/* The last host comes and goes; it may be a gateway nevertheless. */
static void change_host(struct world *w)
{
	if (!random_any(3))
		world_delete(w, "host", "h3");
	else
		world_apply(w, "[{'kind':'host','name':'h%u','addresses':['192.0.2.%u']}]", 2 + random_any(2),
			    3 + random_any(4));
}

static void change_network(struct world *w)
{
	unsigned int net = random_any(NETWORKS);
	char subnets[128] = "";

	if (random_any(3))
		snprintf(subnets, sizeof(subnets),
			 random_any(2) ? "'10.%u.0.0/24'"
				       : "{'prefix':'10.%u.0.0/24','gateway':'10.%u.0.254'}",
			 net, net);
	if (*subnets && !net && random_any(2))
		strcat(subnets, ",'198.51.100.0/28'");
	world_apply(w, "[{'kind':'network','name':'%s','default':'%s','subnets':[%s]}]", networks[net],
		    action(random_any(2)), subnets);
}

/* Several of everything in one commit: endpoints that change groups while policies change. */
static void change_together(struct world *w)
{
	unsigned int net = random_any(NETWORKS), v = random_any(VMS);
	char from[128], to[128], groups[64];

	world_apply(w,
		    "[{'kind':'policy','network':'%s','name':'p%u','from':%s,'to':%s,%s"
		    "'priority':%u,'action':'%s'},"
		    "{'kind':'policy','network':'%s','name':'p%u','from':%s,'to':'any','priority':2,"
		    "'action':'allow','path':['ips']},"
		    "{'kind':'endpoint','network':'%s','name':'vm%u','mac':'02:00:00:00:00:%02u',"
		    "'addresses':['10.%u.0.%u'],'groups':[%s]}]",
		    networks[net], random_any(3), selector(from, net, false), selector(to, net, true),
		    matches[random_any(ARRAY_SIZE(matches))], random_any(4), action(random_any(3)),
		    networks[net], 3 + random_any(3), "{'groups':['g1']}", networks[net], v, v, net, 1 + v,
		    groups_text(groups));
}

void random_commit(struct world *w)
{
	unsigned int what = random_any(30);
	char *before = world_dump(w), *after;

	memset(&w->err, 0, sizeof(w->err));
	if (what < 8)
		change_policy(w);
	else if (what < 10)
		change_endpoint(w, random_any(NETWORKS * VMS));
	else if (what < 12)
		change_group(w);
	else if (what < 14)
		change_place(w);
	else if (what < 17)
		delete_something(w);
	else if (what < 18)
		change_network(w);
	else if (what < 20)
		change_together(w);
	else if (what < 22)
		tweak_policy(w);
	else if (what < 25)
		change_external(w);
	else if (what < 26)
		change_host(w);
	else if (what < 28)
		change_network(w);
	else
		renew_endpoint(w, random_any(NETWORKS * VMS));
	if (*w->err.text) {
		after = world_dump(w);
		cr_assert_str_eq(before, after, "a refused commit left something behind: %s", w->err.text);
		free(after);
	}
	free(before);
}

void random_world(struct world *w, unsigned int seed)
{
	state = seed;
	world_init(w);
	cr_assert_eq(world_apply(w, "[{'kind':'network','name':'blue'},"
				    "{'kind':'network','name':'green'},"
				    "{'kind':'network','name':'red','default':'deny'},"
				    "{'kind':'host','name':'h0','addresses':['192.0.2.1']},"
				    "{'kind':'host','name':'h1','addresses':['192.0.2.2']},"
				    "{'kind':'host','name':'h2','addresses':['192.0.2.3']},"
				    "{'kind':'service','name':'firewall'},"
				    "{'kind':'service','name':'ips'},{'kind':'service','name':'ssl'}]"),
		     0);
	for (unsigned int i = 0; i < NETWORKS; i++)
		cr_assert_eq(world_apply(w,
					 "[{'kind':'external','network':'%s','name':'x0',"
					 "'prefixes':['0.0.0.0/0'],'gateway':{'host':'h1'}}]",
					 networks[i]),
			     0);
	for (unsigned int i = 0; i < NETWORKS * VMS; i++) {
		change_endpoint(w, i);
		if (vm(w, i))
			world_place(w, vm(w, i)->o.key, "h0", "claim");
	}
}
