// SPDX-License-Identifier: Apache-2.0
#include "show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/json.h"

static const char *str(const cJSON *json, const char *field)
{
	const char *text = cJSON_GetStringValue(json_get(json, field));

	return text ? text : "-";
}

static double num(const cJSON *json, const char *field)
{
	const cJSON *n = json_get(json, field);

	return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

static const char *yes(const cJSON *json, const char *field)
{
	return cJSON_IsTrue(json_get(json, field)) ? "yes" : "no";
}

static const char *on(const cJSON *json, const char *field)
{
	return cJSON_IsTrue(json_get(json, field)) ? "on" : "off (the host's kernel passes none on)";
}

/* An address, or the name of the external network that is in its place. */
static const char *whither(const cJSON *json, const char *field)
{
	return str(json, json_get(json, "external_name") ? "external_name" : field);
}

/* A list of texts, with commas; at most what fits, then "...". */
static const char *join(const cJSON *list, char *buf, size_t size)
{
	const cJSON *one;
	size_t len = 0;

	buf[0] = '\0';
	cJSON_ArrayForEach (one, list) {
		int n = snprintf(buf + len, size - len, "%s%s", len ? "," : "", cJSON_GetStringValue(one));

		if (n < 0 || len + n >= size - 4) {
			strcpy(buf + len, "...");
			break;
		}
		len += n;
	}
	return buf[0] ? buf : "-";
}

void show_nothing(const cJSON *result, const struct options *o)
{
}

void show_attach(const cJSON *result, const struct options *o)
{
	const char *warning = cJSON_GetStringValue(json_get(result, "warning"));

	printf("%s: attached, ingress by %s\n", str(result, "device"), str(result, "ingress"));
	if (warning)
		fprintf(stderr, "dove-agent: not registered yet, will go on trying: %s\n", warning);
}

void show_port(const cJSON *result, const struct options *o)
{
	char text[80];

	printf("%s: port of %s/%s, %s, %s\n", str(result, "device"), str(result, "network"),
	       str(result, "endpoint"), str(result, "mac"),
	       join(json_get(result, "addresses"), text, sizeof(text)));
}

void show_ports(const cJSON *result, const struct options *o)
{
	const cJSON *one;
	char text[60];

	printf("%-15s %-24s %8s %-17s %-8s %-8s %s\n", "DEVICE", "ENDPOINT", "VNID", "MAC", "KIND", "STATE",
	       "ADDRESSES");
	cJSON_ArrayForEach (one, result) {
		char name[130];

		snprintf(name, sizeof(name), "%s/%s", str(one, "network"), str(one, "endpoint"));
		printf("%-15s %-24s %8.0f %-17s %-8s %-8s %s\n", str(one, "device"), name, num(one, "vnid"),
		       str(one, "mac"), str(one, "kind"), str(one, "state"),
		       join(json_get(one, "addresses"), text, sizeof(text)));
	}
}

static void show_externals(const cJSON *externals, const cJSON *forwarding)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, externals) {
		printf("external network %s/%s: by %s, mark %s, %s\n", str(one, "network"), str(one, "name"),
		       str(one, "device"), str(one, "mark"), str(one, "state"));
		if (json_get(one, "error"))
			printf("                 %s\n", str(one, "error"));
	}
	if (cJSON_GetArraySize(externals))
		printf("forwarding       IPv4 %s, IPv6 %s\n", on(forwarding, "ipv4"), on(forwarding, "ipv6"));
}

static void show_services(const cJSON *services)
{
	const cJSON *one, *i;

	cJSON_ArrayForEach (one, services) {
		printf("service          %s:", str(one, "name"));
		cJSON_ArrayForEach (i, json_get(one, "instances"))
			printf(" %s on %s (%s, %.0f packets)", str(i, "endpoint"), str(i, "host"),
			       cJSON_IsTrue(json_get(i, "alive"))   ? "alive"
			       : !strcmp(str(i, "probe"), "failed") ? "hangs"
								    : "not there",
			       num(i, "packets"));
		printf("\n");
	}
}

void show_status(const cJSON *result, const struct options *o)
{
	const cJSON *one;
	char text[80];

	printf("host             %s\n", str(result, "host"));
	printf("version          %s\n", str(result, "version"));
	printf("policy service   %s (%s)\n", str(result, "dps"),
	       cJSON_IsTrue(json_get(result, "connected")) ? "connected" : "not connected");
	printf("pins             %s\n", str(result, "pin_dir"));
	printf("ports            %.0f\n", num(result, "ports"));
	cJSON_ArrayForEach (one, json_get(result, "nics"))
		printf("underlay device  %s: ingress by %s, %s, registered: %s\n", str(one, "device"),
		       str(one, "ingress"), join(json_get(one, "addresses"), text, sizeof(text)),
		       yes(one, "registered"));
	cJSON_ArrayForEach (one, json_get(result, "networks"))
		printf("network          %s: VNID %.0f, revision %.0f, floor %.0f, %.0f policies, %.0f "
		       "endpoints here\n",
		       str(one, "name"), num(one, "vnid"), num(one, "revision"), num(one, "floor"),
		       num(one, "policies"), num(one, "endpoints"));
	show_services(json_get(result, "services"));
	show_externals(json_get(result, "externals"), json_get(result, "forwarding"));
	cJSON_ArrayForEach (one, json_get(result, "hosts"))
		printf("host             %s: %s%s\n", str(one, "name"), str(one, "address"),
		       cJSON_IsTrue(json_get(one, "self"))	  ? ", this one"
		       : cJSON_IsTrue(json_get(one, "reachable")) ? ", next hop resolved"
								  : "");
	cJSON_ArrayForEach (one, json_get(result, "routers"))
		printf("router           %s%s\n", str(one, "address"),
		       cJSON_IsTrue(json_get(one, "reachable")) ? ": next hop resolved" : "");
}

