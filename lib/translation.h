/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A translation as its authority signs it: what is decided for packets of one
 * endpoint to one address, in a compact form that has exactly one encoding, so
 * that a cache, or a peer's control message, can hand it on and cannot change
 * it. docs/translations.md has the format byte by byte; what the words mean is
 * in docs/api.md (ANSWER).
 *
 * The bytes are CBOR (RFC 8949) by the rules of its section 4.2.1: numbers as
 * short as they can be, definite lengths, a map's keys ascending, each once.
 * What is signed is these bytes, under the context SIGNED_TRANSLATION
 * (lib/sign.h). Numbers are host order here; addresses network order.
 */
#ifndef DOVE_TRANSLATION_H
#define DOVE_TRANSLATION_H

#include "lib/addr.h"
#include "lib/domain.h"
#include "lib/json.h"
#include "lib/labels.h"
#include "lib/routers.h"
#include "lib/sign.h"

#define SIGNED_TRANSLATION "translation"

/* The oldest one that says all there is to say: 3 only where a path has labels, 4 only where one leads by routers. */
#define TRANSLATION_VERSION 2
#define TRANSLATION_VERSION_LABELS 3
#define TRANSLATION_VERSION_ROUTERS 4
#define TRANSLATION_MAX 16384 /* bytes that are taken; 8 rules without services take 300 */
#define TRANSLATION_RULES_MAX 8
#define TRANSLATION_PATH_MAX 15
#define TRANSLATION_NAME_ROOM 64 /* a label and the NUL */
#define TRANSLATION_VLAN_MAX 4094
#define TRANSLATION_KEY_ROOM 128      /* "network/endpoint" and the NUL */
#define TRANSLATION_HOST_ADDRESSES 16 /* of the destination's host */
#define TRANSLATION_LIFE_MAX 86400    /* seconds from issued to expires */
#define TRANSLATION_SKEW 60	      /* seconds that the authority's clock may be ahead of ours */

/* Numbers on the wire: appended to, never changed. */
enum translation_verdict {
	TRANSLATION_ALLOW,
	TRANSLATION_DENY,
	TRANSLATION_GATEWAY,
	TRANSLATION_NO_ENDPOINT,
	TRANSLATION_NO_SOURCE,
	TRANSLATION_VERDICTS
};

enum translation_flag {
	TRANSLATION_REJECT = 1,
	TRANSLATION_REPLY = 2,
	TRANSLATION_REPLIES = 4,
	TRANSLATION_OPEN = 8,	  /* a service without a live instance is left out */
	TRANSLATION_THROUGH = 16, /* not of a rule: it holds for all packets of the pair */
	TRANSLATION_FLAGS_ALL = 31
};

enum translation_scope {
	TRANSLATION_PROTO = 1,
	TRANSLATION_FROM_PORT = 2,
	TRANSLATION_TO_PORT = 4,
	TRANSLATION_SCOPE_ALL = 7
};

/* What is done with packets. */
struct translation_outcome {
	enum translation_verdict verdict;			/* of a rule: ALLOW or DENY */
	unsigned int flags;					/* enum translation_flag, or-ed */
	uint32_t policy;					/* 0: none decided */
	char path[TRANSLATION_PATH_MAX][TRANSLATION_NAME_ROOM]; /* services, in order */
	size_t n_path;
	int dscp;			   /* -1: unsaid */
	uint32_t rate_mbps;		   /* 0: unsaid */
	uint32_t rate_policy;		   /* the policy whose limit that is; 0: none */
	char class[TRANSLATION_NAME_ROOM]; /* "": unsaid */
	uint16_t vlan;			   /* of the class's path on the underlay; 0: none */
	struct labels labels;		   /* of that path, too */
	struct routers routers;		   /* and these; not both */
};

struct translation_rule {
	uint8_t proto;			   /* 0: any */
	uint16_t from_port[2], to_port[2]; /* first and last */
	struct translation_outcome outcome;
};

struct translation_destination {
	uint32_t id, vnid;
	char name[TRANSLATION_KEY_ROOM]; /* "network/endpoint", without the domain */
	struct mac_addr mac;
	bool external;
	char host[TRANSLATION_NAME_ROOM]; /* "": nowhere */
	struct ip_addr host_addresses[TRANSLATION_HOST_ADDRESSES];
	size_t n_host_addresses;
};

struct translation {
	char zone[DOMAIN_ROOM]; /* the authority's domain; "": the root's, or one that stands alone */
	uint32_t vnid;		/* of the network that decided: policy and sequence are its */
	uint32_t from_vnid;	/* the sender's network */
	uint32_t source;	/* endpoint id */
	bool has_address;
	struct ip_addr address; /* that it is for */
	bool has_destination;
	struct translation_destination destination;
	struct translation_outcome outcome;
	char policy_name[TRANSLATION_NAME_ROOM];
	unsigned int scope; /* enum translation_scope, or-ed */
	/* With a scope and no rules it holds for packets like this one only; else all zero. */
	uint8_t proto;
	uint16_t from_port, to_port;
	struct translation_rule rules[TRANSLATION_RULES_MAX];
	size_t n_rules;
	uint32_t beyond; /* the destination's network, whose authority's half is missing here; 0: none */
	uint64_t sequence;
	int64_t issued, expires; /* unix seconds */
};

/* With its signature. The owner frees with translation_doc_free(). A zeroed one is empty. */
struct translation_doc {
	uint8_t *body;
	size_t len;
	char key[SIGN_ID_ROOM]; /* which key to try; nothing is believed for it */
	uint8_t sig[SIGN_BYTES];
	struct sign_memo *memo; /* the reader's, where it remembers good signatures; NULL: nowhere */
};

/* translation_encode() - the bytes; how many, 0: there is no room for them. */
size_t translation_encode(const struct translation *t, uint8_t *buf, size_t size);

/*
 * translation_decode() - 0; -EINVAL and *out undefined when the bytes are not
 * exactly what translation_encode() makes of a translation.
 */
int translation_decode(const void *data, size_t len, struct translation *out);

/* translation_sign() - 0, or -ENOMEM with *out untouched. */
int translation_sign(const struct translation *t, const struct sign_key *key, struct translation_doc *out);

/*
 * translation_open() - is it signed by one of these keys, well-formed, and of
 * now (unix seconds)? 0 and *out; -EKEYREJECTED: none of the keys signed it;
 * -EINVAL: malformed; -ETIME: over; -EAGAIN: of the future. Whether its zone
 * is the right one for its VNID, and its sequence new enough, the caller sees.
 */
int translation_open(const struct translation_doc *doc, const struct sign_public *keys, size_t n_keys,
		     int64_t now, struct translation *out);
void translation_doc_free(struct translation_doc *doc);

/*
 * As JSON (docs/api.md): {"body": "<base64>", "key": "<key id>", "sig": "<base64>"}.
 * The tree is the caller's; parsing gives 0, or -EINVAL with *err and *out untouched.
 */
cJSON *translation_doc_json(const struct translation_doc *doc);
int translation_doc_parse(const cJSON *json, struct translation_doc *out, struct json_error *err);

/* translation_answer() - the ANSWER of docs/api.md that it stands for, as of `now`; the caller's. */
cJSON *translation_answer(const struct translation *t, int64_t now);

#endif
