// SPDX-License-Identifier: Apache-2.0
#include "ctl/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"

static const char *text_of(const cJSON *json, const char *field, const char *otherwise)
{
	const char *text = cJSON_GetStringValue(json_get(json, field));

	return text ? text : otherwise;
}

static double number_of(const cJSON *json, const char *field, double otherwise)
{
	const cJSON *number = json_get(json, field);

	return cJSON_IsNumber(number) ? number->valuedouble : otherwise;
}

/* Where an endpoint is; NULL: nobody could say. The caller's. */
static cJSON *place_of(const struct options *options, const char *endpoint)
{
	const char *slash = strchr(endpoint, '/');
	_free_ char *network = slash ? strndup(endpoint, slash - endpoint) : NULL;
	_free_ char *first = network ? client_escape(network) : NULL;
	_free_ char *second = slash ? client_escape(slash + 1) : NULL;
	_free_ char *path = NULL;
	cJSON *place;

	if (!first || !second || asprintf(&path, "/v1/endpoints/%s/%s/place", first, second) < 0 ||
	    client_call(&options->client, "GET", path, NULL, &place))
		return NULL;
	return place;
}

/* What the administrator says of it goes before what its host does; that needs both ports of one that has two. */
static const char *state_of(const struct options *options, const cJSON *said, const cJSON *place)
{
	const char *other = text_of(said, "out", NULL);
	bool up = cJSON_IsTrue(json_get(place, "up"));
	cJSON *out;

	if (strcmp(text_of(said, "state", "up"), "up") != 0)
		return "down";
	if (up && other) {
		out = place_of(options, other);
		up = cJSON_IsTrue(json_get(out, "up"));
		cJSON_Delete(out);
	}
	return up ? "up" : text_of(place, "host", NULL) ? "dead" : "nowhere";
}

static cJSON *instance_json(const struct options *options, const cJSON *said)
{
	const char *endpoint = text_of(said, "endpoint", "?");
	cJSON *place = place_of(options, endpoint), *out = cJSON_CreateObject();
	const char *host = text_of(place, "host", NULL);

	cJSON_AddStringToObject(out, "endpoint", endpoint);
	if (host)
		cJSON_AddStringToObject(out, "host", host);
	else
		cJSON_AddNullToObject(out, "host");
	cJSON_AddStringToObject(out, "state", state_of(options, said, place));
	cJSON_AddNumberToObject(out, "weight", number_of(said, "weight", 1));
	cJSON_AddNumberToObject(out, "aside", number_of(place, "aside", 0));
	cJSON_AddNumberToObject(out, "sequence", number_of(place, "revision", 0));
	if (json_get(place, "load"))
		cJSON_AddItemToObject(out, "load", cJSON_Duplicate(json_get(place, "load"), true));
	cJSON_Delete(place);
	return out;
}

static cJSON *hop_json(const struct options *options, const char *service, int stage)
{
	_free_ char *name = client_escape(service), *path = NULL;
	cJSON *out = cJSON_CreateObject(), *list, *object;
	const cJSON *one;

	cJSON_AddNumberToObject(out, "stage", stage);
	cJSON_AddStringToObject(out, "service", service);
	list = cJSON_AddArrayToObject(out, "instances");
	if (!name || asprintf(&path, "/v1/objects/service/%s", name) < 0 ||
	    client_call(&options->client, "GET", path, NULL, &object))
		return out;
	cJSON_ArrayForEach (one, json_get(object, "instances"))
		cJSON_AddItemToArray(list, instance_json(options, one));
	cJSON_Delete(object);
	return out;
}

static cJSON *path_json(const struct options *options, const cJSON *answer)
{
	static const char *const same[] = { "verdict", "policy", "policy_name", "sequence", "open" };
	const cJSON *path = json_get(answer, "path"), *one;
	int ahead = cJSON_GetArraySize(path);
	cJSON *out = cJSON_CreateObject(), *hops;

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		if (json_get(answer, same[i]))
			cJSON_AddItemToObject(out, same[i], cJSON_Duplicate(json_get(answer, same[i]), true));
	hops = cJSON_AddArrayToObject(out, "hops");
	cJSON_ArrayForEach (one, path)
		cJSON_AddItemToArray(hops, hop_json(options, cJSON_GetStringValue(one), ahead--));
	if (json_get(answer, "destination"))
		cJSON_AddItemToObject(out, "destination",
				      cJSON_Duplicate(json_get(answer, "destination"), true));
	return out;
}

static void print_hop(const cJSON *hop)
{
	const cJSON *instances = json_get(hop, "instances"), *one;
	int n = 0;

	cJSON_ArrayForEach (one, instances) {
		const cJSON *load = json_get(one, "load");

		printf("%-5.0f  %-20s  %-24s  %-12s  %-8s %8.0f %12.0f %9.0f  %.0f/8\n",
		       number_of(hop, "stage", 0), n++ ? "" : text_of(hop, "service", "?"),
		       text_of(one, "endpoint", "?"), text_of(one, "host", "nowhere"),
		       text_of(one, "state", "up"), number_of(one, "sequence", 0),
		       number_of(load, "packets", 0), number_of(load, "kbps", 0),
		       8 - number_of(one, "aside", 0));
	}
	if (!n)
		printf("%-5.0f  %-20s  no instance\n", number_of(hop, "stage", 0),
		       text_of(hop, "service", "?"));
}

int path_show(const struct options *options, cJSON *answer)
{
	cJSON *path = path_json(options, answer);
	const cJSON *hop, *to = json_get(path, "destination");
	_free_ char *text = options->json ? cJSON_Print(path) : NULL;

	cJSON_Delete(answer);
	if (text) {
		puts(text);
	} else {
		printf("%s by policy '%s', sequence %.0f\n", text_of(path, "verdict", "?"),
		       text_of(path, "policy_name", ""), number_of(path, "sequence", 0));
		printf("%-5s  %-20s  %-24s  %-12s  %-8s %8s %12s %9s  %s\n", "STAGE", "SERVICE", "INSTANCE",
		       "HOST", "STATE", "SEQUENCE", "PACKETS", "KBIT/S", "TAKES");
		cJSON_ArrayForEach (hop, json_get(path, "hops"))
			print_hop(hop);
		printf("%-5d  %-20s  %-24s  %s\n", 0, "destination", text_of(to, "name", "none"),
		       text_of(to, "host", "nowhere"));
	}
	cJSON_Delete(path);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
