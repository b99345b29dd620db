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

struct endpoint *random_vm(struct world *w, unsigned int i)
{
	char key[32];

	snprintf(key, sizeof(key), "%s/vm%u", networks[i / VMS], i % VMS);
	return world_endpoint(w, key);
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
	switch (random_any(5)) {
	case 0:
		return strcpy(out, "'any'");
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
	bool allow = random_any(3);

	if (allow && random_any(2))
		snprintf(path, sizeof(path), "'path':['%s'],", services[random_any(3)]);
	world_apply(w,
		    "[{'kind':'policy','network':'%s','name':'p%u','priority':%u,'from':%s,"
		    "'to':%s,%s%s%s%s%s'action':'%s'}]",
		    networks[net], random_any(POLICIES), random_any(4), selector(from, net, side == 1),
		    selector(to, net, side == 2), matches[random_any(ARRAY_SIZE(matches))], path,
		    random_any(5) ? "" : "'final':true,", random_any(4) ? "" : "'qos':{'dscp':46},",
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
		break;
	case 3:
		set_item(json, "reply", cJSON_CreateBool(random_any(2)));
		break;
	default:
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
	char groups[64];

	world_apply(w,
		    "[{'kind':'endpoint','network':'%s','name':'vm%u','mac':'02:00:00:00:00:%02u',"
		    "'addresses':['10.%u.0.%u'],'groups':[%s]}]",
		    networks[i / VMS], i % VMS, random_any(6) ? i % VMS : random_any(VMS + 2), i / VMS,
		    1 + (random_any(3) ? i % VMS : random_any(VMS + 2)), groups_text(groups));
}

/* Deleted and made again: the same name and address, another id and other groups. */
static void renew_endpoint(struct world *w, unsigned int i)
{
	const struct endpoint *ep = random_vm(w, i);

	if (ep)
		world_delete(w, "endpoint", ep->o.key);
	memset(&w->err, 0, sizeof(w->err));
	if (random_vm(w, i))
		return;
	change_endpoint(w, i);
	if (random_vm(w, i))
		world_place(w, random_vm(w, i)->o.key, "h2", "claim");
	memset(&w->err, 0, sizeof(w->err));
}

static void change_group(struct world *w)
{
	world_apply(w, "[{'kind':'group','network':'%s','name':'g%u','endpoints':['vm%u']}]",
		    networks[random_any(NETWORKS)], random_any(3), random_any(VMS));
}

static void change_place(struct world *w)
{
	const struct endpoint *ep = random_vm(w, random_any(NETWORKS * VMS));
	char host[8];

	snprintf(host, sizeof(host), "h%u", random_any(3));
	if (ep)
		world_place(w, ep->o.key, random_any(6) ? host : NULL, "claim");
}

static void delete_something(struct world *w)
{
	static const char *const kinds[] = { "policy", "policy", "endpoint", "group" };
	unsigned int kind = random_any(4);
	char key[32];

	snprintf(key, sizeof(key), "%s/%s%u", networks[random_any(NETWORKS)],
		 kind < 2    ? "p"
		 : kind == 2 ? "vm"
			     : "g",
		 random_any(kind < 2	? POLICIES
			    : kind == 2 ? VMS
					: 3));
	world_delete(w, kinds[kind], key);
}

static void change_network(struct world *w)
{
	world_apply(w, "[{'kind':'network','name':'%s','default':'%s'}]", networks[random_any(NETWORKS)],
		    action(random_any(2)));
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
	unsigned int what = random_any(24);
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
	for (unsigned int i = 0; i < NETWORKS * VMS; i++) {
		change_endpoint(w, i);
		if (random_vm(w, i))
			world_place(w, random_vm(w, i)->o.key, "h0", "claim");
	}
}
