/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `dovectl pki`: certificates and keys for those who have no PKI of their own.
 * docs/pki.md says which names certificates carry, and what they are for. A
 * file that is there is never overwritten; private keys have mode 0600.
 */
#ifndef CTL_PKI_H
#define CTL_PKI_H

#include "ctl/commands.h"

#define PKI_DIR_DEFAULT "pki"
#define PKI_ROOT_DAYS 3650
#define PKI_DAYS 365

/* pki_run() - args: what, and for most a name. The exit status. */
int pki_run(const struct options *options);

#endif
