/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz targets: one decoder each, one file each. A file says
 *
 *   FUZZ(hint)
 *   {
 *           ... of data[0..size) ...
 *   }
 *
 * and is linked twice: alone with libFuzzer (libfuzzer.c, `make fuzz`), and all
 * of them into the unit tests (test_corpus.c), which replay corpus/NAME/.
 *
 * `data` ends where a page begins that nobody may touch: who reads a byte too
 * many crashes, also inside a library that was built without sanitizers.
 * What must hold of what was decoded is said by fuzz_check().
 */
#ifndef DOVE_FUZZ_H
#define DOVE_FUZZ_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_SIZE_MAX ((size_t)1 << 17)

struct fuzz_target {
	const char *name;
	void (*run)(const uint8_t *data, size_t size);
	struct fuzz_target *next;
};

extern struct fuzz_target *fuzz_targets;

/* fuzz_run() - the target on a copy of data, guarded as above. What is larger than FUZZ_SIZE_MAX is passed over. */
void fuzz_run(const struct fuzz_target *target, const void *data, size_t size);

#define FUZZ(target_name)                                                                                    \
	static void target_##target_name(const uint8_t *data, size_t size);                                  \
	static __attribute__((constructor)) void add_##target_name(void)                                     \
	{                                                                                                    \
		static struct fuzz_target self = { #target_name, target_##target_name, NULL };               \
                                                                                                             \
		self.next = fuzz_targets;                                                                    \
		fuzz_targets = &self;                                                                        \
	}                                                                                                    \
	static void target_##target_name(const uint8_t *data, size_t size)

#define fuzz_check(holds, ...)                                                                               \
	do {                                                                                                 \
		if (!(holds)) {                                                                              \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                      \
			fprintf(stderr, __VA_ARGS__);                                                        \
			fprintf(stderr, "\n");                                                               \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* What the tests take for now: times in the corpus are around it. */
#define FUZZ_NOW 1700000000

/* fuzz_key() - always the same signing key, so that the corpus can name it. */
struct sign_key;
const struct sign_key *fuzz_key(void);

/* fuzz_translation() - that VNID FUZZ_VNID of this zone denies a packet, signed by fuzz_key(). */
#define FUZZ_VNID 300
struct translation_doc;
void fuzz_translation(const char *zone, struct translation_doc *doc);

/* fuzz_text() - a copy with a NUL behind it, the caller's. */
char *fuzz_text(const uint8_t *data, size_t size);

/* fuzz_json() - parse, as json_parse() does; NULL: it is none. The caller's. */
cJSON *fuzz_json(const uint8_t *data, size_t size);

/* fuzz_same_json() - both must print alike. Both are freed. */
void fuzz_same_json(cJSON *a, cJSON *b, const char *what);

#endif
