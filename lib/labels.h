/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MPLS label stacks, as the physical network's administrator lays out a path:
 * outermost label first. RFC 3032 has the entries, RFC 5462 the traffic class.
 */
#ifndef DOVE_LABELS_H
#define DOVE_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/json.h"

#define LABELS_MAX 4
#define LABEL_FIRST 16 /* RFC 3032, 2.1: those below are reserved */
#define LABEL_LAST 1048575
#define LABEL_TC_LAST 7

/* Each is label * 8 + traffic class: the upper 23 bits of its entry on the wire. */
#define LABEL_CODE(label, tc) ((uint32_t)(label) << 3 | (tc))
#define LABEL_CODE_FIRST LABEL_CODE(LABEL_FIRST, 0)
#define LABEL_CODE_LAST LABEL_CODE(LABEL_LAST, LABEL_TC_LAST)

struct labels {
	uint32_t at[LABELS_MAX]; /* LABEL_CODE; the rest zero */
	size_t n;		 /* 0: none */
};

/*
 * labels_parse() - the field "mpls" of obj: a list of 1 to 4, each a label, or
 * {"label": 100, "tc": 5}. 0, with *out empty where there is no such field, or
 * -EINVAL with *err.
 */
int labels_parse(const cJSON *obj, struct labels *out, struct json_error *err);

/* labels_render() - add that field to obj, as labels_parse() reads it; nothing where there are none. */
void labels_render(cJSON *obj, const struct labels *labels);

#endif
