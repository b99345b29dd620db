// SPDX-License-Identifier: Apache-2.0
/* Every fuzz target on its corpus: seeds, and what was found once. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "selftests/fuzz/fuzz.h"

struct replayed {
	char name[64];
};

ParameterizedTestParameters(fuzz, R14_corpus)
{
	struct replayed *list;
	size_t n = 0;

	for (const struct fuzz_target *t = fuzz_targets; t; t = t->next)
		n++;
	list = cr_calloc(n + 1, sizeof(*list));
	n = 0;
	for (const struct fuzz_target *t = fuzz_targets; t; t = t->next)
		snprintf(list[n++].name, sizeof(list[0].name), "%s", t->name);
	return cr_make_param_array(struct replayed, list, n);
}

static void replay(const struct fuzz_target *target, const char *path)
{
	_fclose_ FILE *file = fopen(path, "re");
	_free_ char *data = malloc(FUZZ_SIZE_MAX);
	size_t n;

	cr_assert(file && data, "cannot read %s", path);
	n = fread(data, 1, FUZZ_SIZE_MAX, file);
	fprintf(stderr, "%s\n", path);
	fuzz_run(target, data, n);
}

ParameterizedTest(struct replayed *which, fuzz, R14_corpus)
{
	const struct fuzz_target *target = fuzz_targets;
	char here[256], pattern[400];
	glob_t found;

	while (strcmp(target->name, which->name) != 0)
		target = target->next;
	snprintf(here, sizeof(here), "%s", __FILE__);
	snprintf(pattern, sizeof(pattern), "%s/../fuzz/corpus/%s/*", dirname(here), target->name);
	cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "no corpus at %s", pattern);
	for (size_t i = 0; i < found.gl_pathc; i++)
		replay(target, found.gl_pathv[i]);
	globfree(&found);
}