static const char *const reason_texts[] = {
#define X(NAME, name, class, text) #name, #class, text,
	DOVE_REASONS(X)
#undef X
};

void show_stats(const cJSON *result, const struct options *o)
{
	const cJSON *reasons = json_get(result, "reasons"), *agent = json_get(result, "agent"), *one;

	printf("%-18s %-8s %12s  %s\n", "REASON", "CLASS", "PACKETS", "MEANING");
	for (size_t i = 0; i + 2 < ARRAY_SIZE(reason_texts); i += 3)
		if (num(reasons, reason_texts[i]) > 0)
			printf("%-18s %-8s %12.0f  %s\n", reason_texts[i], reason_texts[i + 1],
			       num(reasons, reason_texts[i]), reason_texts[i + 2]);
	printf("\ncache: %.0f hits, %.0f misses; %.0f questions in %.0f requests (%.0f failed), %.0f ahead "
	       "of need\n",
	       num(result, "hits"), num(result, "misses"), num(result, "questions"), num(agent, "requests"),
	       num(agent, "requests_failed"), num(agent, "refreshed"));
	printf("held packets: %.0f wait, %.0f sent on, dropped: %.0f over a bound, %.0f in vain; %.0f frames "
	       "of "
	       "tunnels inside VMs cut\n",
	       num(agent, "waiting"), num(agent, "sent_on"), num(agent, "dropped_bound"),
	       num(agent, "dropped_late"), num(agent, "cut"));
	printf("stale packets delivered: %.0f, from newer revisions: %.0f, events lost: %.0f\n",
	       num(result, "stale"), num(result, "newer"), num(result, "events_lost"));
	cJSON_ArrayForEach (one, json_get(result, "policies"))
		printf("policy %s/%s: %.0f packets, %.0f bytes, %.0f denied, %.0f limited\n",
		       str(one, "network"), str(one, "name"), num(one, "packets"), num(one, "bytes"),
		       num(one, "denied"), num(one, "limited"));
}

void show_cache(const cJSON *result, const struct options *o)
{
	const cJSON *one;

	printf("%-12s %8s %-18s %-14s %-14s %8s %8s %8s %s\n", "NETWORK", "SOURCE", "TO", "FLOW", "VERDICT",
	       "POLICY", "SEQUENCE", "EXPIRES", "HOST");
	cJSON_ArrayForEach (one, result) {
		char flow[40] = "any";

		if (json_get(one, "proto"))
			snprintf(flow, sizeof(flow), "%.0f:%.0f->%.0f", num(one, "proto"),
				 num(one, "from_port"), num(one, "to_port"));
		printf("%-12s %8.0f %-18s %-14s %-14s %8.0f %8.0f %7.0fs %s\n", str(one, "network"),
		       num(one, "source"), whither(one, "to"), flow, str(one, "verdict"), num(one, "policy"),
		       num(one, "sequence"), num(one, "expires_in"), str(one, "host"));
	}
}

static void show_event(const cJSON *one)
{
	time_t when = num(one, "time");
	char clock[16];

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&when));
	printf("%s %-12s %-16s network %s policy %s (%.0f) %s:%.0f -> %s:%.0f proto %.0f, endpoint %.0f on "
	       "%s: "
	       "sequence %.0f, wanted %.0f\n",
	       clock, str(one, "type"), str(one, "reason"), str(one, "network"), str(one, "policy_name"),
	       num(one, "policy"), str(one, "source_address"), num(one, "from_port"),
	       whither(one, "destination"), num(one, "to_port"), num(one, "proto"), num(one, "source"),
	       str(one, "origin"), num(one, "sequence"), num(one, "wanted"));
}

void show_events(const cJSON *result, const struct options *o)
{
	const cJSON *one;

	if (!cJSON_IsArray(result)) {
		show_event(result);
		return;
	}
	cJSON_ArrayForEach (one, result)
		show_event(one);
}

void show_trace(const cJSON *result, const struct options *o)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, json_get(result, "steps"))
		printf("%-12s %s\n", str(one, "step"), str(one, "says"));
	printf("%-12s %s: %s\n", str(result, "class"), str(result, "end"), str(result, "says"));
}

void show_flush(const cJSON *result, const struct options *o)
{
	printf("%.0f translations forgotten\n", num(result, "flushed"));
}
