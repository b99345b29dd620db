// SPDX-License-Identifier: Apache-2.0
#include "ctl/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

struct buffer {
	char *text;
	size_t len;
};

static size_t collect(char *data, size_t size, size_t n, void *arg)
{
	struct buffer *buf = arg;
	size_t more = size * n;
	char *text;

	if (more > CLIENT_ANSWER_MAX - buf->len)
		return 0;
	text = realloc(buf->text, buf->len + more + 1);
	if (!text)
		return 0;
	memcpy(text + buf->len, data, more);
	buf->text = text;
	buf->len += more;
	buf->text[buf->len] = '\0';
	return more;
}

static void set_options(CURL *curl, const struct client *client, const char *method, const char *body)
{
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, CLIENT_TIMEOUT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	if (client->tls_cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, client->tls_cert);
	if (client->tls_key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, client->tls_key);
	if (client->tls_ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, client->tls_ca);
}

static int make_url(const struct client *client, size_t len, const char *path, char **out)
{
	_free_ char *domain = client->domain ? client_escape(client->domain) : NULL;

	if (!domain)
		return asprintf(out, "%.*s%s", (int)len, client->url, path);
	return asprintf(out, "%.*s%s%cdomain=%s", (int)len, client->url, path, strchr(path, '?') ? '&' : '?',
			domain);
}

static CURLcode perform(CURL *curl, const struct client *client, const char *method, const char *path,
			const char *body, struct buffer *answer, long *status)
{
	/* No "Expect: 100-continue" round trip before a large body. */
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char why[CURL_ERROR_SIZE] = "";
	char *url = NULL;
	CURLcode rc = CURLE_OUT_OF_MEMORY;
	size_t len = strlen(client->url);

	headers = curl_slist_append(headers, "Expect:");
	while (len && client->url[len - 1] == '/')
		len--;
	if (make_url(client, len, path, &url) > 0) {
		set_options(curl, client, method, body);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
		rc = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	}
	if (rc)
		fprintf(stderr, "dovectl: the service at %s: %s\n", client->url,
			*why ? why : curl_easy_strerror(rc));
	free(url);
	curl_slist_free_all(headers);
	return rc;
}

static const char *text_of(const cJSON *json, const char *field)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, field);

	return cJSON_IsString(item) && *item->valuestring ? item->valuestring : NULL;
}

/* "dovectl: policy blue/no-db: to.endpoints[0]: 'web1' is not an endpoint of network blue" */
static void say_error(const cJSON *json, long status)
{
	const char *object = text_of(json, "object"), *field = text_of(json, "field");
	const char *error = text_of(json, "error");

	if (!error) {
		fprintf(stderr, "dovectl: the service answered with status %ld\n", status);
		return;
	}
	fprintf(stderr, "dovectl: %s%s%s%s%s\n", object ? object : "", object ? ": " : "", field ? field : "",
		field ? ": " : "", error);
}

int client_call(const struct client *client, const char *method, const char *path, const char *body,
		cJSON **out)
{
	struct buffer answer = { 0 };
	CURL *curl = curl_easy_init();
	long status = 0;
	cJSON *json;
	CURLcode rc;

	if (!curl)
		return -1;
	rc = perform(curl, client, method, path, body, &answer, &status);
	curl_easy_cleanup(curl);
	json = rc || !answer.text ? NULL : cJSON_Parse(answer.text);
	free(answer.text);
	if (rc)
		return -1;
	if (status / 100 == 2 && json) {
		*out = json;
		return 0;
	}
	say_error(json, status);
	cJSON_Delete(json);
	return -1;
}

char *client_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0), *copy;

	copy = escaped ? strdup(escaped) : NULL;
	curl_free(escaped);
	return copy;
}
