/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two authorities' words on one pair, made into one answer. Deny wins; the
 * source's services come first, and each is named with its domain, as both may
 * have a firewall. Policy and sequence are the destination's, under which the
 * packet travels, unless the source's authority refuses.
 */
#ifndef DOVE_HALVES_H
#define DOVE_HALVES_H

#include "lib/translation.h"

/* halves_join() - *out is what both say together: about every packet of the pair where rules are few enough. */
void halves_join(const struct translation *first, const struct translation *second, struct translation *out);

/* halves_refused() - does the source's authority refuse every packet, so that nobody else's word matters? */
bool halves_refused(const struct translation *first);

#endif
