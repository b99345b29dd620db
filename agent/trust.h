/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose signed translations this host believes, also from the mouth of others
 * (docs/translations.md, "Believing one"): by configuration, "trust", a list of
 *
 *   {"zone": "acme", "vnids": ["256-511"], "keys": ["<base64 of a public key>", ...]}
 *
 * "" is the zone of a service that stands alone, or of the root. Or only the root
 * of a hierarchy, from which all zones are proven by chains of delegations
 * (lib/proof.h; chains.c fetches them), each for its own VNIDs:
 *
 *   {"root": "<base64 of a public key>"}     up to 4 such
 */
#ifndef DOVE_TRUST_H
#define DOVE_TRUST_H

#include <cjson/cJSON.h>

#include "lib/json.h"
#include "lib/statement.h"
#include "lib/translation.h"

struct trust;
struct proofs;

/*
 * trust_parse() - from the list; NULL: one that believes nobody. 0 and *out, to
 * be freed with trust_free(), or -EINVAL and *err.
 */
int trust_parse(const cJSON *list, struct trust **out, struct json_error *err);
void trust_free(struct trust *t);

/* trust_any() - does it believe anybody? */
bool trust_any(const struct trust *t);

/*
 * trust_open() - 0 and *out, when a key signed it that is believed for its zone
 * and VNID, and it is of now (unix seconds). Else as translation_open();
 * -EACCES: the key's zone has nothing to say of that VNID; -ENOKEY: it may be
 * believed once the chain of out->zone is learnt, or learnt anew; -EXDEV: it is one
 * half of an answer of two authorities, and alone would hide what the other one says.
 */
int trust_open(const struct trust *t, const struct translation_doc *doc, int64_t now,
	       struct translation *out);

/* What the service was asked, and its answer must be about. */
struct trust_question {
	uint32_t source;      /* an endpoint */
	uint32_t vnid;	      /* its network; 0: it is not here */
	uint32_t destination; /* by id; 0: by address */
	struct ip_addr address;
	uint8_t proto;		     /* 0: the pair alone */
	uint16_t from_port, to_port; /* host order */
	uint32_t least_vnid;	     /* of this network nothing older than `least` will do; 0: any will */
	uint64_t least;
};

/*
 * trust_answer() - what the halves of an answer (one, or the source's and the
 * destination's) say together: 0 and *out, its outcome that of the packet. Each half
 * must be believed for its network, as by trust_open(), and be about the question; and
 * what the source's says of another authority's network needs that one's half. Else as
 * trust_open(); -EBADMSG: it is about something else; -ESTALE: older than was asked for.
 */
int trust_answer(const struct trust *t, const struct trust_question *q, const struct translation_doc *docs,
		 size_t n, int64_t now, struct translation *out);

/* trust_statement() - the same of a service's or a place's statement, as proof_statement(). */
int trust_statement(const struct trust *t, const struct signed_doc *doc, int64_t now, struct statement *out);

/* trust_proofs() - what is proven from the root's keys; NULL: none was configured. */
struct proofs *trust_proofs(const struct trust *t);

#endif
