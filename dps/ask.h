/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers ask one another. A question (struct ask) is the same whoever
 * asks; how it travels (struct errand) is not part of it. JSON, one object:
 *
 *   {"kind": "policy", "vnid": 300, "source": 5, "to": "10.1.0.12" or 7,
 *    "proto": 6, "from_port": 40000, "to_port": 443, "from_vnid": 7, ...}
 *   {"kind": "name", "name": "acme/eng:blue/vm1", ...}     what a full name leads to
 *   {"kind": "service", "name": "acme:firewall", "vnid": 300, "from_vnid": 7, "source": 5, "to": "10.1.0.12", ...}
 *        its instances: for who has an answer to that question of policy, which leads through it
 *   {"kind": "place", "vnid": 300, "source": 5, "to": "192.0.2.1"}     is that endpoint at the host with this address?
 *   {"kind": "zone", "name": "acme/eng", ...}              the delegation of a domain
 *   {"kind": "root", ...}                                  the root zone; min_revision: its serial at least
 *
 * and of each, where they are said, "min_revision", and the errand's "zone",
 * "recursive", "deadline", "path", and "id", by which logs of all servers tell of one question.
 */
#ifndef DPS_ASK_H
#define DPS_ASK_H

#include "lib/delegation.h"
#include "lib/statement.h"

#define ASK_TEXT 512
#define ERRAND_ID_ROOM 17 /* up to 16 hex digits and the NUL */
#define ASK_PATH_MAX 8	  /* servers that a recursive question may pass: site, region, centre, and some */

enum ask_kind { ASK_POLICY, ASK_NAME, ASK_ZONE, ASK_ROOT, ASK_SERVICE, ASK_PLACE };

struct ask {
	enum ask_kind kind;
	uint32_t vnid;	    /* policy, place: whose authority is asked */
	uint32_t from_vnid; /* policy: the sender's network, if it is another one; else 0 */
	uint32_t source;    /* policy, place: endpoint id, in the sender's network */
	struct target
		to; /* policy: in the network `vnid`, or as seen from the sender's; place: an underlay address */
	struct packet_fields packet; /* policy: proto 0: the pair */
	/* A service has those of policy as well: an answer that names it. They are no part of what is asked. */
	char name[FULL_NAME_ROOM];
	uint64_t min_revision; /* of the network asked about: an older answer won't do */
};

struct errand {
	char zone
		[DOMAIN_ROOM]; /* the zone for which the server is asked; "": what can be proven from the root */
	bool recursive;	       /* it is to find the answer, not to point the way */
	uint32_t deadline;     /* milliseconds that the asker will wait yet */
	char path[ASK_PATH_MAX][SERVER_NAME_ROOM]; /* servers that wait for the answer already */
	size_t n_path;
	char id[ERRAND_ID_ROOM]; /* of the question that began it, for logs; "": none */
};

/*
 * ask_text() - the question as a key: equal questions have equal texts,
 * whatever revision they want. pair: leave the packet out. Returns buf.
 */
const char *ask_text(const struct ask *ask, bool pair, char buf[ASK_TEXT]);

/* ask_by_vnid() - does it go by a VNID? Else by a name. */
bool ask_by_vnid(const struct ask *ask);

/* ask_domain() - the domain that the question leads to, where it goes by name. False: by VNID. */
bool ask_domain(const struct ask *ask, char out[DOMAIN_ROOM]);

/* ask_answered() - is the statement, whoever made it, about this question? */
bool ask_answered(const struct ask *ask, const struct statement *s);

/* The tree is the caller's. errand may be NULL. */
cJSON *ask_json(const struct ask *ask, const struct errand *errand);
int ask_parse(const cJSON *json, struct ask *ask, struct errand *errand, struct json_error *err);

#endif
