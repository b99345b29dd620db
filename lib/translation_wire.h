/* SPDX-License-Identifier: Apache-2.0 */
/* The map's keys and the lengths of its lists, for those who write it and those who read it. */
#ifndef DOVE_TRANSLATION_WIRE_H
#define DOVE_TRANSLATION_WIRE_H

#include "lib/translation.h"

enum translation_field {
	FIELD_VERSION = 1,
	FIELD_ZONE,
	FIELD_VNID,
	FIELD_FROM_VNID,
	FIELD_SOURCE,
	FIELD_ADDRESS,	   /* may be missing */
	FIELD_DESTINATION, /* may be missing */
	FIELD_OUTCOME,
	FIELD_POLICY_NAME,
	FIELD_SCOPE,
	FIELD_PACKET, /* there exactly where translation_has_packet() */
	FIELD_RULES,  /* missing where there are none */
	FIELD_BEYOND, /* missing where there is none */
	FIELD_SEQUENCE,
	FIELD_ISSUED,
	FIELD_EXPIRES,
};

#define FIELDS_ALWAYS 11 /* all but the five that may be missing */
#define DESTINATION_ITEMS 7
#define OUTCOME_ITEMS 9 /* in version 2; one more in each that followed */
#define PACKET_ITEMS 3
#define RULE_ITEMS 5 /* and an outcome's */
#define DSCP_UNSAID 64

static inline size_t outcome_items(uint8_t version)
{
	return OUTCOME_ITEMS + version - TRANSLATION_VERSION;
}

/* translation_has_packet() - is it about packets like one only? */
static inline bool translation_has_packet(const struct translation *t)
{
	return t->scope && !t->n_rules;
}

#endif
