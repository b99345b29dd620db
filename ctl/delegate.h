/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `dovectl delegate`: give part of a domain to a child of it, change that, take
 * it back. Of a new child it makes the signing key, and a configuration that
 * its server can be started with; a file that is there is never overwritten.
 */
#ifndef CTL_DELEGATE_H
#define CTL_DELEGATE_H

#include "ctl/commands.h"

/* delegate_run() - args: the domain; none: list. The exit status. */
int delegate_run(const struct options *options);

#endif
