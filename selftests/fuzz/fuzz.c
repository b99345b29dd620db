// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/sign.h"
#include "lib/translation.h"

struct fuzz_target *fuzz_targets;

/* FUZZ_SIZE_MAX bytes with a page behind them that can't be touched. */
static uint8_t *guarded(void)
{
	static uint8_t *at;

	if (at)
		return at;
	at = mmap(NULL, FUZZ_SIZE_MAX + getpagesize(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		  -1, 0);
	fuzz_check(at != MAP_FAILED && !mprotect(at + FUZZ_SIZE_MAX, getpagesize(), PROT_NONE), "no memory");
	return at;
}

void fuzz_run(const struct fuzz_target *target, const void *data, size_t size)
{
	uint8_t *copy = guarded() + FUZZ_SIZE_MAX - size;

	if (size > FUZZ_SIZE_MAX)
		return;
	if (size)
		memcpy(copy, data, size);
	target->run(copy, size);
}

/* Made for these tests; it is a key to nothing. */
static const char key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
			      "MC4CAQAwBQYDK2VwBCIEIGZ1enpmdXp6ZnV6emZ1enpmdXp6ZnV6emZ1enpmdXp6\n"
			      "-----END PRIVATE KEY-----\n";

const struct sign_key *fuzz_key(void)
{
	static struct sign_key *key;
	_close_ int fd = -1;
	struct error err;
	char path[64];

	if (key)
		return key;
	fd = memfd_create("key", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fuzz_check(write(fd, key_pem, strlen(key_pem)) == (ssize_t)strlen(key_pem) && !fchmod(fd, 0600) &&
			   !sign_key_load(path, &key, &err),
		   "no key");
	return key;
}

void fuzz_translation(const char *zone, struct translation_doc *doc)
{
	struct translation about = { .vnid = FUZZ_VNID,
				     .from_vnid = FUZZ_VNID,
				     .source = 7,
				     .outcome = { .verdict = TRANSLATION_DENY, .dscp = -1 },
				     .sequence = 1,
				     .issued = FUZZ_NOW,
				     .expires = FUZZ_NOW + 60 };

	snprintf(about.zone, sizeof(about.zone), "%s", zone);
	fuzz_check(!translation_sign(&about, fuzz_key(), doc), "no signature");
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	fuzz_check(text, "no memory");
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

cJSON *fuzz_json(const uint8_t *data, size_t size)
{
	struct json_error err = { 0 };

	return json_parse((const char *)data, size, &err);
}

void fuzz_same_json(cJSON *a, cJSON *b, const char *what)
{
	_free_ char *one = cJSON_PrintUnformatted(a), *other = cJSON_PrintUnformatted(b);

	fuzz_check(one && other && !strcmp(one, other), "%s:\n%s\n%s", what, one, other);
	cJSON_Delete(a);
	cJSON_Delete(b);
}
