// SPDX-License-Identifier: Apache-2.0
/*
 * R21-R25 in scenes: each file of scenarios/ is one, played in a world of
 * servers on a virtual clock (hier_world.h). To add a test, add a file. A line
 * is a command; '#' begins a comment. Times are milliseconds.
 *
 *   root NAME...                      root servers
 *   domain DOMAIN RANGES on NAME...   delegated by its parent; RANGES like 256-511,600
 *   cache NAME [via NAME]             a local server; via: asks that one to find answers
 *   parent NAME OTHER                 the cache NAME asks OTHER (before boot; for rings)
 *   network DOMAIN:NAME VNID          with VMs 1 to 8, all allowed
 *   service DOMAIN:NAME N|none        a service and how many instances it has
 *   boot                              the world begins
 *   tend                              from now on all servers do what is to be done now and then
 *   run MS
 *
 *   vm VNID N allow|deny|none         changes its network      change VNID   (nothing, but a new revision)
 *   remove VNID                       the network
 *   delegate DOMAIN RANGES [fails]    again, with other ranges
 *   withdraw DOMAIN                   publish      a new root zone to the root servers
 *   life DOMAIN SECONDS               of the delegations that it gives
 *   answers DOMAIN LIFETIME STALE     of its answers, seconds
 *   lag DOMAIN REVISION|off           its servers are behind
 *   key DOMAIN add|roll|drop          a next key; it signs from now on; only it is left
 *   floor NAME VNID REVISION          the cache NAME knows of a network's floor
 *   server NAME dead|alive|refuses|accepts|honest|lies KIND|delay MS|jitter MS|loss PERCENT
 *
 *   ask ID NAME policy VNID SOURCE VM [min REVISION] [within MS]
 *   ask ID NAME name DOMAIN:NAME | service DOMAIN:NAME | zone DOMAIN
 *   expect ID KIND [WORDS]            waits for it. KIND: answer no_vm no_network no_delegation zone failed.
 *        allow deny stale fresh       zone DOMAIN  sequence N  reason NAME
 *        instances N                  of the service
 *        upstream N                   questions that it took     within MS    that it took
 *   waiting ID                        it isn't answered yet
 *   received NAME N                   questions, since the last "received" of that server
 *   knows NAME dead|alive SERVER      what the server NAME thinks of another
 *   loops NAME N                      questions that came back to it, since the last "loops" of that server
 *
 * Whatever is told is held against the truth (hier_truth()) as well.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hier_world.h"

#define WORDS_MAX 24
#define ASKS_MAX 64

struct scene {
	struct hier h;
	char where[320]; /* file and line */
	char *words[WORDS_MAX];
	int n;
	struct {
		char id[16];
		struct hier_result result;
		bool used;
	} asks[ASKS_MAX];
};

static struct scene scene;

#define fail(...) cr_assert(0, __VA_ARGS__)

/* Words */

static const char *word(int i)
{
	if (i >= scene.n)
		fail("%s: too few words", scene.where);
	return scene.words[i];
}

static bool is(int i, const char *text)
{
	return i < scene.n && !strcmp(scene.words[i], text);
}

static uint64_t number(int i)
{
	char *end;
	uint64_t value = strtoull(word(i), &end, 10);

	if (*end)
		fail("%s: '%s' is no number", scene.where, word(i));
	return value;
}

static struct vnid_ranges ranges(int i)
{
	struct vnid_ranges out = { .n = 0 };
	char text[256], *save = NULL, *part;

	snprintf(text, sizeof(text), "%s", word(i));
	for (part = strtok_r(text, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		unsigned int first, last;
		int n = sscanf(part, "%u-%u", &first, &last);

		if (n < 1 || ranges_add(&out, first, n == 2 ? last : first))
			fail("%s: '%s' is no range", scene.where, part);
	}
	return out;
}

static struct hier_domain *domain(int i)
{
	struct hier_domain *d = hier_find_domain(&scene.h, is(i, ".") ? "" : word(i));

	if (!d)
		fail("%s: no domain %s", scene.where, word(i));
	return d;
}

static struct hier_network *network(int i)
{
	struct hier_network *net = hier_find_network(&scene.h, number(i));

