// SPDX-License-Identifier: Apache-2.0
/* What libFuzzer calls: the one target that is linked. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_run(fuzz_targets, data, size);
	return 0;
}
