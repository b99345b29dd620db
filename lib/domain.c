// SPDX-License-Identifier: Apache-2.0
#include "lib/domain.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_label(const char *text, size_t len)
{
	if (!len || len > LABEL_MAX || !isalnum((unsigned char)*text))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
			return false;
	return true;
}

/* Labels with '/' between, at most max of them, in exactly len bytes. */
static bool are_labels(const char *text, size_t len, unsigned int max)
{
	const char *end = text + len, *slash;

	for (unsigned int n = 0; n < max; n++) {
		slash = memchr(text, '/', end - text);
		if (!is_label(text, (slash ? slash : end) - text))
			return false;
		if (!slash)
			return true;
		text = slash + 1;
	}
	return false;
}

bool domain_check(const char *domain)
{
	size_t len = strlen(domain);

	return len < DOMAIN_ROOM && are_labels(domain, len, DOMAIN_DEPTH_MAX);
}

unsigned int domain_depth(const char *domain)
{
	unsigned int depth = *domain ? 1 : 0;

	for (; *domain; domain++)
		depth += *domain == '/';
	return depth;
}

static void copy(char out[DOMAIN_ROOM], const char *text, size_t len)
{
	memmove(out, text, len); /* out may be the text */
	out[len] = '\0';
}

void domain_parent(const char *domain, char out[DOMAIN_ROOM])
{
	const char *slash = strrchr(domain, '/');

	copy(out, domain, slash ? slash - domain : 0);
}

bool domain_within(const char *domain, const char *above)
{
	size_t len = strlen(above);

	return !len || (!strncmp(domain, above, len) && (!domain[len] || domain[len] == '/'));
}

bool domain_is_child(const char *child, const char *parent)
{
	return strcmp(child, parent) && domain_within(child, parent) &&
	       domain_depth(child) == domain_depth(parent) + 1;
}

bool domain_toward(const char *domain, const char *above, char out[DOMAIN_ROOM])
{
	size_t len = strlen(above);
	const char *end;

	if (!domain_within(domain, above) || !strcmp(domain, above))
		return false;
	end = strchr(domain + len + (len ? 1 : 0), '/');
	copy(out, domain, end ? (size_t)(end - domain) : strlen(domain));
	return true;
}

bool domain_of_name(const char *name, char out[DOMAIN_ROOM])
{
	const char *colon = strchr(name, ':');
	size_t len = colon ? colon - name : 0;

	if (!colon || len >= DOMAIN_ROOM || !are_labels(name, len, DOMAIN_DEPTH_MAX) ||
	    !are_labels(colon + 1, strlen(colon + 1), 2))
		return false;
	copy(out, name, len);
	return true;
}

const char *domain_full(const char *domain, const char *name, char out[FULL_NAME_ROOM])
{
	bool bare = domain && *domain && !strchr(name, ':');

	snprintf(out, FULL_NAME_ROOM, "%s%s%s", bare ? domain : "", bare ? ":" : "", name);
	return out;
}

bool domain_has(const char *domain, const char *name)
{
	const char *colon = strchr(name, ':');
	size_t len = colon ? (size_t)(colon - name) : 0;

	return strlen(domain) == len && !strncmp(domain, name, len);
}