	if (!net)
		fail("%s: no network %s", scene.where, word(i));
	return net;
}

static struct hier_result *asked(int i)
{
	for (int k = 0; k < ASKS_MAX; k++)
		if (scene.asks[k].used && !strcmp(scene.asks[k].id, word(i)))
			return &scene.asks[k].result;
	fail("%s: nothing was asked as %s", scene.where, word(i));
	return NULL;
}

/* Commands */

static void do_root(void)
{
	for (int i = 1; i < scene.n; i++)
		hier_server(&scene.h, word(i), scene.h.root);
}

static void do_delegate(struct hier_domain *d, bool fails)
{
	struct vnid_ranges want = ranges(2);
	struct json_error err = { 0 };
	int rc = hier_delegate(d, &want, &err);

	cr_assert_eq(rc != 0, fails, "%s: %s", scene.where, rc ? err.text : "no error");
}

static void do_domain(void)
{
	struct hier_domain *d = hier_domain(&scene.h, word(1));
	const struct vnid_ranges mine = ranges(2);

	authority_resize(&d->authority, &mine, hier_now(&scene.h));
	for (int i = 4; i < scene.n; i++)
		hier_server(&scene.h, word(i), d);
	do_delegate(d, false);
}

static void do_cache(void)
{
	hier_cache(&scene.h, word(1), is(2, "via") ? word(3) : NULL);
}

static void do_parent(void)
{
	struct hier_node *n = hier_find(&scene.h, word(1)), *other = hier_find(&scene.h, word(2));

	n->parent = (struct server_name){ .n_addresses = 1, .addresses = { other->addr } };
	strcpy(n->parent.name, other->name);
}

static void do_network(void)
{
	char name[DOMAIN_ROOM];

	if (!domain_of_name(word(1), name) || !hier_find_domain(&scene.h, name))
		fail("%s: '%s' is no network's name", scene.where, word(1));
	hier_network(hier_find_domain(&scene.h, name), strchr(word(1), ':') + 1, number(2));
}

static void do_service(void)
{
	char name[DOMAIN_ROOM];

	if (!domain_of_name(word(1), name) || !hier_find_domain(&scene.h, name))
		fail("%s: '%s' is not a service's name", scene.where, word(1));
	hier_service(hier_find_domain(&scene.h, name), strchr(word(1), ':') + 1,
		     is(2, "none") ? -1 : (int)number(2));
}

static void do_boot(void)
{
	hier_boot(&scene.h);
}

static void do_tend(void)
{
	scene.h.tending = true;
}

static void do_run(void)
{
	hier_run(&scene.h, number(1));
}

static void do_vm(void)
{
	hier_change(network(1), (int)number(2) - 1, !is(3, "none"), is(3, "allow"));
}

static void do_change(void)
{
	hier_change(network(1), -1, false, false);
}

static void do_remove(void)
{
	hier_remove(network(1));
}

static void do_redelegate(void)
{
	do_delegate(domain(1), is(3, "fails"));
}

static void do_withdraw(void)
{
	struct json_error err = { 0 };

	cr_assert_eq(hier_withdraw(domain(1), &err), 0, "%s: %s", scene.where, err.text);
}

static void do_publish(void)
{
	hier_publish(&scene.h);
}

static void do_life(void)
{
	domain(1)->authority.life = number(2);
}

static void do_answers(void)
{
	domain(1)->lifetime = number(2);
	domain(1)->stale = number(3);
}

static void do_lag(void)
{
	hier_lag(domain(1), is(2, "off") ? 0 : number(2));
}

static void do_key(void)
{
	struct hier_domain *d = domain(1);

	if (is(2, "add"))
		hier_add_key(d);
	else if (is(2, "roll"))
		hier_roll_key(d);
	else
		hier_drop_keys(d);
}

static void do_floor(void)
{
	cache_raise_floor(&hier_find(&scene.h, word(1))->node.r.cache, number(2), number(3));
}

static void set_lie(struct hier_node *n, const char *name)
{
	for (int lie = 0; lie < LIE_COUNT; lie++)
		if (!strcmp(hier_lie_name(lie), name)) {
			n->lie = lie;
			return;
		}
	fail("%s: no such lie '%s'", scene.where, name);
}

static void do_server(void)
{
	struct hier_node *n = hier_find(&scene.h, word(1));

	if (is(2, "dead") || is(2, "alive"))
		n->dead = is(2, "dead");
	else if (is(2, "refuses") || is(2, "accepts"))
		n->refuses = is(2, "refuses");
	else if (is(2, "honest"))
		n->lie = LIE_NONE;
	else if (is(2, "lies"))
		set_lie(n, word(3));
	else if (is(2, "delay"))
		n->delay = number(3);
	else if (is(2, "jitter"))
		n->jitter = number(3);
	else if (is(2, "loss"))
		n->loss = number(3);
	else
		fail("%s: a server doesn't do '%s'", scene.where, word(2));
}

static void read_policy(struct ask *ask, int *i)
{
	ask->kind = ASK_POLICY;
	ask->vnid = number(4);
	ask->source = number(5);
	ask->to.address = hier_address((int)number(6) - 1);
	*i = 7;
}

static void read_name(struct ask *ask, int *i)
{
	ask->kind = is(3, "zone") ? ASK_ZONE : is(3, "service") ? ASK_SERVICE : ASK_NAME;
	snprintf(ask->name, sizeof(ask->name), "%s", word(4));
	*i = 5;
}

static void do_ask(void)
{
	struct ask ask = { .kind = ASK_POLICY };
	uint32_t within = 0;
	int i = 0, slot = 0;

	while (slot < ASKS_MAX && scene.asks[slot].used && strcmp(scene.asks[slot].id, word(1)) != 0)
		slot++;
	cr_assert_lt(slot, ASKS_MAX);
	if (is(3, "policy"))
		read_policy(&ask, &i);
	else
		read_name(&ask, &i);
	for (; i < scene.n; i += 2)
		if (is(i, "min"))
			ask.min_revision = number(i + 1);
		else
			within = number(i + 1);
	hier_result_free(&scene.asks[slot].result);
	scene.asks[slot].used = true;
	snprintf(scene.asks[slot].id, sizeof(scene.asks[slot].id), "%s", word(1));
	hier_ask(hier_find(&scene.h, word(2)), &ask, within, &scene.asks[slot].result);
}

static int instances(const struct hier_result *r)
{
	cJSON *json = cJSON_Parse(r->doc.body);
	const cJSON *n = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "answer"), "instances");
	int found = cJSON_IsNumber(n) ? n->valueint : -1;

	cJSON_Delete(json);
	return found;
}

