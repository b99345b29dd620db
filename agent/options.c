// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/usage.h"
#include "qos.h"
#include "trust.h"

/* What a port may give to the agent: some thousand packets at once, and again every second. */
#define DEFAULT_HOLD_RATE (1u << 20)
#define DEFAULT_HOLD_BURST (2u << 20)
/* ICMP errors and resets a second that a port may cause, and copies of its broadcasts and multicasts. */
#define DEFAULT_ANSWER_RATE 1000
#define DEFAULT_COPY_RATE 10000
#define DSCP_COPIED 64 /* no value that the field can have */
#define CONFIG_MAX (1u << 20)

enum key {
	KEY_HOST = 256,
	KEY_DPS,
	KEY_CONFIG,
	KEY_RUN_DIR,
	KEY_PIN_DIR,
	KEY_TLS_CERT,
	KEY_TLS_KEY,
	KEY_TLS_CA,
	KEY_JSON,
	KEY_INGRESS,
	KEY_NETWORK,
	KEY_ENDPOINT,
	KEY_TO,
	KEY_FROM,
	KEY_PROTO,
	KEY_PORT,
	KEY_FROM_PORT,
};

static const struct {
	unsigned int set; /* 0: every command's */
	struct argp_option option;
} table[] = {
	{ OPT_RUN, { "host", KEY_HOST, "NAME", 0, "this host's name at the policy service (required)", 0 } },
	{ OPT_RUN, { "dps", KEY_DPS, "URL", 0, "the policy service (required)", 0 } },
	{ OPT_RUN, { "config", KEY_CONFIG, "FILE", 0, "JSON object with these and finer settings", 0 } },
	{ OPT_RUN,
	  { "pin-dir", KEY_PIN_DIR, "DIR", 0, "where to pin, on a bpffs (" DOVE_DEFAULT_PIN_DIR ")", 0 } },
	{ OPT_RUN, { "tls-cert", KEY_TLS_CERT, "FILE", 0, "our certificate for the policy service", 0 } },
	{ OPT_RUN, { "tls-key", KEY_TLS_KEY, "FILE", 0, "its key", 0 } },
	{ OPT_RUN, { "tls-ca", KEY_TLS_CA, "FILE", 0, "who signs the policy service's certificate", 0 } },
	{ OPT_RUN, { "verbose", 'v', 0, 0, "say more", 0 } },
	{ OPT_INGRESS, { "ingress", KEY_INGRESS, "auto|xdp|tc", 0, "where to decapsulate (auto)", 0 } },
	{ OPT_PORT, { "network", KEY_NETWORK, "N", 0, "the VM's network (required)", 0 } },
	{ OPT_PORT, { "endpoint", KEY_ENDPOINT, "VM", 0, "the VM's name in it (required)", 0 } },
	{ OPT_TRACE, { "to", KEY_TO, "ADDRESS", 0, "where to (required)", 0 } },
	{ OPT_TRACE, { "from", KEY_FROM, "ADDRESS", 0, "from which (the VM's first of that family)", 0 } },
	{ OPT_TRACE, { "proto", KEY_PROTO, "P", 0, "tcp, udp, icmp, icmpv6, sctp or a number (icmp)", 0 } },
	{ OPT_TRACE, { "port", KEY_PORT, "N", 0, "destination port", 0 } },
	{ OPT_TRACE, { "from-port", KEY_FROM_PORT, "N", 0, "source port", 0 } },
	{ OPT_FOLLOW, { "follow", 'f', 0, 0, "go on, one line an event", 0 } },
	{ OPT_SHOW, { "json", KEY_JSON, 0, 0, "print JSON", 0 } },
	{ 0, { "run-dir", KEY_RUN_DIR, "DIR", 0, "the agent's directory (" AGENT_DEFAULT_RUN_DIR ")", 0 } },
};

struct parse {
	struct options *o;
	unsigned int set;
};

static error_t parse_argument(char *arg, struct argp_state *state, const struct parse *p)
{
	if (!(p->set & OPT_DEVICE) || p->o->device)
		usage_error(state, "'%s' is one argument too many", arg);
	p->o->device = arg;
	return 0;
}

static void parse_end(struct argp_state *state, const struct parse *p)
{
	if (p->set & OPT_DEVICE && !p->o->device)
		usage_error(state, "which device?");
	if (p->set & OPT_PORT && (!p->o->network || !p->o->endpoint))
		usage_error(state, "%s is required", p->o->network ? "--endpoint" : "--network");
	if (p->set & OPT_TRACE && !p->o->to)
		usage_error(state, "--to is required");
}

