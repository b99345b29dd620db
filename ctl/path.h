/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `dovectl path`: the stops of a packet's path, hop by hop, with the instances
 * that each may have: where they are, in which state, since which revision they
 * are there, what their hosts said lately that they have to do; last of all the
 * destination.
 */
#ifndef CTL_PATH_H
#define CTL_PATH_H

#include "ctl/commands.h"

/* path_show() - of an ANSWER (docs/api.md), which it takes over. The exit status. */
int path_show(const struct options *options, cJSON *answer);

#endif