/* What is expected of a result; the index after the words that it took. */
static int check_word(const struct hier_result *r, int i)
{
	const struct query_result *q = &r->result;

	if (is(i, "allow") || is(i, "deny")) {
		cr_assert_eq(!r->statement.refuses, is(i, "allow"), "%s: it is not %s", scene.where, word(i));
		return i + 1;
	}
	if (is(i, "stale") || is(i, "fresh")) {
		cr_assert_eq(q->stale, is(i, "stale"), "%s: it is not %s", scene.where, word(i));
		return i + 1;
	}
	if (is(i, "instances"))
		cr_assert_eq(instances(r), (int)number(i + 1), "%s: it has %d", scene.where, instances(r));
	else if (is(i, "zone"))
		cr_assert_str_eq(r->zone, is(i + 1, ".") ? "" : word(i + 1), "%s: by '%s'", scene.where,
				 r->zone);
	else if (is(i, "sequence"))
		cr_assert_eq(q->sequence, number(i + 1), "%s: at %lu", scene.where, q->sequence);
	else if (is(i, "upstream"))
		cr_assert_eq(q->upstream, number(i + 1), "%s: it took %u questions", scene.where,
			     q->upstream);
	else if (is(i, "within"))
		cr_assert_leq(r->told - r->asked, number(i + 1), "%s: it took %lu ms", scene.where,
			      r->told - r->asked);
	else if (is(i, "reason"))
		cr_assert_str_eq(query_reason_name(q->reason), word(i + 1), "%s: %s", scene.where,
				 query_reason_name(q->reason));
	else
		fail("%s: '%s' can't be expected", scene.where, word(i));
	return i + 2;
}

