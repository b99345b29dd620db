// SPDX-License-Identifier: Apache-2.0
/* R8: two authorities' words on one pair. Deny wins, the source's services come first. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/flow.h"
#include "lib/halves.h"

static struct translation first, second, both;

static void word(struct translation *t, const char *zone, uint32_t vnid, enum translation_verdict verdict,
		 const char *service)
{
	*t = (struct translation){
		.vnid = vnid, .from_vnid = 256, .source = 5, .sequence = vnid, .expires = vnid
	};
	strcpy(t->zone, zone);
	t->outcome.verdict = verdict;
	t->outcome.policy = vnid + 1;
	t->outcome.dscp = -1;
	if (service)
		strcpy(t->outcome.path[t->outcome.n_path++], service);
}

static void setup(void)
{
	word(&first, "acme", 256, TRANSLATION_ALLOW, "firewall");
	word(&second, "globex", 600, TRANSLATION_ALLOW, "firewall");
	first.beyond = 600;
	second.has_destination = true;
	second.destination.id = 7;
}

TestSuite(halves, .init = setup);

static void rule(struct translation *t, int proto, int from, int to, enum translation_verdict verdict)
{
	struct translation_rule *r = &t->rules[t->n_rules++];

	*r = (struct translation_rule){ .proto = proto, .from_port = { 0, 65535 }, .to_port = { from, to } };
	r->outcome.verdict = verdict;
	r->outcome.policy = t->vnid + 10 + t->n_rules;
	r->outcome.dscp = -1;
	t->scope = TRANSLATION_PROTO | TRANSLATION_TO_PORT;
}

Test(halves, both_allow)
{
	first.outcome.flags = second.outcome.flags = TRANSLATION_REPLY;
	second.outcome.dscp = 46;
	first.outcome.rate_mbps = 100;
	first.outcome.rate_policy = 301;
	strcpy(second.outcome.class, "gold");
	second.outcome.vlan = 7;
	second.outcome.labels = (struct labels){ .at = { LABEL_CODE(100, 5) }, .n = 1 };
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_ALLOW);
	cr_assert_eq(both.outcome.n_path, 2);
	cr_assert_str_eq(both.outcome.path[0], "acme:firewall");
	cr_assert_str_eq(both.outcome.path[1], "globex:firewall");
	cr_assert_eq(both.outcome.flags, TRANSLATION_REPLY);
	cr_assert_eq(both.outcome.dscp, 46);
	cr_assert_eq(both.outcome.rate_mbps, 100);
	cr_assert_eq(both.outcome.rate_policy, 301);
	cr_assert_eq(both.outcome.vlan, 7, "a class comes with its path");
	cr_assert_eq(both.outcome.labels.n, 1);
	cr_assert_eq(both.outcome.labels.at[0], LABEL_CODE(100, 5));
	cr_assert_eq(both.outcome.routers.n, 0);
	strcpy(first.outcome.class, "lead");
	first.outcome.routers = (struct routers){ .at = { ip_from_v4(0x090200c0) }, .n = 1 };
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.labels.n, 0, "of one class all of it, and of the other nothing");
	cr_assert_eq(both.outcome.routers.n, 1);
	first.outcome.class[0] = '\0';
	halves_join(&first, &second, &both);
	cr_assert_eq(both.vnid, 600, "it travels under the destination's");
	cr_assert_eq(both.sequence, 600);
	cr_assert_eq(both.outcome.policy, 601);
	cr_assert_eq(both.expires, 256, "as long as the shorter one");
	cr_assert_eq(both.destination.id, 7);
}

Test(halves, source_denies)
{
	first.outcome.verdict = TRANSLATION_DENY;
	first.outcome.flags = TRANSLATION_REJECT;
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_DENY);
	cr_assert_eq(both.vnid, 256, "it is the source's word");
	cr_assert_eq(both.outcome.policy, 257);
	cr_assert_eq(both.outcome.flags, TRANSLATION_REJECT);
}

Test(halves, destination_denies)
{
	second.outcome.verdict = TRANSLATION_DENY;
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_DENY);
	cr_assert_eq(both.vnid, 600);
	cr_assert_eq(both.outcome.policy, 601);
	cr_assert_eq(both.outcome.n_path, 0);
}

Test(halves, nobody_is_there)
{
	word(&second, "globex", 600, TRANSLATION_NO_ENDPOINT, NULL);
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_NO_ENDPOINT);
}

Test(halves, replies_need_both)
{
	first.outcome.verdict = second.outcome.verdict = TRANSLATION_DENY;
	first.outcome.flags = second.outcome.flags = TRANSLATION_REPLIES;
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_DENY);
	cr_assert_eq(both.outcome.flags, TRANSLATION_REPLIES);
	cr_assert_eq(both.vnid, 600);
	second.outcome.flags = 0;
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.flags, 0, "the destination lets none pass");
	second.outcome.flags = TRANSLATION_REPLIES;
	first.outcome.flags = 0;
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.flags, 0, "the source lets none pass");
	/* one lets this direction pass anyway, and replies of the other one, too */
	first.outcome.verdict = TRANSLATION_ALLOW;
	first.outcome.flags = TRANSLATION_REPLY | TRANSLATION_REPLIES;
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_DENY);
	cr_assert_eq(both.outcome.flags, TRANSLATION_REPLIES);
	cr_assert_str_eq(both.outcome.path[0], "acme:firewall",
			 "through what is asked for in this direction");
}