static int parse_number(struct argp_state *state, const char *option, const char *arg, long most)
{
	char *end;
	long n = strtol(arg, &end, 10);

	if (!arg[0] || *end || n < 0 || n > most)
		usage_error(state, "%s: '%s' is no number from 0 to %ld", option, arg, most);
	return n;
}

static int parse_proto(struct argp_state *state, const char *arg)
{
	static const struct {
		const char *name;
		int proto;
	} protos[] = { { "icmp", 1 }, { "tcp", 6 }, { "udp", 17 }, { "icmpv6", 58 }, { "sctp", 132 } };

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (!strcmp(arg, protos[i].name))
			return protos[i].proto;
	return parse_number(state, "--proto", arg, 255);
}

static error_t parse_trace_option(int key, char *arg, struct argp_state *state, struct options *o)
{
	switch (key) {
	case KEY_TO:
		o->to = arg;
		return 0;
	case KEY_FROM:
		o->from = arg;
		return 0;
	case KEY_PROTO:
		o->proto = parse_proto(state, arg);
		return 0;
	case KEY_PORT:
		o->port = parse_number(state, "--port", arg, 65535);
		return 0;
	case KEY_FROM_PORT:
		o->from_port = parse_number(state, "--from-port", arg, 65535);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	const struct parse *p = state->input;
	struct options *o = p->o;

	switch (key) {
	case ARGP_KEY_INIT:
		usage_init(state);
		return 0;
	case KEY_HOST:
		o->config.host = arg;
		return 0;
	case KEY_DPS:
		o->config.dps = arg;
		return 0;
	case KEY_CONFIG:
		o->config_file = arg;
		return 0;
	case KEY_RUN_DIR:
		o->config.run_dir = arg;
		return 0;
	case KEY_PIN_DIR:
		o->config.pin_dir = arg;
		return 0;
	case KEY_TLS_CERT:
		o->config.tls_cert = arg;
		return 0;
	case KEY_TLS_KEY:
		o->config.tls_key = arg;
		return 0;
	case KEY_TLS_CA:
		o->config.tls_ca = arg;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_INGRESS:
		if (strcmp(arg, "auto") && strcmp(arg, "xdp") && strcmp(arg, "tc"))
			usage_error(state, "--ingress: '%s' is none of auto, xdp, tc", arg);
		o->ingress = arg;
		return 0;
	case KEY_NETWORK:
		o->network = arg;
		return 0;
	case KEY_ENDPOINT:
		o->endpoint = arg;
		return 0;
	case 'f':
		o->follow = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		return parse_argument(arg, state, p);
	case ARGP_KEY_END:
		parse_end(state, p);
		return 0;
	}
	return parse_trace_option(key, arg, state, o);
}

void options_parse(int argc, char **argv, unsigned int set, const char *doc, struct options *out)
{
	struct argp_option options[ARRAY_SIZE(table) + 1] = {};
	struct parse p = { .o = out, .set = set };
	struct argp argp = { .options = options,
			     .parser = parse_option,
			     .doc = doc,
			     .args_doc = set & OPT_DEVICE ? "DEV" : "" };
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!table[i].set || table[i].set & set)
			options[n++] = table[i].option;
	*out = (struct options){ .ingress = "auto", .proto = -1, .port = -1, .from_port = -1 };
	argp_parse(&argp, argc, argv, 0, NULL, &p);
	if (!out->config.run_dir && !(set & OPT_RUN))
		out->config.run_dir = AGENT_DEFAULT_RUN_DIR;
}

/* ---- the configuration file ---- */

static void die(const char *name, const char *field, const char *text)
{
	fprintf(stderr, "dove-agent: %s: %s%s%s\n", name, field, field[0] ? ": " : "", text);
	exit(EXIT_FAILURE);
}

static cJSON *config_read(const char *name, struct json_error *err)
{
	_fclose_ FILE *f = fopen(name, "re");
	_free_ char *text = malloc(CONFIG_MAX);
	size_t len;

	if (!f)
		die(name, "", strerror(errno));
	len = text ? fread(text, 1, CONFIG_MAX, f) : 0;
	return json_parse(text, len, err);
}

static int config_texts(const cJSON *json, struct agent_config *c, struct json_error *err)
{
	const struct {
		const char *name;
		const char **at;
	} texts[] = {
		{ "host", &c->host },	    { "dps", &c->dps },		  { "run_dir", &c->run_dir },
		{ "pin_dir", &c->pin_dir }, { "tls_cert", &c->tls_cert }, { "tls_key", &c->tls_key },
		{ "tls_ca", &c->tls_ca },   { "sign_key", &c->sign_key },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *text = NULL;

		if (json_str_opt(json, texts[i].name, &text, err))
			return -EINVAL;
		/* The command line goes first; the tree lives as long as the process. */
		if (text && !*texts[i].at)
			*texts[i].at = text;
	}
	return 0;
}