static void do_expect(void)
{
	struct hier_result *r = asked(1);
	const char *fault;

	cr_assert(hier_wait(&scene.h, r), "%s: no end", scene.where);
	cr_assert_eq(r->times, 1, "%s: told %u times", scene.where, r->times);
	cr_assert_str_eq(result_kind_name(r->result.kind), word(2), "%s: it is %s (%s)", scene.where,
			 result_kind_name(r->result.kind), query_reason_name(r->result.reason));
	fault = hier_truth(&scene.h, r);
	cr_assert_null(fault, "%s: not true: %s", scene.where, fault);
	for (int i = 3; i < scene.n;)
		i = check_word(r, i);
}

static void do_waiting(void)
{
	cr_assert_not(asked(1)->done, "%s: it is answered", scene.where);
}

static void do_received(void)
{
	struct hier_node *n = hier_find(&scene.h, word(1));

	cr_assert_eq(n->received, number(2), "%s: it was %lu", scene.where, n->received);
	n->received = 0;
}

static void do_loops(void)
{
	struct hier_node *n = hier_find(&scene.h, word(1));

	cr_assert_eq(n->node.loops, number(2), "%s: it was %lu", scene.where, n->node.loops);
	n->node.loops = 0;
}

static void do_knows(void)
{
	struct hier_node *n = hier_find(&scene.h, word(1)), *other = hier_find(&scene.h, word(3));
	struct upstream_view view = upstream_look(&n->node.r.upstream, &other->addr, scene.h.ticks);

	cr_assert_eq(view.dead, is(2, "dead"), "%s: it thinks otherwise", scene.where);
}

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "root", do_root },
	{ "domain", do_domain },
	{ "cache", do_cache },
	{ "parent", do_parent },
	{ "network", do_network },
	{ "service", do_service },
	{ "boot", do_boot },
	{ "tend", do_tend },
	{ "run", do_run },
	{ "vm", do_vm },
	{ "change", do_change },
	{ "remove", do_remove },
	{ "delegate", do_redelegate },
	{ "withdraw", do_withdraw },
	{ "publish", do_publish },
	{ "life", do_life },
	{ "answers", do_answers },
	{ "lag", do_lag },
	{ "key", do_key },
	{ "floor", do_floor },
	{ "server", do_server },
	{ "ask", do_ask },
	{ "expect", do_expect },
	{ "waiting", do_waiting },
	{ "received", do_received },
	{ "knows", do_knows },
	{ "loops", do_loops },
};

static void play_line(char *line)
{
	char *save = NULL, *comment = strchr(line, '#');

	if (comment)
		*comment = '\0';
	scene.n = 0;
	for (char *w = strtok_r(line, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
		cr_assert_lt(scene.n, WORDS_MAX);
		scene.words[scene.n++] = w;
	}
	for (size_t i = 0; scene.n && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (is(0, commands[i].name)) {
			commands[i].run();
			return;
		}
	if (scene.n)
		fail("%s: no such command '%s'", scene.where, word(0));
}

struct scenario {
	char path[300];
};

ParameterizedTestParameters(scenario, R21_R25_files)
{
	char here[256], pattern[300];
	struct scenario *list;
	size_t n;
	glob_t found;

	snprintf(here, sizeof(here), "%s", __FILE__);
	snprintf(pattern, sizeof(pattern), "%s/scenarios/*.txt", dirname(here));
	n = glob(pattern, 0, NULL, &found) ? 0 : found.gl_pathc;
	list = cr_calloc(n + 1, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		snprintf(list[i].path, sizeof(list[i].path), "%s", found.gl_pathv[i]);
	globfree(&found);
	/* Where they are not found there is one that isn't there, so that the test fails and says so. */
	if (!n)
		snprintf(list[n++].path, sizeof(list[0].path), "%s", pattern);
	return cr_make_param_array(struct scenario, list, n);
}

ParameterizedTest(struct scenario *s, scenario, R21_R25_files)
{
	FILE *file = fopen(s->path, "re");
	char line[512];
	int number_of_line = 0;

	cr_assert(file, "cannot read %s", s->path);
	hier_init(&scene.h, 1);
	while (fgets(line, sizeof(line), file)) {
		snprintf(scene.where, sizeof(scene.where), "%s:%d", s->path, ++number_of_line);
		play_line(line);
	}
	fclose(file);
	hier_free(&scene.h);
	for (int i = 0; i < ASKS_MAX; i++)
		hier_result_free(&scene.asks[i].result);
}
