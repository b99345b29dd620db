/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing tables of our own, of both families: packets with a mark are looked
 * up in the table of that number first, then as any other. What is ours wears
 * ROUTES_PROTOCOL (`ip rule show protocol 208`, `ip route show table all
 * proto 208`). All return 0 or -errno.
 */
#ifndef DOVE_ROUTES_H
#define DOVE_ROUTES_H

#include <stdint.h>

#include "lib/addr.h"

#define ROUTES_PROTOCOL 208
#define ROUTES_PRIORITY 6081 /* of the rules: after the host's own addresses, before its main table */

/* routes_rule_add(), routes_rule_del() - the rule for a mark; no error where it is there, or not there. */
int routes_rule_add(uint32_t mark);
int routes_rule_del(uint32_t mark);

/* routes_rules() - the marks of all our rules, of either family: at most max; how many. */
int routes_rules(uint32_t *marks, int max);

/*
 * routes_set() - have exactly these prefixes in the table, all straight out of
 * the device. With the device they go by themselves.
 */
int routes_set(uint32_t table, int ifindex, const struct ip_prefix *prefixes, int n);

#endif