Test(halves, an_allow_does_not_say_replies)
{
	first.outcome.flags = second.outcome.flags = TRANSLATION_REPLY | TRANSLATION_REPLIES;
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_ALLOW);
	cr_assert_eq(both.outcome.flags, TRANSLATION_REPLY);
}

Test(halves, too_many_services_are_refused)
{
	first.outcome.n_path = second.outcome.n_path = 0;
	for (int i = 0; i < 8; i++) {
		snprintf(first.outcome.path[first.outcome.n_path++], 8, "a%d", i);
		snprintf(second.outcome.path[second.outcome.n_path++], 8, "b%d", i);
	}
	halves_join(&first, &second, &both);
	cr_assert_eq(both.outcome.verdict, TRANSLATION_DENY, "sixteen services do not fit: closed, not open");
}

/* What a translation says of one packet. */
static enum translation_verdict decided(const struct translation *t, int proto, int port)
{
	for (size_t i = 0; i < t->n_rules; i++) {
		const struct translation_rule *r = &t->rules[i];
		bool any = !r->from_port[0] && r->from_port[1] == 65535 && !r->to_port[0] &&
			   r->to_port[1] == 65535;

		if ((!r->proto || r->proto == proto) &&
		    (flow_has_ports(proto) ? port >= r->to_port[0] && port <= r->to_port[1] : any))
			return r->outcome.verdict;
	}
	return t->outcome.verdict;
}

Test(halves, rules_meet)
{
	static const int protos[] = { 1, 6, 17 };

	rule(&first, 6, 80, 443, TRANSLATION_ALLOW);
	rule(&first, 17, 53, 53, TRANSLATION_DENY);
	rule(&first, 0, 0, 65535, TRANSLATION_ALLOW);
	rule(&second, 6, 100, 8080, TRANSLATION_ALLOW);
	rule(&second, 0, 0, 65535, TRANSLATION_DENY);
	halves_join(&first, &second, &both);
	cr_assert_gt(both.n_rules, 1);
	cr_assert_leq(both.n_rules, TRANSLATION_RULES_MAX);
	for (size_t i = 0; i < 3; i++)
		for (int port = 0; port <= 65535; port += port < 9000 ? 1 : 997) {
			bool want = decided(&first, protos[i], port) == TRANSLATION_ALLOW &&
				    decided(&second, protos[i], port) == TRANSLATION_ALLOW;

			cr_assert_eq(decided(&both, protos[i], port) == TRANSLATION_ALLOW, want, "%d/%d",
				     protos[i], port);
		}
}

Test(halves, too_many_rules_are_none)
{
	for (int i = 0; i < 7; i++) {
		rule(&first, 6, 100 * i, 100 * i + 50, TRANSLATION_ALLOW);
		rule(&second, 6, 100 * i + 25, 100 * i + 75, TRANSLATION_ALLOW);
	}
	rule(&first, 0, 0, 65535, TRANSLATION_DENY);
	rule(&second, 0, 0, 65535, TRANSLATION_DENY);
	halves_join(&first, &second, &both);
	cr_assert_eq(both.n_rules, 0, "it is asked for by packet");
	cr_assert_eq(both.scope, TRANSLATION_PROTO | TRANSLATION_TO_PORT);
}

Test(halves, a_half_for_one_packet_makes_the_whole_so)
{
	first.scope = TRANSLATION_PROTO;
	first.proto = 6;
	rule(&second, 0, 0, 65535, TRANSLATION_ALLOW);
	halves_join(&first, &second, &both);
	cr_assert_eq(both.n_rules, 0);
	cr_assert(both.scope & TRANSLATION_PROTO);
}