static int config_numbers(const cJSON *json, struct agent_config *c, struct json_error *err)
{
	uint64_t entries = c->cache_entries, rate = c->hold_rate, burst = c->hold_burst,
		 answers = c->answer_rate, copies = c->copy_rate, dscp = DSCP_COPIED;

	if (json_bool_opt(json, "origin_check", &c->origin_check, err) ||
	    json_bool_opt(json, "refuse_stale", &c->refuse_stale, err) ||
	    json_bool_opt(json, "tcx", &c->tcx, err) || json_bool_opt(json, "hints", &c->hints, err) ||
	    json_bool_opt(json, "attach", &c->attach, err) ||
	    json_uint_opt(json, "cache_entries", 1024, 1u << 24, &entries, err) ||
	    json_uint_opt(json, "hold_rate", 65536, 1u << 30, &rate, err) ||
	    json_uint_opt(json, "hold_burst", 65536, 1u << 30, &burst, err) ||
	    json_uint_opt(json, "answer_rate", 1, 1u << 20, &answers, err) ||
	    json_uint_opt(json, "copy_rate", 1, 1u << 24, &copies, err) ||
	    json_uint_opt(json, "outer_dscp", 0, 63, &dscp, err))
		return -EINVAL;
	c->cache_entries = entries;
	c->hold_rate = rate;
	c->hold_burst = burst;
	c->answer_rate = answers;
	c->copy_rate = copies;
	c->outer_dscp = dscp == DSCP_COPIED ? -1 : (int)dscp;
	return 0;
}

static int config_refused(const cJSON *json, struct agent_config *c, struct json_error *err)
{
	static const char *const names[] = { [DOVE_REFUSED_DROP] = "drop",
					     [DOVE_REFUSED_RETURN] = "return",
					     [DOVE_REFUSED_FORWARD] = "forward" };
	const char *name = NULL;

	if (json_str_opt(json, "refused", &name, err))
		return -EINVAL;
	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name))
			continue;
		c->refused = i;
		name = NULL;
	}
	return name ? json_fail(err, "refused", "'%s' is none of drop, return, forward", name) : 0;
}

/* Who was given the root's key can have every answer proven. */
static int config_trust(const cJSON *json, struct agent_config *c, struct json_error *err)
{
	const char *name = NULL;

	if (trust_parse(json_get(json, "trust"), &c->trust, err) ||
	    json_str_opt(json, "unproven", &name, err))
		return -EINVAL;
	if (name && strcmp(name, "refuse") && strcmp(name, "accept"))
		return json_fail(err, "unproven", "'%s' is none of refuse, accept", name);
	c->prove = name ? !strcmp(name, "refuse") : trust_proofs(c->trust) != NULL;
	return !c->prove || trust_any(c->trust)
		       ? 0
		       : json_fail(err, "unproven", "'refuse' is for who has keys to prove by, in 'trust'");
}

static const char *const config_fields[] = { "host",	     "dps",	   "run_dir",	  "pin_dir",
					     "tls_cert",     "tls_key",	   "tls_ca",	  "origin_check",
					     "refuse_stale", "tcx",	   "hints",	  "cache_entries",
					     "hold_rate",    "hold_burst", "answer_rate", "copy_rate",
					     "outer_dscp",   "refused",	   "attach",	  "trust",
					     "classes",	     "sign_key",   "unproven",	  NULL };

int options_config(const cJSON *json, struct agent_config *c, struct json_error *err)
{
	if (!cJSON_IsObject(json))
		return json_fail(err, NULL, "not a JSON object");
	c->classes = json_get(json, "classes");
	return json_only(json, config_fields, err) || qos_classes_check(c->classes, err) ||
			       config_texts(json, c, err) || config_numbers(json, c, err) ||
			       config_refused(json, c, err) || config_trust(json, c, err)
		       ? -EINVAL
		       : 0;
}

void options_config_file(struct options *o)
{
	struct agent_config *c = &o->config;
	struct json_error err = {};

	c->origin_check = c->tcx = c->hints = c->attach = true;
	c->refused = DOVE_REFUSED_RETURN;
	c->hold_rate = DEFAULT_HOLD_RATE;
	c->hold_burst = DEFAULT_HOLD_BURST;
	c->answer_rate = DEFAULT_ANSWER_RATE;
	c->copy_rate = DEFAULT_COPY_RATE;
	c->outer_dscp = -1;
	if (!o->config_file)
		return;
	o->file = config_read(o->config_file, &err);
	if (!o->file || options_config(o->file, c, &err))
		die(o->config_file, err.field, err.text);
}
